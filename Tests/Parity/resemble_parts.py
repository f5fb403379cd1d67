"""Fixtures of the parts of Resemble-Enhance: mel, denoiser, autoencoder and flow, vocoder. See resemble_enhance.py."""
import pathlib

import numpy as np
import torch
from torch import nn

import official
from recording import scripted
from resemble_enhance.denoiser.denoiser import _normalize
from resemble_enhance.denoiser.unet import UNet
from resemble_enhance.enhancer.lcfm.cfm import SinusodialTimeEmbedding, Solver
from resemble_enhance.enhancer.lcfm.irmae import ResBlock
from resemble_enhance.enhancer.univnet.amp import AMPBlock
from resemble_enhance.enhancer.univnet.lvcnet import LVCBlock
from resemble_enhance.hparams import HParams as BaseHParams
from resemble_enhance.melspec import MelSpectrogram
from resemble_model import (AUDIO, build, gradients, header, noise, randomise, save, uniform, write_json)

LENGTHS = [0, 1, 2, 399, 400, 419, 420, 512, 513, 840, 841, 1260, 1261, 2100]


def sound(seed: int, samples: int) -> torch.Tensor:
    """Something like speech at 44.1 kHz, values that 16 bits hold."""
    made = official.voice_like(seed, (samples + 9000) / 44100, 44100)
    return torch.from_numpy(made[1000:1000 + samples].astype(np.float32) / 32768)


def watch(modules: dict[str, nn.Module], seen: dict, pick=lambda o: o[0]) -> list:
    return [m.register_forward_hook(lambda _m, _i, o, name=name: seen.__setitem__(name, pick(o))) for name, m in modules.items()]


def refusal(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"


# --- mel -----------------------------------------------------------------------------------------------------------

@torch.no_grad()
def mel(folder: pathlib.Path, seed: int) -> None:
    out, info = {}, {"lengths": []}
    audio = sound(seed + 1, 2100)
    out["audio"] = audio
    for name, options in (("small", AUDIO), ("full", {})):
        mel_fn = MelSpectrogram(BaseHParams(**options))
        fb = mel_fn.melspec.mel_scale.fb
        where = fb.nonzero()
        out[f"{name}.fb.index"], out[f"{name}.fb.value"] = where[:, 0] * fb.shape[1] + where[:, 1], fb[fb != 0]
        out[f"{name}.window"] = mel_fn.melspec.spectrogram.window if name == "small" else mel_fn.melspec.spectrogram.window[:1025]
        out[f"{name}.mel"] = mel_fn(audio[None])[0, :, :-1]
        out[f"{name}.loud"] = mel_fn(8 * audio[None, :900])[0, :, :-1]
        assert float(mel_fn(torch.zeros(1, 900)).abs().max()) == 0
    small = MelSpectrogram(BaseHParams(**AUDIO))
    for length in LENGTHS:
        try:
            got = small(audio[None, :length])[0, :, :-1]
            info["lengths"].append({"length": length, "frames": got.shape[1]})
            if length in (399, 400, 841): out[f"small.length.{length}"] = got if got.numel() else torch.zeros(0)
        except Exception as error:
            info["lengths"].append({"length": length, "error": refusal(error)})
    t = torch.arange(44100) / 44100
    info["golden"] = {"what": "full mel of 0.5 sin(2 pi 440 t), 1 s, frame 50, all bands",
                      "bands": MelSpectrogram(BaseHParams())(0.5 * torch.sin(2 * torch.pi * 440 * t)[None])[0, :, 50].tolist()}
    save(folder / "cases.safetensors", {k: v for k, v in out.items() if v.numel()})
    write_json(folder / "cases.json", header(seed, "mel") | info)


# --- denoiser ------------------------------------------------------------------------------------------------------

def denoiser(folder: pathlib.Path, seed: int) -> None:
    whole = build("cfm")
    randomise(whole, seed)
    model = whole.denoiser
    out, info, seen = {}, {"lengths": []}, {}
    with torch.no_grad():
        net = model.net
        picture = torch.randn(1, 3, 9, 7, generator=torch.Generator().manual_seed(seed + 3))
        parts = {"input_proj": net.input_proj, "encoder.0.pre_conv": net.encoder_blocks[0].pre_conv,
                 "encoder.0.res_block1": net.encoder_blocks[0].res_block1, "encoder.0.skip": net.encoder_blocks[0].res_block2,
                 "middle.0": net.middle_blocks[0].res_block2, "decoder.0": net.decoder_blocks[0].res_block2}
        hooks = watch(parts, seen)
        out["unet.input"], out["unet.output"] = picture[0], net(picture)[0]
        for h in hooks: h.remove()
        out |= {f"unet.{k}": v for k, v in seen.items()}

        audio = 0.37 * sound(seed + 4, 1300)
        x = _normalize(audio[None])
        magnitude, cos, sin = model._stft(x)
        mask, sin_change, cos_change = model._predict(magnitude, cos, sin)
        parted = model._separate(magnitude, cos, sin, mask, cos_change, sin_change)
        out |= {"audio": audio, "magnitude": magnitude[0], "cos": cos[0], "sin": sin[0], "mask": mask[0],
                "cos_change": cos_change[0], "sin_change": sin_change[0], "istft": model._istft(*parted)[0], "output": model(audio[None])[0]}
        assert out["output"].shape == audio.shape and out["istft"].shape == (1260,)
        assert torch.equal(out["output"][:1260], out["istft"]) and not out["output"][1260:].any()
        out["roundtrip"] = model._istft(magnitude, cos, sin)[0]
        for length in LENGTHS[:-1]:
            try:
                got = model(audio[None, :length])[0]
                info["lengths"].append({"length": length, "samples": got.shape[0]})
                if length in (841, 1260, 1261): out[f"output.{length}"] = got
            except Exception as error:
                info["lengths"].append({"length": length, "error": refusal(error)})
        silent = model(torch.zeros(1, 900))[0]
        info["silence"] = {"samples": 900, "peak": float(silent.abs().max())}
        unet_full(out, info, seed)

    # training: the loss and its gradients on two rows
    x = torch.stack([sound(seed + 5, 1500), 0.5 * sound(seed + 6, 1500)])
    y = torch.stack([0.8 * sound(seed + 7, 1500), sound(seed + 8, 1500)])
    o = model.train()(x, y)
    loss = model.losses["l1"]
    loss.backward()
    values, norms = gradients("train", model)
    out |= {"train.x": x, "train.y": y, "train.output": o, "train.loss": loss[None]} | values
    info["train"] = {"loss": loss.item(), "gradient_norms": norms}
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed, "denoiser") | info)


def unet_full(out: dict, info: dict, seed: int) -> None:
    """The U-Net at its real widths and depth, its 10.6 million weights from `uniform` instead of a file."""
    net, scales = UNet(3, 3).eval(), {}
    state = net.state_dict()
    for name, like in state.items():
        if name.endswith(".bias"):
            offset, scale = 0.0, 0.125
        elif like.ndim == 1:
            offset, scale = 1.0, 0.25
        else:  # a power of two, so that the product is exact; variance about 1 to 2 over the fan-in
            offset, scale = 0.0, 2.0 ** round(0.5 * np.log2(3 * 1.5 / like[0].numel()))
            scale *= 0.5 if ".5.weight" in name else 1.0
        scales[name] = [offset, scale]
        made = np.float32(offset) + np.float32(scale) * uniform(name, seed, like.numel())
        state[name] = torch.from_numpy(made).view(like.shape)
    net.load_state_dict(state)
    given = torch.from_numpy(uniform("input", seed, 3 * 35 * 18)).view(1, 3, 35, 18)
    out["unet_full.output"] = net(given)[0]
    info["unet_full"] = {"seed": seed, "input": [3, 35, 18], "weights": scales}


# --- latent flow matching ------------------------------------------------------------------------------------------

@torch.no_grad()
def lcfm(folder: pathlib.Path, seed: int) -> None:
    model = build("cfm")
    randomise(model, seed)
    ae, cfm, out, info, seen = model.lcfm.ae, model.lcfm.cfm, {}, {}, {}
    g = torch.Generator().manual_seed(seed + 10)

    m = torch.randn(1, 16, 19, generator=g)
    hooks = watch({f"encoder.{i}": ae.encoder[i] for i in (0, 1, 4, 5, 8)} | {f"decoder.{i}": ae.decoder[i] for i in (0, 1, 4)}, seen)
    z = ae.encode(m)
    h = ae.decode(z)
    for hook in hooks: hook.remove()
    out |= {"ae.mel": m[0], "ae.latent": z[0], "ae.decoded": h[0], "ae.head": ae.head(h)[0]} | {f"ae.{k}": v for k, v in seen.items()}
    out["ae.length_2.latent"] = ae.encode(m[..., :2])[0]
    assert 0.3 < float(z.std()) < 0.95, float(z.std())

    # one residual block with two channels a group
    block = ResBlock(64).eval()
    state = {}
    for name, like in block.state_dict().items():
        state[name] = (1 + 0.2 * torch.randn(like.shape, generator=g) if name.endswith(("original0", ".weight"))
                       else 0.1 * torch.randn(like.shape, generator=g)).bfloat16().float()
    block.load_state_dict(state)
    given = torch.randn(1, 64, 7, generator=g)
    out |= {"block.input": given[0], "block.output": block(given)[0]} | {f"block.weight.{k}": v for k, v in state.items()}

    # times
    times = torch.tensor([0.0, 1e-4, 0.0803656, 0.25, 0.5, 0.7724, 0.999, 1.0])
    out["embedding.t"], out["embedding.output"] = times, SinusodialTimeEmbedding(128)(times)
    p = torch.linspace(0, 4, 64)
    out["embedding.frequency"] = 10**p
    info["grid"] = {str(n): Solver.exponential_decay_mapping(np.linspace(0, 1, n + 1)).tolist() for n in (1, 2, 4, 8, 32)}
    info["grid_divisor_3"] = Solver.exponential_decay_mapping(np.linspace(0, 1, 5), n=3).tolist()

    # the velocity network
    ψ, x = torch.randn(2, 8, 17, generator=g), torch.randn(2, 16, 17, generator=g)
    t = torch.tensor([0.13, 0.81])
    seen.clear()
    hooks = watch({f"wn.layer.{i}": cfm.net.layers[i] for i in (0, 1, 5, 6)}, seen, lambda o: o[0])
    out |= {"wn.z": ψ, "wn.condition": x, "wn.t": t, "wn.velocity": cfm._to_v(ψt=ψ, x=x, t=t)}
    for hook in hooks: hook.remove()
    out |= {k: v for k, v in seen.items()}

    # solvers, from injected noise
    mel_x, mel_0 = torch.randn(1, 16, 23, generator=g), torch.randn(1, 16, 23, generator=g)
    ε = torch.randn(1, 8, 23, generator=g)
    out |= {"solve.condition": mel_x[0], "solve.mel": mel_0[0], "solve.noise": ε[0]}
    info["solve"] = []
    for solver in ("euler", "midpoint", "rk4"):
        for nfe in (1, 2, 4, 7, 8):
            for tau in (0.5,) if nfe != 4 else (0.5, 0.0, 1.0):
                cfm.solver.configurate_(nfe, solver)
                model.lcfm.eval_tau_(tau)
                calls = []
                hook = cfm.net.register_forward_hook(lambda *_: calls.append(1))
                with scripted({"randn_like": [ε]}):
                    decoded = model.lcfm(mel_x, None, ψ0=mel_0)
                hook.remove()
                start = tau * ε + (1 - tau) * 6.0 * ae.encode(mel_0)
                latent = cfm(mel_x, ψ0=start) / 6.0
                assert torch.equal(ae.decode(latent), decoded)
                name = f"solve.{solver}.{nfe}.{tau:g}"
                out[f"{name}.latent"] = latent[0]
                info["solve"].append({"name": name, "solver": solver, "nfe": nfe, "tau": tau, "calls": len(calls), "z_scale": 6.0})
    save(folder / "cases.safetensors", out, half=["block.weight."])
    write_json(folder / "cases.json", header(seed, "lcfm") | info)


# --- vocoder -------------------------------------------------------------------------------------------------------

@torch.no_grad()
def vocoder(folder: pathlib.Path, seed: int) -> None:
    model = build("cfm")
    randomise(model, seed)
    net, out, info, seen = model.vocoder, {}, {}, {}
    g = torch.Generator().manual_seed(seed + 20)
    normal = lambda *shape: torch.randn(shape, generator=g)

    # the location-variable convolution alone: hops below, at and above the kernel's reach
    info["lvc"] = []
    for hop, frames in ((1, 5), (4, 3), (35, 2)):
        x, kernel, bias = normal(2, 3, hop * frames), normal(2, 3, 4, 3, frames), normal(2, 4, frames)
        got = LVCBlock.location_variable_convolution(None, x, kernel, bias, dilation=1, hop_size=hop)
        out |= {f"lvc.{hop}.x": x, f"lvc.{hop}.kernel": kernel, f"lvc.{hop}.bias": bias, f"lvc.{hop}.output": got}
        info["lvc"].append({"hop": hop, "frames": frames})

    # snake and its filters, with values past both clamps; the whole AMP block
    block = AMPBlock(5).eval()
    for parameter in block.parameters(): parameter.copy_((0.4 * torch.randn(parameter.shape, generator=g)).bfloat16())
    block[0][1].act.log_alpha[:3] = torch.tensor([5.0, -6.0, 0.5])
    block[0][1].act.log_beta[:4] = torch.tensor([0.25, 0.5, 5.0, -6.0])
    x = normal(2, 5, 21)
    seen_up = {}
    hooks = watch({"up": block[0][1].upsample, "snake": block[0][1].act, "down": block[0][1].downsample}, seen_up, lambda o: o)
    out |= {"snake.x": x, "snake.output": block[0][1](x)}
    for hook in hooks: hook.remove()
    out |= {f"snake.{k}": v for k, v in seen_up.items()}
    out |= {"amp.output": block(x)} | {f"amp.weight.{k}": v for k, v in block.state_dict().items()}
    out["snake.length_1.output"] = block[0][1](x[..., :1])

    # the kernel predictor and the first block of the small model, then the whole of it
    condition, given = normal(1, 24, 6), noise(g, 1, 128, 16)
    kernels, biases = net.blocks[0].kernel_predictor(condition)
    out |= {"predictor.condition": condition[0], "predictor.kernels": kernels[0], "predictor.biases": biases[0]}
    hooks = watch({"conv_pre": net.conv_pre, "block.0.convt_pre": net.blocks[0].convt_pre, "block.0.amp": net.blocks[0].amp_block,
                   "block.0": net.blocks[0], "block.1": net.blocks[1], "block.2": net.blocks[2]}, seen)
    with scripted({"randn": [given]}):
        audio = net(condition)
    for hook in hooks: hook.remove()
    out |= {"noise": given[0], "audio": audio[0]} | seen
    assert audio.shape == (1, 2520) and 0.05 < float(audio.std()) and float(audio.abs().max()) < 0.98, (audio.std(), audio.abs().max())
    other = normal(1, 24, 6)
    with scripted({"randn": [given]}):
        info["depends_on_condition"] = float((net(other) - audio).std() / audio.std())
    assert info["depends_on_condition"] > 0.1
    save(folder / "cases.safetensors", out, half=["noise"])
    write_json(folder / "cases.json", header(seed, "vocoder") | info)

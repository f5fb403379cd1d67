"""Fixtures of whole inference with Resemble-Enhance: enhancing with injected noise, chunks, resampling. See resemble_enhance.py."""
import contextlib
import pathlib

import numpy as np
import torch
import torchaudio.functional as AF

from recording import scripted
from resemble_enhance import inference as inference_module
from resemble_model import build, header, noise, randomise, save, uniform, write_json
from resemble_parts import sound

RESAMPLING = dict(lowpass_filter_width=64, rolloff=0.9475937167399596, resampling_method="sinc_interp_kaiser", beta=14.769656459379492)
CASES = [("usual", "midpoint", 8, 1.0, 0.5), ("mixed", "midpoint", 4, 0.6, 0.5), ("skip_denoiser", "rk4", 8, 0.0, 0.5),
         ("no_prior_noise", "euler", 4, 1.0, 0.0), ("only_prior_noise", "euler", 1, 0.1, 1.0)]


def loaded(mode: str, seed: int, **changes):
    """Anew each time: inference folds the model's weight norms for good."""
    model = build(mode, **changes)
    randomise(model, seed)
    return model


def frames_of(samples: int) -> int:
    return (samples + 441) // 420


def draws_for(g: torch.Generator, lengths: list[int], latent: int = 8) -> dict[str, list]:
    return {"randn_like": [noise(g, 1, latent, frames_of(n)) for n in lengths], "randn": [noise(g, 1, 128, frames_of(n) + 10) for n in lengths]}


def run(model, audio, draws, **options):
    with scripted({k: list(v) for k, v in draws.items()}):
        return inference_module.inference(model, audio, 44100, "cpu", **options)[0].clone()


def enhance(folder: pathlib.Path, seed: int) -> None:
    g = torch.Generator().manual_seed(seed + 60)
    audio = 0.31 * sound(seed + 61, 4100)
    draws = draws_for(g, [4100])
    out = {"audio": audio, "prior": draws["randn_like"][0][0], "noise": draws["randn"][0][0]}
    info = {"cases": []}
    for name, solver, nfe, lambd, tau in CASES:
        model, seen = loaded("cfm", seed), {}
        model.configurate_(nfe, solver, lambd, tau)
        if name == "mixed":
            def note(_m, args, kwargs):
                seen.update({"condition": args[0][0], "original": kwargs["ψ0"][0]})
            model.lcfm.register_forward_pre_hook(note, with_kwargs=True)
            model.lcfm.cfm.register_forward_hook(lambda _m, _i, o: seen.update(latent=o[0] / 6.0))
            model.lcfm.register_forward_hook(lambda _m, _i, o: seen.update(decoded=o[0]))
            model.denoiser.register_forward_hook(lambda _m, _i, o: seen.update(denoised=o[0]))
        out[f"{name}.output"] = run(model, audio, draws)
        out |= {f"{name}.{k}": v.clone() for k, v in seen.items()}
        info["cases"].append({"name": name, "solver": solver, "nfe": nfe, "lambda": lambd, "tau": tau})
    nudged = run(_configured("cfm", seed, 8, "midpoint", 1.0, 0.5), audio * (1 + 1e-6 * torch.sign(torch.randn(4100, generator=g))), draws)
    info["a_change_of_1e-6_becomes"] = float((nudged - out["usual.output"]).abs().max() / out["usual.output"].abs().max())

    model = loaded("ae", seed)
    out["autoencoder.output"] = run(model, audio, {"randn_like": draws["randn_like"], "randn": draws["randn"]})
    forced = {"silence": torch.zeros(1500), "constant": torch.full((1500,), 0.25), "clipped": (9 * sound(seed + 62, 1500)).clamp(-1, 1)}
    for name, given in forced.items():
        more = draws_for(g, [1500])
        out |= {f"{name}.prior": more["randn_like"][0][0], f"{name}.noise": more["randn"][0][0], f"{name}.audio": given}
        out[f"{name}.output"] = run(_configured("cfm", seed, 2, "midpoint", 1.0, 0.5), given, more)
    info["silence_peak"] = float(out["silence.output"].abs().max())
    for name in ("usual", "mixed", "autoencoder"):
        assert float(out[f"{name}.output"].std()) > 0.005, name
    save(folder / "cases.safetensors", out, half=["prior", "noise"] + [f"{n}.{k}" for n in forced for k in ("prior", "noise")])

    info["lengths"] = []
    for denoise in (False, True):
        for length in (0, 1, 2, 398, 399, 400, 401, 840, 841):
            model = _configured("cfm", seed, 1, "euler", 1.0 if denoise else 0.0, 0.5)
            try:
                got = run(model, audio[:length], draws_for(g, [length]))
                info["lengths"].append({"length": length, "denoise": denoise, "samples": len(got)})
            except Exception as error:
                info["lengths"].append({"length": length, "denoise": denoise, "error": f"{type(error).__name__}: {str(error)[:120]}"})
    write_json(folder / "cases.json", header(seed, "enhance") | info)


def _configured(mode, seed, nfe, solver, lambd, tau):
    model = loaded(mode, seed)
    model.configurate_(nfe, solver, lambd, tau)
    return model


class Identity(torch.nn.Module):
    """A model that returns what it is given: what inference makes of it is the work of its chunks alone."""
    class hp:
        wav_rate = 44100

    def forward(self, x):
        return x


@contextlib.contextmanager
def watching_offsets(found: list):
    """Notes each offset between two chunks, and by how much (relative) the best lag beats the second best."""
    offset, correlation, margins = inference_module.compute_offset, inference_module.compute_corr, []

    def correlate(x, y):
        got = correlation(x, y)
        best = got.mean(dim=0).sort(descending=True).values
        margins.append(float(f"{(best[0] - best[1]) / best[0]:.3g}"))
        return got

    def measure(*arguments, **options):
        value = offset(*arguments, **options)
        found.append({"offset": value, "margin": margins.pop()})
        return value

    inference_module.compute_offset, inference_module.compute_corr = measure, correlate
    try:
        yield
    finally:
        inference_module.compute_offset, inference_module.compute_corr = offset, correlation


@torch.no_grad()
def chunks(folder: pathlib.Path, seed: int) -> None:
    out, info = {}, {"offset": [], "identity": [], "enhance": []}
    # the lag between two versions of an overlap
    base = sound(seed + 70, 9000)
    out["offset.audio"] = base
    for name, first, second, length in (("same", 1000, 1000, 4000), ("later", 1000, 1660, 4000), ("earlier", 1880, 1000, 4000),
                                        ("between", 1000, 1300, 4000), ("short", 1000, 1440, 900)):
        found = []
        with watching_offsets(found):
            inference_module.compute_offset(base[first:first + length], base[second:second + length])
        info["offset"].append({"name": name, "first": first, "second": second, "length": length} | found[0])
    try:
        inference_module.compute_offset(base[:512], base[:512])
    except Exception as error:
        info["offset_of_512_samples"] = f"{type(error).__name__}"

    # the real 30 s chunks and 1 s of overlap over noise from `uniform` in 25 ms steps of loudness
    longest = int(59.5 * 44100)
    steps = (np.abs(uniform("loudness", seed, longest // 1102 + 1)) ** 2).repeat(1102)[:longest].astype(np.float32)
    signal = torch.from_numpy(uniform("signal", seed, longest) * steps)
    info["signal"] = {"seed": seed, "step": 1102}
    for seconds in (29.0, 29.3, 29.9, 30.0, 31.0, 45.0, 58.3, 58.9, 59.5):
        audio = signal[:int(seconds * 44100)]
        found = []
        with watching_offsets(found):
            got = inference_module.inference(Identity(), audio, 44100, "cpu")[0]
        wrong = (got - audio).abs() > 1e-4
        info["identity"].append({"seconds": seconds, "samples": len(audio), "offsets": found, "largest_error": float((got - audio).abs().max()),
                                 "wrong_from": int(wrong.nonzero()[0]) if wrong.any() else None})

    # whole enhancing in small chunks
    options = dict(chunk_seconds=0.09, overlap_seconds=0.025)
    g = torch.Generator().manual_seed(seed + 71)
    audio = 0.4 * sound(seed + 72, 9300)
    out["audio"] = audio
    for name, samples in (("three", 8000), ("short_last", 9300)):
        starts = list(range(0, samples, 3969 - 1102))
        lengths = [min(3969, samples - s) for s in starts]
        draws = draws_for(g, lengths)
        found = []
        with watching_offsets(found):
            out[f"{name}.output"] = run(_configured("cfm", seed, 2, "midpoint", 1.0, 0.5), audio[:samples], draws, **options)
        for i, n in enumerate(lengths):
            out |= {f"{name}.{i}.prior": draws["randn_like"][i][0], f"{name}.{i}.noise": draws["randn"][i][0]}
        info["enhance"].append({"name": name, "samples": samples, "starts": starts, "lengths": lengths, "offsets": found, "nfe": 2,
                                "solver": "midpoint", "lambda": 1.0, "tau": 0.5} | options)
    save(folder / "cases.safetensors", out, half=[f"{n}.{i}." for n in ("three", "short_last") for i in range(4)])
    write_json(folder / "cases.json", header(seed, "chunks") | info)


@torch.no_grad()
def resample(folder: pathlib.Path, seed: int) -> None:
    out, info = {}, {"rates": []}
    for rate in (8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000):
        given = sound(seed + 80, 400)
        got = AF.resample(given, rate, 44100, **RESAMPLING)
        double = AF.resample(given.double(), rate, 44100, **RESAMPLING)
        out |= {f"{rate}.input": given, f"{rate}.output": got}
        info["rates"].append({"rate": rate, "samples": len(got), "float_taps_differ_by": float((got - double).abs().max())})
        if rate == 16000:
            out["16000.output_of_1"] = AF.resample(given[100:101], rate, 44100, **RESAMPLING)
    out["back.input"] = sound(seed + 80, 400)
    out["back.44000.output"] = AF.resample(out["back.input"], 44100, 44000, **RESAMPLING)
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed, "resample") | info)


def draws(folder: pathlib.Path, seed: int) -> None:
    """What torch's generator on the CPU draws after manual_seed: normal values by Box-Muller in blocks, uniform values."""
    out, info = {}, []
    for number, count in ((0, 192), (0, 15), (1, 16), (7, 37), (2**40 + 5, 40), (123, 700)):
        torch.manual_seed(number)
        out[f"normal.{number}.{count}"] = torch.randn(count)
        info.append({"seed": number, "normal": count})
    torch.manual_seed(7)
    out["uniform.7"] = torch.rand(650)
    torch.manual_seed(3)  # as one chunk draws: prior, then the vocoder's noise
    out["chunk.3.prior"], out["chunk.3.noise"] = torch.randn(1, 8, 5)[0], torch.randn(1, 128, 3)[0]
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed, "draws") | {"cases": info})

"""Fixtures of the two enhancer runs: losses, gradients and statistics of one step. See resemble_enhance.py."""
import pathlib

import torch
from safetensors.torch import save_file

from recording import scripted
from resemble_enhance.data.utils import mix_fg_bg
from resemble_enhance.enhancer import enhancer as enhancer_module
from resemble_enhance.enhancer.univnet.discriminator import MPD
from resemble_enhance.enhancer.univnet.mrstft import MRSTFTLoss
from resemble_enhance.utils.engine import gather_attribute
from resemble_model import SMALL, build, build_discriminator, gradients, header, noise, randomise, save, write_json
from resemble_parts import sound, watch

SAMPLES, FRAMES = 3500, 8  # no multiple of the hop


def statistics(model) -> dict[str, float]:
    return {f"{name}.{what}": float(getattr(owner, f"running_{what}_unsafe"))
            for name, owner in (("normalizer", model.normalizer), ("estimator", model.lcfm.ae.estimator)) for what in ("mean", "var")}


def numbers(losses: dict) -> dict[str, float]:
    return {k: v.item() for k, v in losses.items()}


def discriminator(folder: pathlib.Path, seed: int) -> None:
    """Each network's scores, and the losses in both roles."""
    model = build_discriminator()
    weights = randomise(model, seed + 30)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, str(folder / "model.safetensors"))
    real, fake = (torch.stack([a * sound(seed + n, 2600) for n, a in rows]) for rows in (((31, 1.0), (32, 0.6)), ((33, 0.9), (34, 0.4))))
    out, info, seen = {"real": real, "fake": fake}, {}, {}
    hooks = [d.register_forward_hook(lambda _m, _i, o, n=f"{kind}.{i}": seen.setdefault(n, o))
             for kind, group in (("mpd", model.mpd), ("mrd", model.mrd)) for i, d in enumerate(group)]
    with torch.no_grad():
        info["as_generator"] = numbers(model(fake))
        out |= {f"fake.{k}": v for k, v in seen.items()}
        for i, d in enumerate(model.mrd):
            out[f"mrd.{i}.spectrogram"] = d.spectrogram(fake[:1, None])[0, ::16]
    for h in hooks: h.remove()
    info["periods"] = [d.period for d in model.mpd]
    info["stft"] = [d.stft_cfg for d in model.mrd]
    losses = model(fake, real)
    info["as_discriminator"] = numbers(losses)
    sum(losses.values()).backward()
    values, info["gradient_norms"] = gradients("discriminator", model)
    longer = torch.cat([fake, fake[:, :90]], dim=1)  # cut to the shorter of the two
    info["as_discriminator_longer_fake"] = numbers(model(longer, real))
    assert abs(info["as_discriminator_longer_fake"]["mpd_fake"] - info["as_discriminator"]["mpd_fake"]) < 1e-6
    fake.requires_grad_()
    for p in model.parameters(): p.requires_grad_(False)
    sum(model(fake).values()).backward()
    out["fake.gradient"] = fake.grad
    info["divisors"] = {k: SMALL[k] for k in ("mpd_divisor", "mrd_divisor")}
    save(folder / "cases.safetensors", out | values)
    write_json(folder / "cases.json", header(seed, "discriminator") | info)


def stage1(folder: pathlib.Path, seed: int) -> None:
    model, critic = build("ae"), build_discriminator()
    randomise(model, seed)
    randomise(critic, seed + 30)
    model.train(), critic.train()
    g = torch.Generator().manual_seed(seed + 40)
    foreground = torch.stack([sound(seed + 41, SAMPLES), 0.5 * sound(seed + 42, SAMPLES)])
    foreground = foreground / foreground.abs().amax(dim=1, keepdim=True)
    given = noise(g, 2, 128, FRAMES + 10)
    draws = lambda: {"rand_like": [torch.rand(2, 1, 1)], "randn_like": [torch.randn(2, 8, FRAMES)], "randn": [given]}
    out, info, seen = {"foreground": foreground, "noise": given}, {"statistics": [statistics(model)]}, {}

    hooks = watch({"latent": model.lcfm.ae.encoder, "decoded": model.lcfm.ae.decoder, "head": model.lcfm.ae.head,
                   "target_mel": model.normalizer}, seen, lambda o: o)
    with scripted(draws()):
        fake = model(foreground, foreground)
    for h in hooks: h.remove()
    out |= {"fake": fake} | seen
    losses = gather_attribute(model, "losses")
    info["without_gan"] = numbers(losses)
    info["statistics"].append(statistics(model))
    sum(losses.values()).backward(retain_graph=True)
    values, info["without_gan_gradient_norms"] = gradients("without_gan", model)

    for p in critic.parameters(): p.requires_grad_(False)
    adversarial = critic(fake)
    info["with_gan"] = numbers(losses | adversarial)
    sum((losses | adversarial).values()).backward()
    more, norms = gradients("with_gan", model)
    # Both sets for the vocoder's first block and the decoder's first layer; elsewhere the first suffices.
    kept = lambda name: name.startswith(("lcfm.ae.decoder.0", "vocoder.blocks.0.", "vocoder.conv_post"))
    values |= {k: v for k, v in more.items() if kept(k.removeprefix("with_gan.grad."))}
    info["with_gan_gradient_norm"] = sum(v * v for v in norms.values()) ** 0.5
    info["with_gan_gradient_norms"] = {k: v for k, v in norms.items() if kept(k)}
    for p in critic.parameters(): p.requires_grad_(True)
    losses = critic(fake.detach(), foreground)
    info["discriminator"] = numbers(losses)
    sum(losses.values()).backward()
    _, info["discriminator_gradient_norms"] = gradients("discriminator", critic)

    # a second batch through the same weights: the running statistics only
    again = torch.stack([sound(seed + 43, SAMPLES), sound(seed + 44, SAMPLES)])
    out["second"] = again
    with scripted(draws()):
        model(again, again)
    info["statistics"].append(statistics(model))
    # statistics that begin at NaN
    fresh = build("ae").train()
    fresh.load_state_dict({k: v for k, v in model.state_dict().items() if "running_" not in k}, strict=False)
    info["statistics_from_unset"] = []
    for batch in (foreground, again):
        with scripted(draws()):
            fresh(batch, batch)
        info["statistics_from_unset"].append(statistics(fresh))

    # the multi-resolution STFT loss alone
    loss_fn = MRSTFTLoss(model.hp)
    x = 0.7 * sound(seed + 45, 2300)[None].repeat(2, 1).contiguous()
    x[1, 1200:] = 0  # silence: the gradient of a magnitude at 0 is 0
    y = foreground[:, :2200]
    out |= {"mrstft.x": x, "mrstft.y": y}
    x = x.clone().requires_grad_()
    parts = loss_fn(x, y)
    info["mrstft"] = numbers(parts)
    info["mrstft_each"] = [numbers(f(x[:, :2200], y)) for f in loss_fn.stft_losses]
    info["mrstft_sizes"] = [f.stft_cfg for f in loss_fn.stft_losses]
    sum(parts.values()).backward()
    out["mrstft.gradient"] = x.grad
    save(folder / "cases.safetensors", out | values, half=["noise"])
    write_json(folder / "cases.json", header(seed, "stage1") | info)


def stage2(folder: pathlib.Path, seed: int) -> None:
    model = build("cfm")
    randomise(model, seed)
    model.train()
    g = torch.Generator().manual_seed(seed + 50)
    clean = torch.stack([sound(seed + 51, SAMPLES), 0.5 * sound(seed + 52, SAMPLES)])
    distorted = (3 * clean).clamp(-0.6, 0.6)
    background = torch.randn(2, SAMPLES, generator=g) * torch.linspace(0.2, 1, SAMPLES)
    mix = mix_fg_bg(distorted, background, alpha=0.63)
    lambd = torch.tensor([0.83, 0.07])
    tau, t = torch.rand(2, 1, 1, generator=g), torch.rand(2, generator=g)
    prior, jitter = (torch.randn(2, 8, FRAMES, generator=g) for _ in range(2))

    class FixedBeta:
        def __init__(self, a, b): assert (a, b) == (0.2, 0.2)
        def sample(self, shape): assert tuple(shape) == (2,); return lambd

    before, seen = statistics(model), {}
    hooks = watch({"velocity": model.lcfm.cfm.net}, seen, lambda o: o)
    hooks += [model.lcfm.cfm.net.register_forward_hook(
        lambda _m, args, kwargs, _o: seen.update({"psi": args[0], "condition": kwargs["l"]}), with_kwargs=True)]
    original, enhancer_module.Beta = enhancer_module.Beta, FixedBeta
    try:
        with scripted({"rand_like": [tau], "randn_like": [prior, jitter], "rand": [t]}):
            assert model(mix, clean, distorted) is None
    finally:
        enhancer_module.Beta = original
    for h in hooks: h.remove()
    assert statistics(model) == before  # nothing moves in stage 2
    losses = gather_attribute(model, "losses")
    sum(losses.values()).backward()
    assert all(k.startswith(("lcfm.cfm.", "denoiser.")) for k, p in model.named_parameters() if p.grad is not None)
    values, norms = gradients("stage2", model)
    out = {"mix": mix, "clean": clean, "distorted": distorted, "lambda": lambd, "tau": tau[:, 0, 0], "t_uniform": t,
           "t": model.lcfm.cfm.solver.time_mapping(t), "prior": prior, "jitter": jitter} | seen
    save(folder / "cases.safetensors", out | values)
    write_json(folder / "cases.json", header(seed, "stage2") | {"losses": numbers(losses), "gradient_norms": norms, "sigma": 1e-4})

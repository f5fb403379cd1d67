"""The small Resemble-Enhance of the fixtures: its sizes, its seeded weights, and how tensors and gradients are written.

The package takes most of its sizes from default arguments. `sizes` puts others in their place while a model is built; the
classes and all that they compute stay the package's.
"""
import contextlib
import functools
import json
import pathlib
import re
import types

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

import resemble_stand_ins
from resemble_enhance.denoiser import denoiser as denoiser_module
from resemble_enhance.denoiser.hparams import HParams as DenoiserHParams
from resemble_enhance.enhancer import enhancer as enhancer_module
from resemble_enhance.enhancer.hparams import HParams
from resemble_enhance.enhancer.lcfm import cfm as cfm_module
from resemble_enhance.enhancer.univnet import discriminator as discriminator_module
from resemble_enhance.enhancer.univnet import univnet as univnet_module

resemble_stand_ins.repair_time_mapping(cfm_module.Solver)
torch.set_num_threads(1)
# plain torch functions, whatever order threads would sum in
torch.use_deterministic_algorithms(True, warn_only=True)

FORMAT = 1
SMALL = dict(ae_hidden=32, wn_layers=7, wn_hidden=16, unet_hidden=16, unet_blocks=1, unet_middle_blocks=1, kernel_predictor_hidden=8,
             mpd_divisor=32, mrd_divisor=8)
AUDIO = dict(n_fft=1024, win_size=1024, num_mels=16)
MODEL = AUDIO | dict(univnet_nc=5, lcfm_latent_dim=8, vocoder_extra_dim=8, lcfm_z_scale=6.0)


# --- building ------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def sizes(small=SMALL):
    """While this is open, what the package builds has the sizes of `small` (None: its own)."""
    if small is None:
        yield
        return
    changes = [(enhancer_module, "IRMAE", dict(hidden_dim=small["ae_hidden"])),
               (cfm_module, "WN", dict(n_layers=small["wn_layers"], hidden_dim=small["wn_hidden"])),
               (univnet_module, "LVCBlock", dict(kpnet_hidden_channels=small["kernel_predictor_hidden"])),
               (denoiser_module, "UNet", dict(hidden_dim=small["unet_hidden"], num_blocks=small["unet_blocks"],
                                              num_middle_blocks=small["unet_middle_blocks"])),
               # the package keeps one denoiser for all enhancers, with 128 bands in its mel that nothing reads
               (enhancer_module, "load_denoiser", None)]
    before = [getattr(owner, name) for owner, name, _ in changes]
    for (owner, name, options), original in zip(changes, before):
        made = functools.partial(original, **options) if options else lambda *_: denoiser_module.Denoiser(DenoiserHParams(**AUDIO))
        setattr(owner, name, made)
    try:
        yield
    finally:
        for (owner, name, _), original in zip(changes, before):
            setattr(owner, name, original)


def build(mode: str, small=SMALL, **changes):
    """The package's Enhancer in eval mode; `mode` is ae (stage 1) or cfm (stage 2)."""
    options = (MODEL if small is not None else dict(lcfm_z_scale=6.0)) | dict(lcfm_training_mode=mode) | changes
    with sizes(small):
        return enhancer_module.Enhancer(HParams(**options)).eval()


def build_discriminator(small=SMALL):
    """The package's Discriminator; with `small` its convolutions are narrower by the divisors, all else the same."""
    if small is None:
        return discriminator_module.Discriminator(HParams())

    def narrow(cls, divisor):
        def conv(inputs, outputs, *rest, **options):
            return nn.Conv2d(max(1, inputs // divisor), max(1, outputs // divisor), *rest, **options)
        names = types.SimpleNamespace(**{k: getattr(nn, k) for k in ("Module", "ModuleList")}, Conv2d=conv)
        def make(_, argument):
            discriminator_module.nn = names
            try:
                return cls(argument)
            finally:
                discriminator_module.nn = nn
        return make

    mpd, mrd = discriminator_module.MPD, discriminator_module.MRD
    originals = mpd._create_network, mrd._create_network
    mpd._create_network = narrow(discriminator_module.PeriodNetwork, small["mpd_divisor"])
    mrd._create_network = narrow(discriminator_module.SpecNetwork, small["mrd_divisor"])
    try:
        return discriminator_module.Discriminator(HParams())
    finally:
        mpd._create_network, mrd._create_network = originals


# --- weights -------------------------------------------------------------------------------------------------------

STRIDES = [7, 5, 4, 3]
COMPUTED = ("dummy", "stft_magnitude_min", "spectrogram.window", "mel_scale.fb", ".filter")


def value(name: str, like: torch.Tensor, g: torch.Generator, nc: int) -> torch.Tensor:
    """A random tensor for `name` that keeps activations near unit size and leaves no norm, bias or statistic at its default."""
    normal = lambda: torch.randn(like.shape, generator=g)
    if name.endswith(COMPUTED):
        return like
    if name.endswith("running_mean_unsafe"):
        return torch.tensor(0.31 if name.startswith("normalizer") else 0.04)
    if name.endswith("running_var_unsafe"):
        return torch.tensor(0.047 if name.startswith("normalizer") else 0.62)
    if name.endswith(("log_alpha", "log_beta")):
        return 0.4 * normal()
    if name.endswith("net.head.2.bias"):
        return torch.tensor([1.2, 0.5, -0.4])  # neither a closed mask nor an unturned phase
    if name.endswith(".bias"):
        return 0.1 * normal()
    if name.endswith(".weight") and like.ndim == 1:
        return 1 + 0.2 * normal()
    gain = 1.0
    if name.startswith("vocoder"):
        gain = 0.25 if "conv_post" in name else 1.3
        if "kernel_conv" in name:
            gain = 0.7 / (3 * nc) ** 0.5
        elif "bias_conv" in name:
            gain = 0.2
        elif "amp_block" in name:
            gain = 0.7
        elif ".kernel_predictor.residual_convs" in name:
            gain = 0.6
    elif re.search(r"coder\.[1-4]\.11\.", name) or re.search(r"res_block\d\.5\.", name):
        gain = 0.5  # last of a residual branch
    elif re.search(r"ae\.encoder\.[5-8]\.", name) or name.endswith("net.head.2.weight"):
        gain = 0.85 if "encoder" in name else 0.2  # a tanh or a sigmoid follows
    elif name.startswith("mpd") and "conv_post" in name:
        gain = 8.0  # scores on both sides of the hinges
    elif ".ae." in name or "net." in name or name.startswith(("mpd", "mrd")):
        gain = 1.3
    if name.endswith("original0"):
        stride = re.match(r"vocoder\.blocks\.(\d)\.convt_pre", name)
        # a transposed convolution's norms are those of its input channels, and 2 of its 2s taps reach an output
        gain *= STRIDES[int(stride[1])] ** 0.5 if stride else 1
        return gain * (1 + 0.2 * normal())
    if name.endswith("original1"):
        return normal() / like[0].numel() ** 0.5
    return gain * normal() / like[0].numel() ** 0.5


def stored(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """As the fixtures' model file has it: parameters in BF16, what is computed or counted in F32."""
    return tensor if name.endswith(COMPUTED) or "running_" in name else tensor.to(torch.bfloat16)


def randomise(model: nn.Module, seed: int, rounded=True) -> dict[str, torch.Tensor]:
    """Gives the model seeded values (that BF16 holds, when `rounded`) and returns them by name."""
    g = torch.Generator().manual_seed(seed)
    nc = model.hp.univnet_nc if hasattr(model, "vocoder") else 0
    out = {}
    for name, like in sorted(model.state_dict().items()):
        made = value(name, like, g, nc)
        out[name] = stored(name, made) if rounded else made
    with torch.no_grad():
        model.load_state_dict({k: v.float() for k, v in out.items()})
    return out


# --- a generator for tensors too large to store --------------------------------------------------------------------

def uniform(name: str, seed: int, count: int) -> np.ndarray:
    """`count` F32 in [-1, 1): SplitMix64 from the state FNV-1a(name) + seed, its upper 24 bits u as u * 2^-23 - 1."""
    state = 0xcbf29ce484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


# --- files ---------------------------------------------------------------------------------------------------------

def save(path: pathlib.Path, tensors: dict[str, torch.Tensor], half=()) -> None:
    """F32 and I64; those that `half` names (beginnings) in BF16, their values having been rounded before use."""
    out = {}
    for name, tensor in tensors.items():
        tensor = torch.as_tensor(tensor).detach()
        tensor = tensor.long() if tensor.dtype in (torch.int64, torch.int32, torch.bool) else tensor.float()
        assert torch.isfinite(tensor).all(), f"{name} is not finite"
        if half and name.startswith(tuple(half)):
            assert torch.equal(tensor.bfloat16().float(), tensor), name
            tensor = tensor.bfloat16()
        out[name] = tensor.clone().contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(out, str(path))


def versions() -> dict[str, str]:
    from importlib.metadata import version
    return {"resemble-enhance": "0.0.1"} | {p: version(p) for p in ("torch", "torchaudio", "numpy", "scipy", "librosa", "resampy")}


def header(seed: int, kind: str) -> dict:
    return {"version": FORMAT, "seed": seed, "kind": kind, "versions": versions()}


def noise(g: torch.Generator, *shape: int) -> torch.Tensor:
    """Normal values that BF16 holds."""
    return torch.randn(shape, generator=g).bfloat16().float()


def step_of(count: int) -> int:
    return 1 if count <= 64 else (count // 32) | 1


def write_json(path: pathlib.Path, value) -> None:
    """Indented, but lists and objects of plain values on one line."""
    flat = lambda v: json.dumps(v, ensure_ascii=False)
    plain = lambda v: not isinstance(v, (dict, list)) or all(not isinstance(x, (dict, list)) for x in (v.values() if isinstance(v, dict) else v))
    def text(v, depth):
        if plain(v): return flat(v)
        pad, end = " " * (depth + 1), " " * depth
        if isinstance(v, list): return "[\n" + ",\n".join(pad + text(x, depth + 1) for x in v) + f"\n{end}]"
        return "{\n" + ",\n".join(f"{pad}{flat(k)}: {text(x, depth + 1)}" for k, x in v.items()) + f"\n{end}}}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(value, 0) + "\n")


def gradients(case: str, model: nn.Module) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Every parameter's gradient, thinned (see resemble_enhance.py), and the norm of the whole of it; then they are cleared."""
    values, norms = {}, {}
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        flat = parameter.grad.flatten()
        values[f"{case}.grad.{name}"] = flat[::step_of(len(flat))]
        norms[name] = float(f"{flat.double().norm().item():.7g}")
        parameter.grad = None
    return values, norms

"""Fixtures of Resemble-Enhance's training data: mixing, distortions with their parameters. See resemble_enhance.py.

The six effects run through the package's own classes; those of WavAugment go to the `sox` program (resemble_stand_ins.py).
"""
import pathlib
import random
import tempfile

import augment
import numpy as np
import torch

import resemble_stand_ins
from resemble_enhance.data.dataset import _normalize
from resemble_enhance.data.distorter.base import Chain, Choice, Permutation
from resemble_enhance.data.distorter.custom import RandomGaussianNoise, RandomRIR
from resemble_enhance.data.distorter.sox import (RandomBandpassDistorter, RandomEqualizer, RandomLowpassDistorter, RandomOverdrive,
                                                 RandomReverb, SoxEffect)
from resemble_enhance.data.utils import mix_fg_bg
from resemble_model import header, save, write_json
from resemble_parts import sound

RATE = 44100
GIVEN = [  # parameters at the ends of their ranges and between
    ("overdrive", ["5", "20"]), ("overdrive", ["22.5", "61.25"]), ("overdrive", ["40", "80"]),
    ("equalizer", ["100", "1q", "-30"]), ("equalizer", ["1234.5", "3q", "17"]), ("equalizer", ["4000", "5q", "30"]),
    ("equalizer", ["1000", "2q", "0"]),
    ("sinc", ["-n", "50", "-2000"]), ("sinc", ["-n", "133", "-9876.5"]), ("sinc", ["-n", "200", "-16000"]),
    ("sinc", ["-n", "50", "100-2100"]), ("sinc", ["-n", "151", "654-3321"]), ("sinc", ["-n", "200", "1000-5000"]),
    ("reverb", ["50", "50", "50"]), ("reverb", ["0", "0", "0"]), ("reverb", ["100", "30", "77.5"]), ("reverb", ["85", "100", "100"]),
]


def words_of(effect, wav: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The effect's output and the words that sox got, drawn numbers included."""
    seen, original = [], resemble_stand_ins.sox
    resemble_stand_ins.sox = lambda samples, rate, *words: seen.extend(words) or original(samples, rate, *words)
    try:
        return effect(wav, RATE), seen
    finally:
        resemble_stand_ins.sox = original


def data(folder: pathlib.Path, seed: int) -> None:
    out, info = {}, {"effects": [], "drawn": [], "mix": []}
    rng = np.random.default_rng(seed)
    random.seed(seed), np.random.seed(seed)
    wav = sound(seed + 90, 2600).numpy()
    wav /= np.abs(wav).max()
    out["wav"] = torch.from_numpy(wav)
    for i, (name, parameters) in enumerate(GIVEN):
        # a reverb's echoes begin after a thousand samples
        given = wav if name == "reverb" else wav[:700]
        effect = SoxEffect(name, *parameters)
        if name == "reverb":
            effect = RandomReverb()
            effect.effects[0].args = tuple(parameters)
        got, words = words_of(effect, given)
        if words[:2] == ["reverb", "50"]:
            assert np.array_equal(got, RandomReverb(deterministic=True)(given, RATE))
        out[f"effect.{i}"] = torch.from_numpy(np.asarray(got))
        info["effects"].append({"index": i, "effect": name, "parameters": parameters, "samples": len(given), "words": words})
    # the ranges, as the package draws them: the words that sox gets
    for cls in (RandomReverb, RandomOverdrive, RandomEqualizer, RandomLowpassDistorter, RandomBandpassDistorter):
        info["drawn"].append({"class": cls.__name__, "words": [words_of(cls(), wav[:64])[1] for _ in range(3)]})

    # noise
    np.random.seed(seed), random.seed(seed)
    out["noise.output"] = torch.from_numpy(RandomGaussianNoise()(wav[:700], RATE))
    np.random.seed(seed), random.seed(seed)
    out["noise.normal"], info["noise_alpha"] = torch.from_numpy(np.random.randn(700)), random.uniform(0.8, 1)

    # room responses: direct sound at the start, in the middle; one that is loud; an even and an odd count of taps
    info["rir"] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, taps, peak, scale in (("start", 300, 0, 0.3), ("late", 301, 120, 0.3), ("loud", 64, 3, 6.0), ("longer_than_signal", 900, 10, 0.3)):
            rir = (rng.standard_normal(taps) * np.exp(-np.arange(taps) / (taps / 6)) * 0.2).astype(np.float32)
            rir[:peak] = 0
            rir[peak] = 1
            rir = (rir * np.float32(scale)).astype(np.float32)
            place = pathlib.Path(scratch) / name
            place.mkdir()
            np.save(place / "one.npy", rir[None])
            given = wav[:700]
            got = RandomRIR(place, deterministic=True)(given, RATE)
            out |= {f"rir.{name}.taps": torch.from_numpy(rir), f"rir.{name}.output": torch.from_numpy(np.asarray(got))}
            info["rir"].append({"name": name, "taps": taps, "peak": peak, "samples": 700, "rate": RandomRIR(place).rir_rate})
    import librosa
    for a, b in ((44100, 44000), (44000, 44100)):
        out[f"kaiser_fast.{a}.{b}"] = torch.from_numpy(librosa.resample(wav[:700], orig_sr=a, target_sr=b, res_type="kaiser_fast"))

    # mixing: foreground and background energies alike, alpha as drawn
    fg, bg = (torch.stack([sound(seed + n, 500), 0.3 * sound(seed + n + 1, 500)]) for n in (91, 93))
    bg[1, 250:] = 0
    out |= {"mix.fg": fg, "mix.bg": bg}
    for alpha in (0.0, 0.2, 0.5, 0.8, 1.0):
        out[f"mix.{alpha:g}"] = mix_fg_bg(fg, bg, alpha=alpha)
        info["mix"].append({"alpha": alpha, "snr_db": float(20 * np.log10(alpha / (1 - alpha))) if 0 < alpha < 1 else None})
    out["mix.silent"] = mix_fg_bg(torch.zeros_like(fg), bg, alpha=0.8)
    out["normalised"] = torch.from_numpy(_normalize(fg[1].numpy()))

    # a silent foreground through overdrive, then normalised (a constant that decays, at full scale)
    silent = _normalize(SoxEffect("overdrive", "20", "40")(np.zeros(400, dtype=np.float32), RATE))
    out["silent_overdrive"] = torch.from_numpy(silent)

    # the tree: how many of the six effects, in which order
    order = []
    class Mark:
        def __init__(self, name): self.name = name
        def __call__(self, x, sr): order[-1].append(self.name); return x
    names = ["rir", "reverb", "noise", "overdrive", "equaliser", "band"]
    tree = Choice(Permutation(*map(Mark, names)), Chain(), p=[0.8, 0.2])
    for _ in range(2000):
        order.append([])
        tree(wav[:4], RATE)
    share = lambda n: sum(len(o) == n for o in order) / len(order)
    info["tree"] = {"draws": len(order), "share_of_lengths": [share(n) for n in range(7)],
                    "share_of_effects": {n: sum(n in o for o in order) / len(order) for n in names}}
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed, "data") | info)

#!/usr/bin/env python3
"""The Resemble-Enhance package beside ours at full size, by hand or from `make check-slow`. Needs requirements_resemble.txt.

    resemble_full_size.py --make RUN [--seed N]
        A stage-2 run directory of the package with random F32 weights at unit gain (1.4 GB).
    resemble_full_size.py --golden RUN --out DIR [--seconds S] [--threads N]
        DIR/input.wav, something like speech; DIR/NAME.wav, what the package makes of it in each of CASES, torch's generator
        seeded after loading; DIR/golden.json: what becomes of a change of 1e-6 in the input. Prints, a case a line, its
        name and the options of tts-enhance that do the same.
    resemble_full_size.py --compare DIR --with OURS
        OURS/NAME.wav beside that, a case a line. The exit code is 1 when a difference is over LIMIT of the package's peak.
"""
import argparse
import json
import os
import pathlib
import sys
import warnings

HERE = pathlib.Path(__file__).resolve().parent
# resemble_enhance.py beside this file is called like the package: look here last.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != HERE] + [str(HERE)]
os.environ.setdefault("TQDM_DISABLE", "1")
warnings.filterwarnings("ignore")

import numpy as np
import soundfile
import torch

import resemble_stand_ins  # first: the package imports what this stands in for
from resemble_enhance.enhancer.inference import load_enhancer
from resemble_enhance.inference import inference
from resemble_layout import write_run
from resemble_model import build, randomise
from resemble_parts import sound

RATE = 44100
LIMIT = 1e-5
# name: solver, evaluations (none: denoise), lambda, tau, seed
CASES = {"denoise": None, "midpoint-8": ("midpoint", 8, 1.0, 0.5, 0), "rk4-8": ("rk4", 8, 1.0, 0.5, 7), "euler-4": ("euler", 4, 0.6, 0.25, 123)}


def make(run: pathlib.Path, seed: int) -> None:
    made = build("cfm", small=None)
    write_run(run, made, randomise(made, 1000 * seed, rounded=False))


def options(case: tuple | None) -> str:
    """The options of tts-enhance for a case."""
    if case is None:
        return "--mode denoise"
    solver, nfe, lambd, tau, seed = case
    return f"--solver {solver} --nfe {nfe} --lambd {lambd} --tau {tau} --seed {seed}"


def golden(run: pathlib.Path, out: pathlib.Path, seconds: float, threads: int) -> None:
    torch.set_num_threads(threads)
    enhancer = load_enhancer(run, "cpu")
    audio = 0.5 * sound(1001, int(seconds * RATE))
    nudged = audio * (1 + 1e-6 * torch.sign(torch.randn(len(audio), generator=torch.Generator().manual_seed(1))))
    out.mkdir(parents=True, exist_ok=True)
    soundfile.write(out / "input.wav", audio.numpy(), RATE, subtype="FLOAT")
    becomes = {}
    for name, case in CASES.items():
        def result(samples: torch.Tensor) -> np.ndarray:
            if case is None:
                return inference(enhancer.denoiser, samples, RATE, "cpu")[0].numpy()
            enhancer.configurate_(case[1], case[0], case[2], case[3])
            torch.manual_seed(case[4])
            return inference(enhancer, samples, RATE, "cpu")[0].numpy()

        first = result(audio)
        becomes[name] = difference(result(nudged), first)
        soundfile.write(out / f"{name}.wav", first, RATE, subtype="FLOAT")
        print(name, options(case), flush=True)
    (out / "golden.json").write_text(json.dumps({"a_change_of_1e-6_becomes": becomes}) + "\n")


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest, relative to the peak."""
    return float(np.abs(ours.astype(np.float64) - theirs).max() / np.abs(theirs).max())


def compare(folder: pathlib.Path, ours: pathlib.Path) -> int:
    becomes, failed = json.loads((folder / "golden.json").read_text())["a_change_of_1e-6_becomes"], 0
    for name in CASES:
        (theirs, _), (found, rate) = (soundfile.read(place / f"{name}.wav", dtype="float32") for place in (folder, ours))
        if (rate, found.shape) != (RATE, theirs.shape):
            print(f"resemble-enhance, {name}: {found.shape} samples at {rate} Hz instead of {theirs.shape}")
            failed += 1
            continue
        apart = difference(found, theirs)
        right = apart <= LIMIT and np.abs(theirs).max() > 0.05
        failed += not right
        print(f"resemble-enhance, {name}: differs by {apart:.1e} of the peak{'' if right else f', which is more than {LIMIT:.0e}'}; "
              f"in the package a change of 1e-6 in the input becomes {becomes[name]:.1e}")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], usage=__doc__.split("\n\n", 1)[1])
    for name in ("--make", "--golden", "--compare", "--with", "--out"): parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0)
    a = parser.parse_args()
    if a.make:
        make(a.make, a.seed)
    elif a.golden and a.out:
        golden(a.golden, a.out, a.seconds, a.threads)
    elif a.compare and vars(a)["with"]:
        return compare(a.compare, vars(a)["with"])
    else:
        parser.error("give --make, --golden with --out, or --compare with --with")
    return 0


if __name__ == "__main__":
    sys.exit(main())

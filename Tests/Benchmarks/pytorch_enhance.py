#!/usr/bin/env python3
"""PyTorch's side of `make bench` for enhancing: the Resemble-Enhance package. Needs Tests/Parity/requirements_resemble.txt.

    pytorch_enhance.py versions
    pytorch_enhance.py --model RUN --nfe N... [--duration S] [--threads N]

RUN is a run directory of the package; with 0 evaluations of the flow it denoises.
Measures once for every line on stdin and answers with a line of JSON like `tts-bench enhance`: seconds for a second of
audio, peak memory in MB, and the seconds that loading and the first tenth of a second took.
"""
import argparse
import json
import logging
import os
import pathlib
import sys
import time
import warnings

# A script of the parity folder is named like the package: look there last.
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "Parity"))
os.environ.setdefault("TQDM_DISABLE", "1")
warnings.filterwarnings("ignore")

import resemble_stand_ins  # first: the package imports what this stands in for
import torch
from resemble_enhance.enhancer.inference import load_enhancer
from resemble_enhance.enhancer.lcfm.cfm import Solver
from resemble_enhance.inference import inference

import peer

RATE = 44100
resemble_stand_ins.repair_time_mapping(Solver)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], usage=__doc__.split("\n\n", 1)[1])
    parser.add_argument("what", nargs="?", choices=["versions"])
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--nfe", type=int, action="append")
    parser.add_argument("--duration", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    if a.what:
        from importlib.metadata import version
        print(json.dumps({"resemble-enhance": version("resemble-enhance")}))
        return
    logging.disable(logging.WARNING)
    torch.set_num_threads(a.threads)
    start = time.perf_counter()
    enhancer, sound = load_enhancer(a.model, "cpu"), 0.1 * torch.randn(int(a.duration * RATE), generator=torch.Generator().manual_seed(0))

    def work(samples: torch.Tensor, evaluations: int) -> None:
        if evaluations:
            enhancer.configurate_(evaluations, "midpoint", 1.0, 0.5)
        inference(enhancer if evaluations else enhancer.denoiser, samples, RATE, "cpu")

    work(sound[:RATE // 10], min(a.nfe[0], 1))  # the package folds its weight norms the first time
    load = time.perf_counter() - start

    def measure() -> dict[str, float]:
        figures = {f"enhance_{n}_s" if n else "denoise_s": peer.seconds(lambda: work(sound, n)) / a.duration for n in a.nfe}
        return figures | {"memory_mb": peer.peak_memory(), "load_s": load}

    peer.serve(measure)


if __name__ == "__main__":
    main()

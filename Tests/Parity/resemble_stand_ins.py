"""Stand-ins for what the Resemble-Enhance package imports and the fixtures do not need: import this before the package.

deepspeed        the distributed trainer: its names only. Calling any of them is an error, so that no fixture can rest on it.
matplotlib, celluloid, ptflops   pictures and counts: the same.
augment          WavAugment, the binding of libsox: each effect of a chain goes through the `sox` program instead, on 32-bit
                 integer samples, which is what libsox computes with. Needs `sox` on the path (or in $SOX) when it is called.
Also, a fixture must not depend on the versions of numpy and scipy: `Solver.exponential_decay_mapping` makes a number of an
array of one element, which new numpy refuses; `repair_time_mapping` gives it a solver that returns a number.
"""
import os
import subprocess
import sys
import types

import numpy as np
import torch


def absent(name: str):
    def refuse(*_, **__):
        raise RuntimeError(f"{name} is a stand-in: the fixtures must not need it")
    return refuse


class NoEngine:
    """Base class of the package's Engine."""

    def __init__(self, *_, **__):
        absent("DeepSpeedEngine")()


def module(name: str, **contents) -> types.ModuleType:
    made = sys.modules.setdefault(name, types.ModuleType(name))
    made.__dict__.update(contents)
    made.__path__ = []
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, made)
    return made


# --- WavAugment ----------------------------------------------------------------------------------------------------

def sox(samples: np.ndarray, rate: int, *effect: str) -> np.ndarray:
    """Float samples through one effect of the `sox` program: to 32-bit integers and back, without dither."""
    raw = ["-t", "s32", "-r", str(rate), "-c", "1"]
    given = np.clip(np.round(samples.astype(np.float64) * 2.0**31), -2.0**31, 2.0**31 - 1).astype("<i4")
    done = subprocess.run([os.environ.get("SOX", "sox"), "-V1", "-D", *raw, "-", "-t", "s32", "-", *effect], input=given.tobytes(),
                          capture_output=True, check=True)
    return (np.frombuffer(done.stdout, dtype="<i4") / 2.0**31).astype(np.float32)


class EffectChain:
    """A chain as WavAugment builds it: each method adds the effect of its name; arguments may be callables that draw."""

    def __init__(self):
        self.effects = []

    def __getattr__(self, name):
        if name not in ("sinc", "equalizer", "overdrive", "reverb", "channels"):
            raise AttributeError(name)
        return lambda *arguments: self.effects.append((name, *arguments)) or self

    def apply(self, samples: torch.Tensor, src_info, target_info) -> torch.Tensor:
        # Draws in the order of the arguments; all effects in one program, which passes integers from one to the next.
        words = [str(word() if callable(word) else word) for effect in self.effects for word in effect]
        self.drawn = words
        return torch.from_numpy(sox(samples[0].numpy(), int(src_info["rate"]), *words))[None]


def repair_time_mapping(solver_class) -> None:
    import scipy.optimize

    def mapping(t, n=4):
        h = lambda t, a: (a**t - 1) / (a - 1)
        a = scipy.optimize.fsolve(lambda a: h(1 / n, a) - 0.5, x0=0).item()
        return h(t, a)

    solver_class.exponential_decay_mapping = staticmethod(mapping)


module("deepspeed", DeepSpeedConfig=absent("DeepSpeedConfig"), init_distributed=absent("init_distributed"))
module("deepspeed.accelerator", get_accelerator=absent("get_accelerator"))
module("deepspeed.runtime")
module("deepspeed.runtime.engine", DeepSpeedEngine=NoEngine)
module("deepspeed.runtime.utils", clip_grad_norm_=absent("clip_grad_norm_"))
module("matplotlib")
module("matplotlib.pyplot")
module("augment", EffectChain=EffectChain)

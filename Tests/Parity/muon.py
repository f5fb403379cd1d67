"""Fixtures of the official Muon with its auxiliary AdamW, called by pocket_tts.py, whose conventions hold.

DIR/optimiser_muon/cases.safetensors and cases.json: ten steps on a small backbone and head of the official modules. The
  parameters' names, shapes and groups are in cases.json: `groups` [{use_muon, lr_scale, weight_decay, split_sizes (null:
  the weight is one matrix), parameters}] as the official build_optimizer made them. One layer's attention is wider than
  the model and its key and value heads are grouped, so that in_proj has blocks of two heights. Every 2-D weight of the
  head whose rows are two or three times its columns is split into square blocks, which here meets
  flow_net.input_proj.weight too, that is no modulation. `still` of cases.json are parameters without gradients.
      start.NAME, gradient.STEP.NAME   gradients before clipping
      norm.STEP [1]                    of all gradients, before clipping to optimiser.max_norm
      after.STEP.NAME                  the polar iteration in F32
      momentum.NAME                    Muon's momentum after the last step
      official.after.9.NAME            the same ten steps with the iteration in BF16, as the official trainer runs it. Of
                                       blocks as small as these about one in 3000 diverges there (as far as 1e21): its
                                       rounding pushes a singular value out of the range in which the polynomials
                                       converge. Draws that meet one are passed over; cases.json's `draw` counts them
      rms.after.0.NAME, rms.after.9.NAME   the same start and gradients with muon_rms_match, the iteration in F32
  cases.json also: optimiser (settings), rates [10] of lr; a group's rate is lr_scale times that; rms [{lr_scale,
  weight_decay}] of the same groups with muon_rms_match.
      polar.K.input [rows, cols]       K of cases.json `polar`: [{steps, what}]
      polar.K.bf16, polar.K.f32, polar.K.f64   the official polar_express, in BF16 as it is, and its very steps in F32 and
                                       F64 (that result rounded to F32)
"""
import pathlib
from contextlib import contextmanager

import torch
from torch import nn

from pocket_tts.modules.mlp import SimpleMLPAdaLN
from pocket_tts.modules.transformer import StreamingTransformer
from recording import close, header, save, write_json
from training.args import OptimArgs, TrainArgs
from training.modules.muon import polar_express
from training.train_utils import build_optimizer, lr_at

STEPS = 10
STILL = ("flow_lm.flow_net.cond_embed.weight", "flow_lm.transformer.layers.1.linear2.weight", "flow_lm.out_norm.bias")
SETTINGS = dict(type="muon", lr=0.002, muon_lr=0.005, muon_momentum=0.95, muon_head=True, muon_polar_steps=6, weight_decay=0.1,
                betas=(0.9, 0.95), eps=1e-8, max_norm=1.0, warmup_steps=4, schedule="cosine", lr_min_ratio=0.1)


@contextmanager
def iterating_in(dtype: torch.dtype):
    """While this is open, what the official code computes in BF16 it computes in `dtype`."""
    original = torch.Tensor.bfloat16
    torch.Tensor.bfloat16 = lambda self: self.to(dtype)
    try:
        yield
    finally:
        torch.Tensor.bfloat16 = original


class Small(nn.Module):
    """What build_optimizer looks at, from official modules; both layers need not be alike."""

    def __init__(self):
        super().__init__()
        lm = nn.Module()
        lm.transformer = nn.Module()
        grouped = StreamingTransformer(d_model=8, num_heads=3, num_layers=1, dim_feedforward=20, attn_dim=12, num_kv_heads=1)
        plain = StreamingTransformer(d_model=8, num_heads=2, num_layers=1, dim_feedforward=6)
        lm.transformer.layers = nn.ModuleList([grouped.layers[0], plain.layers[0]])
        lm.out_norm = nn.LayerNorm(8)
        lm.flow_net = SimpleMLPAdaLN(3, 6, 3, 8, 1, 0)
        lm.conditioner = nn.Module()
        lm.conditioner.embed = nn.Embedding(7, 8)
        lm.input_linear = nn.Linear(3, 8, bias=False)  # a 2-D weight outside the layers: AdamW
        lm.bos_emb = nn.Parameter(torch.zeros(3))
        self.flow_lm = lm


def ten_steps(start: dict, gradients: list[dict], **changes):
    """Ten official steps; what is returned: after each, the parameters; the norms, the optimiser, the rates."""
    model = Small()
    model.load_state_dict(start)
    named = dict(model.named_parameters())
    args = TrainArgs(max_steps=STEPS, optim=OptimArgs(**SETTINGS | changes))
    optimiser = build_optimizer(model, args, torch.device("cpu"), 1)
    after, norms, rates = [], [], []
    for step in range(STEPS):
        rates.append(lr_at(step, args))
        for group in optimiser.param_groups:
            group["lr"] = rates[-1] * group.get("lr_scale", 1.0)
        optimiser.zero_grad()
        for name, gradient in gradients[step].items():
            named[name].grad = gradient.clone()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), args.optim.max_norm).reshape(1))
        optimiser.step()
        after.append({k: p.detach().clone() for k, p in named.items()})
    names = {id(p): k for k, p in named.items()}
    groups = [{"use_muon": g.get("use_muon", False), "lr_scale": g["lr_scale"], "weight_decay": g["weight_decay"],
               "split_sizes": g.get("split_sizes"), "parameters": [names[id(p)] for p in g["params"]]} for g in optimiser.param_groups]
    momentum = {names[id(p)]: s["momentum_buffer"] for p, s in optimiser.state.items() if "momentum_buffer" in s}
    return after, norms, rates, groups, momentum


def step_cases(g: torch.Generator) -> tuple[dict, dict]:
    model = Small()
    start = {k: torch.randn(p.shape, generator=g) * 0.3 for k, p in model.state_dict().items()}
    gradients = []
    for step in range(STEPS):
        drawn = {k: torch.randn(p.shape, generator=g) * (0.01 if step % 3 == 1 else 0.2) for k, p in start.items() if k not in STILL}
        drawn["flow_lm.conditioner.embed.weight"][5:] = 0  # rows of tokens that do not occur
        gradients.append(drawn)
    with iterating_in(torch.float32):
        after, norms, rates, groups, momentum = ten_steps(start, gradients)
        rms, *_, rms_groups, _ = ten_steps(start, gradients, muon_rms_match=True)
    official, *_ = ten_steps(start, gradients)
    assert any(n > 1 for n in norms) and any(n < 1 for n in norms), "some gradients are to be clipped, others not"
    out = {f"start.{k}": v for k, v in start.items()}
    for step in range(STEPS):
        out |= {f"gradient.{step}.{k}": v for k, v in gradients[step].items()}
        out |= {f"after.{step}.{k}": v for k, v in after[step].items()} | {f"norm.{step}": norms[step]}
    out |= {f"momentum.{k}": v for k, v in momentum.items()}
    out |= {f"official.after.9.{k}": v for k, v in official[-1].items()}
    for step in (0, STEPS - 1):
        out |= {f"rms.after.{step}.{k}": v for k, v in rms[step].items()}
    assert all(torch.equal(after[-1][k], start[k]) == (k in STILL) for k in start)
    return out, {"optimiser": SETTINGS, "max_steps": STEPS, "rates": rates, "groups": groups, 
                 "rms": [{k: x[k] for k in ("lr_scale", "weight_decay")} for x in rms_groups], "still": STILL}


def polar_cases(g: torch.Generator) -> tuple[dict, dict]:
    normal = lambda *shape: torch.randn(shape, generator=g)
    inputs = [("square", 6, normal(6, 6)), ("tall", 6, normal(20, 8)), ("wide", 6, 1e-4 * normal(8, 20)), ("row", 6, normal(1, 7)),
              ("column", 6, 100 * normal(7, 1)), ("rank 2", 6, normal(8, 2) @ normal(2, 8)), ("zero", 6, torch.zeros(4, 3)),
              ("fewer steps", 5, normal(12, 9)), ("more steps than there are coefficients", 9, normal(9, 12))]
    out = {}
    for k, (_, steps, value) in enumerate(inputs):
        out[f"polar.{k}.input"] = value
        out[f"polar.{k}.bf16"] = polar_express(value, steps)
        assert out[f"polar.{k}.bf16"].dtype == torch.bfloat16
        for name, dtype in (("f32", torch.float32), ("f64", torch.float64)):
            with iterating_in(dtype):
                out[f"polar.{k}.{name}"] = polar_express(value, steps)
            assert out[f"polar.{k}.{name}"].dtype == dtype
    return out, {"polar": [{"what": what, "steps": steps} for what, steps, _ in inputs]}


def cases(folder: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for draw in range(100):
        g = torch.Generator().manual_seed(seed + 13 + 1000003 * draw)
        out, about = step_cases(g)
        ends = [k.removeprefix("official.") for k in out if k.startswith("official.")]
        if all(close(out[f"official.{k}"], out[k], 0.02) for k in ends):
            break
    else:
        raise AssertionError("the iteration in BF16 diverges for every draw")
    more, described = polar_cases(g)
    save(folder / "cases.safetensors", out | more)
    write_json(folder / "cases.json", header(seed // 1000, "optimiser_muon") | {"draw": draw} | about | described)

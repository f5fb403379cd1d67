"""Fixtures of the official head distillation, called by pocket_tts.py, whose conventions hold.

DIR/head_distillation/cases.json: cases [{name, model, flow, objective {} (of the flow type), overrides {dotted name: value}
  (of the model's config.yaml, for the new head), loss (mse or drifting), samples k, temp, teacher_steps, parameters
  (trainable, by name), without_gradient}].
  `model` is a folder below DIR: its weights are the backbone and the frozen head, and the batch is its training.safetensors'
  `batch.*`. No condition is dropped, in training as in validation. N valid frames, row by row.
DIR/head_distillation/CASE.head.safetensors: flow_lm.flow_net.NAME, the new head at its start (the official head_init_from).
DIR/head_distillation/cases.safetensors:
      MODEL.z [N, Z]                   the frozen backbone's output at the valid frames
      CASE.noise [k, N, C]             standard normals, before the temperature scales them by its square root
      CASE.draws [G, N, C]             loss drifting: the noises of the generations
      CASE.target [N, k, C]            the frozen head's samples: one step of an LSD head, 16 of a flow matching head; what a
                                       head without time conditions returns is the sample (whether drifting or pointwise)
      CASE.loss, CASE.head_loss [1]; loss drifting also CASE.drifting_loss, CASE.temp, CASE.std_mean [1]
      CASE.grad_norm [1]               of all gradients, before clipping
      CASE.grad.NAME                   before clipping, of every parameter that has one
  With the loss mse the learned temperature of a drifting head is trainable and gets no gradient.
"""
import pathlib
from contextlib import contextmanager

import torch
from safetensors.torch import load_file, save_file

import official
import training.modules.model as official_model
from recording import C, close, header, inputs, save, scripted, working_in, write_json
from training.args import FlowArgs, TrainArgs
from training.modules.builders import build_models

DECODERS = ("drifting_decode", "ot_decode", "lsd_decode")


def head_cases() -> list[dict]:
    small = {"flow_lm.flow.dim": 12, "flow_lm.flow.depth": 1}
    case = lambda name, flow, model="lsd_train", loss="mse", samples=1, temp=1.0, overrides=small, objective={}: dict(
        name=name, model=model, flow=flow, objective=objective, overrides=overrides | {"flow_lm.flow.type": flow}, loss=loss,
        samples=samples, temp=temp)
    drifting = dict(num_neg=5, temp=0.7)
    return [
        case("lsd", "lsd", overrides={"flow_lm.flow.dim": 8}),
        case("flow_matching", "flow_matching", temp=0.49),
        case("drifting", "drifting", objective=drifting),
        case("drawn", "drifting", loss="drifting", samples=3, temp=0.49, objective=drifting),
        case("drawn_once", "drifting", loss="drifting", objective=drifting | {"temp_loss_weight": 0.0, "normalize_force": False}),
        case("from_flow_matching", "drifting", model="flow_matching_train", loss="drifting", samples=2, objective=drifting),
        case("from_drifting", "flow_matching", model="drifting", overrides={"flow_lm.flow.dim": 8, "flow_lm.flow.depth": 3}),
    ]


@contextmanager
def recorded_decoders(seen: list):
    """While this is open, what the official model's decoders return is kept in `seen`."""
    originals = {name: getattr(official_model, name) for name in DECODERS}

    def keeping(function):
        def decode(*arguments):
            seen.append(function(*arguments))
            return seen[-1]
        return decode

    for name, function in originals.items(): setattr(official_model, name, keeping(function))
    try:
        yield
    finally:
        for name, function in originals.items(): setattr(official_model, name, function)


def build(folder: pathlib.Path, case: dict, **more):
    args = TrainArgs(model_config="config.yaml", model_overrides=case["overrides"], head_distill=True,
                     flow=FlowArgs(type=case["flow"], kwargs=case["objective"]), head_distill_loss=case["loss"],
                     head_distill_samples=case["samples"], head_distill_temp=case["temp"], **more)
    with working_in(folder):
        return build_models(args)[0].train()


def head_case(out: dict, case: dict, models: pathlib.Path, folder: pathlib.Path, g: torch.Generator) -> None:
    name, source = case["name"], models / case["model"]
    head = folder / f"{name}.head.safetensors"
    # The official start closes the head (its output is zero), behind which most gradients vanish.
    fresh = build(source, case).flow_lm.flow_net
    save_file({f"flow_lm.flow_net.{k}": official.unit_gain(k, v, g).contiguous() for k, v in sorted(fresh.state_dict().items())}, head)
    model = build(source, case, head_init_from=str(head))
    batch = {k: v for k, v in load_file(source / "training.safetensors").items() if k.startswith("batch.")}
    latents, mask, tokens, voice, voice_frames = inputs(batch)
    N, k = int(mask.sum()), case["samples"] if case["loss"] == "drifting" else 1
    out[f"{name}.noise"] = torch.randn(k, N, C, generator=g)
    draws = {"rand": [torch.rand(3, generator=g) for _ in range(2)], "randn": [out[f"{name}.noise"]]}
    if case["loss"] == "drifting":
        out[f"{name}.draws"] = torch.randn(case["objective"]["num_neg"], N, C, generator=g)
        draws["randn"].append(out[f"{name}.draws"])
    fl = model.flow_lm
    with torch.no_grad(), scripted({"rand": [x.clone() for x in draws["rand"]]}):
        z = model.backbone_z(fl, (latents - fl.emb_mean) / fl.emb_std, tokens, voice, voice_frames, cfg_dropout=False)[mask]
    out[f"{case['model']}.z"] = z
    seen = []
    with scripted(draws), recorded_decoders(seen):
        loss, metrics = model(latents, mask, tokens, voice, num_voice_prompt_frames=voice_frames)
    loss.backward()
    (targets,) = seen
    out[f"{name}.target"] = targets.reshape(k, N, C).transpose(0, 1)
    for key in ("loss", "head_loss", "drifting_loss", "temp", "std_mean"):
        if key in metrics:
            out[f"{name}.{key}"] = metrics[key].reshape(1)
    trainable = {key: p for key, p in model.named_parameters() if p.requires_grad}
    assert all(key.startswith("flow_lm.flow_net.") or key == "flow.temp" for key in trainable)
    assert all(p.grad is None for key, p in model.named_parameters() if key not in trainable)
    without = [key for key, p in trainable.items() if p.grad is None]
    assert without == (["flow.temp"] if case["flow"] == "drifting" and case["loss"] == "mse" else []), without
    for key, p in trainable.items():
        if p.grad is not None:
            assert p.grad.any(), key
            out[f"{name}.grad.{key}"] = p.grad.clone()
    out[f"{name}.grad_norm"] = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).reshape(1)
    case |= {"teacher_steps": {0: 1, 1: 16, 2: 1}[model.head_teacher.num_time_conds], "parameters": list(trainable),
             "without_gradient": without}
    if case["loss"] == "mse":  # the recorded noise and target mean what we say they mean
        with torch.no_grad():
            sample = model.flow.decode(lambda *a: fl.flow_net(z, *a), out[f"{name}.noise"][0] * case["temp"]**0.5, 1)
        assert close((sample - out[f"{name}.target"][:, 0]).square().mean().reshape(1), out[f"{name}.loss"])


def head(folder: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    g = torch.Generator().manual_seed(seed + 14)
    out, described = {}, head_cases()
    for case in described:
        head_case(out, case, folder.parent, folder, g)
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed // 1000, "head_distillation") | {"cases": described})

"""Fixtures of Resemble-Enhance's files: the small model, names and shapes at full size, run directories. See resemble_enhance.py."""
import collections
import logging
import pathlib

import torch
from safetensors.torch import save_file

import resemble_stand_ins
from resemble_enhance.denoiser import inference as denoiser_inference
from resemble_enhance.denoiser.denoiser import Denoiser
from resemble_enhance.denoiser.hparams import HParams as DenoiserHParams
from resemble_enhance.enhancer.hparams import HParams
from resemble_model import AUDIO, MODEL, SMALL, build, build_discriminator, header, randomise, save, sizes, write_json
from resemble_parts import sound

CHECKPOINT = pathlib.Path("ds/G/default/mp_rank_00_model_states.pt")


def model(folder: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    made = build("cfm")
    save_file(randomise(made, seed), str(folder / "model.safetensors"))
    (folder / "hparams.yaml").unlink(missing_ok=True)
    made.hp.save_if_not_exists(folder)
    write_json(folder / "sizes.json", header(seed, "model") | {"sizes": SMALL, "hparams": MODEL, "parameters": count(made)})


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def states(module: dict, optimizer: dict | None = None, buffers=()) -> dict:
    """The dictionary that DeepSpeed 0.12.4 writes around a state dict, for one process without ZeRO."""
    return {"module": module, "buffer_names": list(buffers), "optimizer": optimizer, "param_shapes": None, "frozen_param_shapes": None,
            "shared_params": None, "frozen_param_fragments": None, "lr_scheduler": {"last_batch_iteration": 869999}, "data_sampler": None,
            "random_ltd": None, "sparse_tensor_module_names": set(), "skipped_steps": 0, "global_steps": 870000,
            "global_samples": 192478464, "dp_world_size": 1, "mp_world_size": 1, "ds_config": None, "ds_version": "0.12.4"}


def write_run(folder: pathlib.Path, made, weights: dict) -> None:
    """A run directory of the module `made` with these weights, without an optimiser's state."""
    hp = made.hp
    module = collections.OrderedDict((k, weights[k]) for k in made.state_dict())
    kept = [k for k, _ in made.named_buffers() if k in module]
    path = folder / CHECKPOINT
    path.parent.mkdir(parents=True, exist_ok=True)
    (folder / "ds/G/latest").write_text("default")
    (folder / "hparams.yaml").unlink(missing_ok=True)
    hp.save_if_not_exists(folder)
    torch.save(states(module, buffers=kept), path)


class Foreign:
    """Unpickles by calling `print`: harmless where a reader does call it, and no tensor."""
    def __reduce__(self):
        return print, ("a reader of checkpoints must not call this",)


def layout(folder: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # names, types and shapes at full size
    info = {}
    modes = {mode: build(mode, small=None) for mode in ("ae", "cfm")}
    for name, made in (("enhancer", modes["cfm"]), ("denoiser", Denoiser(DenoiserHParams())), ("discriminator", build_discriminator(None))):
        state = made.state_dict()
        info[name] = {"tensors": len(state), "parameters": count(made), "dtypes": sorted({str(v.dtype).removeprefix("torch.") for v in state.values()})}
        write_json(folder / f"{name}.json", {k: list(v.shape) for k, v in state.items()})
    parts = {"ae": modes["ae"].lcfm.ae, "cfm": modes["ae"].lcfm.cfm, "vocoder": modes["ae"].vocoder, "denoiser": modes["ae"].denoiser}
    info["parameters"] = {k: count(v) for k, v in parts.items()}
    frozen = lambda m: sorted({".".join(k.split(".")[:2]) for k, p in m.named_parameters() if not p.requires_grad})
    info["frozen"] = {mode: frozen(made) for mode, made in modes.items()}
    order = [k for k, _ in modes["cfm"].named_parameters()]
    info["parameter_order"] = {"first": order[:8], "last": order[-4:], "note": "an optimiser's state counts parameters in this order"}
    del modes

    # what the package writes as hparams.yaml, and reads back
    stage2 = HParams(lcfm_training_mode="cfm", lcfm_z_scale=6, praat_augment_prob=0.2, training_seconds=3.0, batch_size_per_gpu=32,
                     gan_training_start_step=None, enhancer_stage1_run_dir=pathlib.Path("runs/enhancer_stage1"),
                     denoiser_run_dir=pathlib.Path("runs/denoiser"))
    for name, hp in (("stage1", HParams(load_fg_only=True)), ("stage2", stage2), ("denoiser_run", DenoiserHParams(training_seconds=3.0)),
                     ("absolute", HParams(fg_dir=pathlib.Path("/data/a folder/fg"), rir_dir=pathlib.Path(".")))):
        place = folder / "hparams" / name
        (place / "hparams.yaml").unlink(missing_ok=True)
        hp.save_if_not_exists(place)
        assert type(hp).load(place) == hp

    # a run directory of a denoiser in BF16, its U-Net without levels
    least = SMALL | dict(unet_blocks=0, unet_middle_blocks=0)
    with sizes(least):
        made = Denoiser(DenoiserHParams(**AUDIO))
        weights = randomise(made, seed + 3)
        write_run(folder / "denoiser_run", made, weights)
        loaded = denoiser_inference.load_denoiser.__wrapped__(folder / "denoiser_run", "cpu")
    assert all(torch.equal(v, made.state_dict()[k]) for k, v in loaded.state_dict().items())
    audio = sound(seed + 4, 900)
    with torch.no_grad():
        save(folder / "denoiser_run/case.safetensors", {"audio": audio, "output": loaded(audio[None])[0]})

    # tensors as a pickle may hold them, the optimiser's state beside them
    base = torch.arange(24, dtype=torch.float32) / 8
    odd = collections.OrderedDict(
        shared_whole=base, shared_part=base[4:10], shared_matrix=base[:12].view(3, 4), transposed=base[12:].view(3, 4).t(),
        every_third=base[::3], scalar=torch.tensor(2.5), unset=torch.tensor(float("nan")), empty=torch.zeros(0), half=base[:5].half(),
        bfloat16=base[:5].bfloat16(), double=base[:5].double() / 3, long=torch.tensor([-(2**40), 7]), int=torch.tensor([-5, 6], dtype=torch.int32),
        byte=torch.tensor([0, 255], dtype=torch.uint8), bool=torch.tensor([True, False, True]), expanded=torch.tensor([1.5, -2]).expand(3, 2))
    odd._metadata = collections.OrderedDict({"": {"version": 1}})
    # DeepSpeed's FusedAdam counts steps in the state of the last parameter that has a gradient; the others' step stays 0.
    # Parameter 1 is frozen.
    moments = {0: {"step": 0, "exp_avg": base[:4] / 7, "exp_avg_sq": base[:4] ** 2},
               2: {"step": 870000, "exp_avg": base[4:6] / 7, "exp_avg_sq": base[4:6] ** 2}}
    groups = [{"lr": 1e-5, "bias_correction": True, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "step": 0, "params": [0, 1, 2]}]
    torch.save(states(odd, {"state": moments, "param_groups": groups}), folder / "odd.pt")
    save(folder / "odd.safetensors", {k: v.float() for k, v in odd.items() if k not in ("empty", "unset", "long")} | {"long": odd["long"]})
    torch.save(states(collections.OrderedDict(a=base)) | {"ds_config": Foreign()}, folder / "foreign_call.pt")
    torch.save(states(collections.OrderedDict(a=base)) | {"ds_config": pathlib.PurePosixPath("a/b")}, folder / "foreign_global.pt")
    write_json(folder / "cases.json", header(seed, "layout") | info)


def schedule(folder: pathlib.Path, seed: int, deepspeed: pathlib.Path) -> None:
    """The learning rates of DeepSpeed's WarmupDecayLR as the run sees them: the optimiser steps first, then the schedule."""
    space = {"__name__": "lr_schedules"}
    resemble_stand_ins.module("deepspeed.utils", logger=logging.getLogger("deepspeed"))
    exec(compile((deepspeed / "deepspeed/runtime/lr_schedules.py").read_text(), "lr_schedules.py", "exec"), space)
    info = []
    for options in ({}, dict(min_lr=2e-5, max_lr=3e-4, warmup_steps=4, max_steps=12), dict(warmup_steps=1, max_steps=5),
                    dict(warmup_steps=6, max_steps=6), dict(max_steps=1500)):
        config = HParams(**options).deepspeed_config
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], **config["optimizer"]["params"])
        rates = space["WarmupDecayLR"](optimizer, **config["scheduler"]["params"])
        last = config["scheduler"]["params"]["total_num_steps"]
        wanted = {1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 999, 1000, 1001, 1002, 1003, 1400, last, last + 1, last + 2, last + 3}
        table = []
        for step in range(1, (20 if last < 100 else 1600) + 1):
            if step in wanted:
                table.append([step, optimizer.param_groups[0]["lr"]])
            rates.step()
        for step in (500_000, 1_000_000) if not options else ():  # straight there
            rates.step(step - 2)
            table.append([step, optimizer.param_groups[0]["lr"]])
        info.append({"hparams": options, "rates": table})
    write_json(folder / "cases.json", header(seed, "schedule") | {"deepspeed": "0.12.4", "cases": info})

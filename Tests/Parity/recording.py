"""What every part of the fixtures uses: configurations, files, the batch of the trainer's cases, injected draws.

pocket_tts.py has the name of the official package and cannot be imported, so that what is shared stands here.
"""
import json
import os
import pathlib
from contextlib import contextmanager

import torch
import yaml
from safetensors.torch import save_file

import official

FORMAT = 1
PIECES = 400
C = 32


# --- configurations ------------------------------------------------------------------------------------------------

def seanet(**changes):
    return dict(dimension=32, channels=1, n_filters=8, n_residual_layers=1, ratios=[6, 5, 4], kernel_size=7,
                residual_kernel_size=3, last_kernel_size=3, dilation_base=2, pad_mode="constant", compress=2) | changes


def transformer(width, **changes):
    return dict(d_model=width, input_dimension=width, output_dimensions=[width], num_heads=2, num_layers=2,
                layer_scale=0.01, context=24, dim_feedforward=2 * width) | changes


def tiny_mimi():
    return dict(inner_dim=C, outer_dim=8, seanet=seanet(dimension=8, n_filters=2), transformer=transformer(8, num_layers=1))


def configuration(flow, backbone, lookup, mimi, flow_lm=None, **root):
    kind = lookup.pop("kind")
    return dict(
        weights_path="model.safetensors", **root,
        flow_lm=dict(
            dtype="float32", insert_bos_before_voice=True, flow=flow,
            transformer=dict(hidden_scale=4, max_period=10000) | backbone,
            lookup_table=dict(dim=backbone["d_model"], n_bins=PIECES, tokenizer=kind,
                              tokenizer_path="tokenizer.json" if kind == "tokenizers" else "tokenizer.model") | lookup,
        ) | (flow_lm or {}),
        mimi=dict(dtype="float32", sample_rate=24000, channels=1, frame_rate=12.5,
                  quantizer=dict(dimension=C, output_dimension=mimi.get("outer_dim", 32))) | mimi)


# --- files ---------------------------------------------------------------------------------------------------------

@contextmanager
def working_in(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def save(path: pathlib.Path, tensors: dict[str, torch.Tensor]) -> None:
    out = {}
    for name, value in tensors.items():
        value = value.detach()
        value = value.long() if value.dtype in (torch.int64, torch.bool) else value.float()
        assert torch.isfinite(value).all(), f"{name} is not finite"
        out[name] = value.clone().contiguous()
    save_file(out, str(path))


def write_json(path: pathlib.Path, value) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def header(seed: int, kind: str) -> dict:
    return {"version": FORMAT, "seed": seed, "kind": kind, "versions": official.versions()}


def close(a, b, tolerance=2e-5) -> bool:
    return a.shape == b.shape and float((a - b).abs().max()) <= tolerance * max(1e-6, float(b.abs().max()))


def write_model(folder: pathlib.Path, config: dict, tokenizers: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    name = config["flow_lm"]["lookup_table"]["tokenizer_path"]
    (folder / name).write_bytes((tokenizers / name).read_bytes())
    with working_in(folder):
        weights = official.randomise(official.build(config), seed)
    if folder.name in ("lsd", "drifting", "flow_matching"):
        weights = {k: v.to(torch.bfloat16) for k, v in weights.items()}
    if folder.name == "lsd":  # in F32 here, while the separate files hold the same values in BF16
        weights = {k: v.float() for k, v in weights.items()}
    save_file(weights, str(folder / "model.safetensors"))


# --- the trainer: one batch, and its draws -----------------------------------------------------------------------

VOICE_FRAMES, TOKEN_COUNTS, FRAMES = [5, 3, 7], [6, 9, 4], [8, 11, 6]
KEEP_VOICE, KEEP_TEXT = [0.10, 0.95, 0.30], [0.20, 0.40, 0.85]  # with dropout 0.2: row 1 loses its voice, row 2 its text


@contextmanager
def scripted(draws: dict[str, list]):
    """While this is open, torch's random functions answer from `draws`, a queue per function; nothing may be left over."""
    originals = {name: getattr(torch, name) for name in ("rand", "randn", "rand_like", "randn_like")}

    def answering(name):
        def answer(*shape, **options):
            if name == "rand" and options.get("generator") is not None:
                return draws["skip"].pop(0)
            value = draws[name].pop(0)
            if name.endswith("_like"):
                asked = shape[0].shape
            else:
                asked = torch.Size(shape[0] if shape and not isinstance(shape[0], int) else shape)
            assert value.shape == asked, (name, value.shape, asked)
            return value.clone()
        return answer

    for name in originals: setattr(torch, name, answering(name))
    try:
        yield
    finally:
        for name, function in originals.items(): setattr(torch, name, function)
    assert not any(draws.values()), f"draws left over: { {k: len(v) for k, v in draws.items()} }"


def make_batch(model, seed: int) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed + 6)
    fl = model.flow_lm
    pad = lambda lengths, make: torch.stack([torch.cat([make(n), torch.zeros(max(lengths) - n, C)]) for n in lengths])
    latents = pad(FRAMES, lambda n: fl.emb_mean + fl.emb_std * torch.randn(n, C, generator=g))
    # What is under the padding must not matter; the trainer has the encoder's output for silence there.
    latents[0, FRAMES[0]:] = 3 * torch.randn(max(FRAMES) - FRAMES[0], C, generator=g)
    voice = pad(VOICE_FRAMES, lambda n: torch.randn(n, C, generator=g))
    tokens = torch.full((3, max(TOKEN_COUNTS)), -1)
    for row, n in enumerate(TOKEN_COUNTS):
        tokens[row, :n] = torch.randint(4, PIECES, (n,), generator=g)
    return {"batch.latents": latents, "batch.frames": torch.tensor(FRAMES), "batch.voice": voice,
            "batch.voice_frames": torch.tensor(VOICE_FRAMES), "batch.tokens": tokens, "batch.token_counts": torch.tensor(TOKEN_COUNTS),
            "batch.keep_voice": torch.tensor([int(x < 0.8) for x in KEEP_VOICE]),
            "batch.keep_text": torch.tensor([int(x < 0.8) for x in KEEP_TEXT])}


def inputs(batch: dict[str, torch.Tensor]):
    latents = batch["batch.latents"]
    mask = torch.arange(latents.shape[1])[None, :] < batch["batch.frames"][:, None]
    tokens = [row[:n] for row, n in zip(batch["batch.tokens"], batch["batch.token_counts"].tolist())]
    return latents, mask, tokens, batch["batch.voice"], batch["batch.voice_frames"]

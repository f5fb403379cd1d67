"""Fixtures of the official backbone distillation and of the students it seeds, called by pocket_tts.py, whose conventions hold.

DIR/backbone_distillation/teacher: a model directory of five layers. The batch of every case is lsd_train's, the `batch.*` of
  its training.safetensors; latents are normalised with the student's statistics, for the teacher as well.
cases.json: cases [{name, teacher (null: a copy of the model itself as it stands in `model`), model (the folder of the
  student's config.yaml), overrides {dotted name: value}, coefficient (distill_cfg_coef), dropped (whether the student's
  conditions are: by batch.keep_voice and batch.keep_text; the teacher's never are), gradients (prefixes), kept (layers of the
  teacher), seeded (names), trainable (names)}]; select_layers [{teacher, student, kept}]; init {...}; pca {...}; pieces {...}.
cases.safetensors, of each CASE:
      CASE.student.NAME                NAMEs are those of the model file after `flow_lm.`. For a `guidance` case: what differs
                                       from the model file. For `depth`: nothing, all of the student is the teacher's. For
                                       `width`: what is not, bit for bit, that of the teacher cut to the kept layers.
      CASE.z, CASE.teacher, CASE.null [3, T, Z]   the student's output; the teacher's with all conditions and with none (no
                                       null where the coefficient is 1)
      CASE.loss [1]                    over the valid frames and the first after them
      CASE.grad_norm [1]               of all gradients, before clipping
      CASE.grad.NAME                   before clipping, of trainable parameters under `gradients`
      width.table [n_bins + 1, d]      embed projᵀ of the low-rank text table: the factors are determined but for their signs
  init: the width student again with the teacher's weights as student_init_from, which is not cut in depth first: its bottom
  layers are taken, and all five layers' gains choose the channels. init.student.NAME; cases.json's init: {from_init, from_teacher}.
  pca: the student of `depth` narrowed along principal components (overrides in cases.json's pca):
      pca.cov.NORM [d, d]              the official residual_cov over the batch, every position of its rows, padding included
      pca.z [3, T, Z]                  the seeded model's output
      pca.writers [I, I], pca.read [3d, C], pca.bias [3d]   what does not depend on the eigenvectors' signs: speaker_projᵀ
                                       speaker_proj, layers.0 in_proj input_linear, layers.0 in_proj norm1.bias
  pieces: each function alone on one made-up layer: pieces.src.NAME; pieces.attention.NAME (narrow_attention),
  pieces.channels.NAME (slice_channels), pieces.ffn.NAME (prune_ffn), pieces.table (low_rank_text_table, embed projᵀ),
  pieces.recut (the low-rank table of pieces.recut.embed and pieces.recut.proj cut to a smaller rank, embed projᵀ).
  cases.json's pieces: {head_dim, d_student, heads, kv_heads, hidden, rank, rerank, refused: what grouping refuses}.
"""
import pathlib
import tempfile
from types import SimpleNamespace

import torch
import yaml
from safetensors.torch import load_file, save_file

from recording import C, KEEP_TEXT, KEEP_VOICE, close, configuration, header, inputs, save, scripted, tiny_mimi, working_in, write_json, write_model
from training.args import TrainArgs
from training.modules.builders import build_models
from training.scripts import residual_cov as residual
from training.scripts import shrink_checkpoint as shrinking

TEACHER = "backbone_distillation/teacher"
DEPTH = {"flow_lm.transformer.num_layers": 2}
NARROW = DEPTH | {
    "flow_lm.transformer.d_model": 16, "flow_lm.transformer.attn_dim": 16, "flow_lm.transformer.num_heads": 2,
    "flow_lm.transformer.num_kv_heads": 1, "flow_lm.transformer.dim_feedforward": 20, "flow_lm.lookup_table.dim": 16,
    "flow_lm.lookup_table.rank": 6}
CUT = DEPTH | {"flow_lm.transformer.d_model": 16, "flow_lm.transformer.attn_dim": 24, "flow_lm.transformer.dim_feedforward": 48,
               "flow_lm.lookup_table.dim": 16}
BACKBONE = ("transformer.layers.1.", "out_norm.", "bos_before_voice")


def flow_lm_weights(path: pathlib.Path) -> dict[str, torch.Tensor]:
    return {k.removeprefix("flow_lm."): v for k, v in load_file(path).items() if k.startswith("flow_lm.")}


def build(folder: pathlib.Path, coefficient: float, teacher: bool, overrides=None, dropout=0.0, **more):
    named = dict(distill_teacher_config="config.yaml", distill_teacher_weights="model.safetensors") if teacher else {}
    args = TrainArgs(model_config="config.yaml", model_overrides=overrides or {}, distill_cfg_coef=coefficient,
                     start_from_pretrained=not teacher, text_dropout=dropout, voice_dropout=dropout, **named, **more)
    with working_in(folder):
        return build_models(args)[0].train()


def loss_case(out: dict, entry: dict, model, batch: dict, gradients=("",)) -> dict:
    """One forward and backward pass of the official model."""
    name = entry["name"]
    latents, mask, tokens, voice, voice_frames = inputs(batch)
    outputs, backbone = [], model.backbone_z

    def recording(*arguments, **options):
        outputs.append(backbone(*arguments, **options))
        return outputs[-1]

    model.backbone_z = recording
    passes = 2 if entry["coefficient"] == 1 else 3
    with scripted({"rand": [torch.tensor(x) for x in passes * (KEEP_VOICE, KEEP_TEXT)]}):
        loss, metrics = model(latents, mask, tokens, voice, num_voice_prompt_frames=voice_frames)
    loss.backward()
    out |= {f"{name}.{k}": z for k, z in zip(("z", "teacher", "null"), outputs, strict=passes == 3)}
    out[f"{name}.loss"] = metrics["distill_mse"].reshape(1)
    trainable = {k: p for k, p in model.named_parameters() if p.requires_grad}
    assert not any(k.startswith(("flow_lm.flow_net.", "flow_lm.out_eos.", "flow.")) for k in trainable)
    assert all((p.grad is not None) == (k in trainable) for k, p in model.named_parameters())
    for k, p in trainable.items():
        if k.removeprefix("flow_lm.").startswith(tuple(gradients)):
            out[f"{name}.grad.{k.removeprefix('flow_lm.')}"] = p.grad.clone()
    out[f"{name}.grad_norm"] = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).reshape(1)
    return entry | {"gradients": list(gradients), "trainable": [k.removeprefix("flow_lm.") for k in trainable]}


def guidance_cases(out: dict, lsd: pathlib.Path, batch: dict, g: torch.Generator) -> list[dict]:
    started = flow_lm_weights(lsd / "model.safetensors")
    moved = {k: v + 0.3 * torch.randn(v.shape, generator=g) for k, v in started.items()
             if k.startswith(("bos_", "input_linear.", "out_norm.", "transformer.layers.1.norm"))
             or k.endswith(("layers.0.linear1.weight", "layers.1.self_attn.in_proj.weight"))}
    cases = []
    for name, coefficient, student, dropout, gradients in (
            ("guidance", 3.0, moved, 0.0, ("",)), ("guidance_2", 2.0, moved, 0.0, BACKBONE), ("unguided", 1.0, moved, 0.0, BACKBONE),
            ("dropped", 3.0, moved, 0.2, BACKBONE), ("equal", 1.0, {}, 0.0, ("nothing",)), ("equal_guided", 3.0, {}, 0.0, ("out_norm.",))):
        model = build(lsd, coefficient, False, dropout=dropout)
        model.flow_lm.load_state_dict(started | student)
        entry = {"name": name, "teacher": None, "model": "lsd_train", "overrides": {}, "coefficient": coefficient, "dropped": dropout > 0}
        cases.append(loss_case(out, entry, model, batch, gradients) | {"student": "guidance" if student else None})
        if name == "guidance":
            out |= {f"guidance.student.{k}": v for k, v in student.items()}
    assert float(out["equal.loss"]) < 1e-8 < 1e-3 < float(out["equal_guided.loss"])
    return cases


def seeded_case(out: dict, name: str, folder: pathlib.Path, overrides: dict, batch: dict, coefficient: float) -> tuple[dict, dict]:
    teacher = flow_lm_weights(folder / "model.safetensors")
    model = build(folder, coefficient, True, overrides)
    student = {k: v.clone() for k, v in model.flow_lm.state_dict().items()}
    shrunk, kept = shrinking.shrink(teacher, 2)
    head_dim = model.flow_lm.transformer.layers[0].self_attn.dim_per_head
    seeded = shrinking.shrink_width(shrunk, student, head_dim)
    assert seeded.keys() == student.keys() and all(torch.equal(seeded[k], student[k]) for k in student), "all of it is seeded"
    out |= {f"{name}.student.{k}": v for k, v in student.items() if not (k in shrunk and torch.equal(v, shrunk[k]))}
    entry = {"name": name, "teacher": TEACHER, "model": TEACHER, "overrides": overrides, "coefficient": coefficient,
             "dropped": False, "kept": kept, "seeded": sorted(seeded)}
    return loss_case(out, entry, model, batch), student


def init_case(out: dict, folder: pathlib.Path) -> dict:
    model = build(folder, 1.0, True, NARROW, student_init_from="model.safetensors")
    student = model.flow_lm.state_dict()
    source = {k: v for k, v in flow_lm_weights(folder / "model.safetensors").items() if not k.startswith(("flow_net.", "out_eos."))}
    taken = shrinking.shrink_width(source, student, 8)
    assert all(torch.equal(student[k], v) for k, v in taken.items())
    out |= {f"init.student.{k}": student[k] for k in student if k.startswith(("transformer.layers.1.", "out_norm.", "z_proj."))}
    return {"overrides": NARROW, "from_init": sorted(taken), "from_teacher": sorted(set(student) - set(taken))}


def covariance(folder: pathlib.Path, source: dict, batch: dict) -> dict[str, torch.Tensor]:
    """The official residual_cov, which reads files, over our batch alone."""
    latents, mask, tokens, voice, voice_frames = inputs(batch)
    loader, encode = residual.DataLoader, residual.encode_batch
    residual.DataLoader = lambda *a, **o: [SimpleNamespace(text_tokens=tokens)]
    residual.encode_batch = lambda *a: (latents, mask, voice, voice_frames)
    try:
        with working_in(folder), tempfile.TemporaryDirectory() as scratch:
            config, weights = pathlib.Path(scratch) / "args.yaml", pathlib.Path(scratch) / "model.safetensors"
            config.write_text(yaml.safe_dump({"model_config": "config.yaml", "model_overrides": DEPTH}))
            save_file({f"flow_lm.{k}": v.contiguous() for k, v in source.items()}, weights)
            return residual.residual_cov(str(config), str(weights), 1, False)["cov"]
    finally:
        residual.DataLoader, residual.encode_batch = loader, encode


def pca_case(out: dict, folder: pathlib.Path, source: dict, batch: dict) -> dict:
    cov = covariance(folder, source, batch)
    out |= {f"pca.cov.{k}": v for k, v in cov.items()}
    cov = {k: v.float().double() for k, v in cov.items()}  # as it is stored
    args = TrainArgs(model_config="config.yaml", model_overrides=CUT, start_from_pretrained=False)
    with working_in(folder):
        model = build_models(args)[0].eval()
    fl = model.flow_lm
    seeded = shrinking.shrink_width(source, fl.state_dict(), 8, cov)
    assert seeded.keys() == fl.state_dict().keys()
    fl.load_state_dict(seeded)
    latents, mask, tokens, voice, voice_frames = inputs(batch)
    with torch.no_grad():
        normalised = (latents - fl.emb_mean) / fl.emb_std
        out["pca.z"] = model.backbone_z(fl, normalised, tokens, voice, voice_frames, cfg_dropout=False)
        read = seeded["transformer.layers.0.self_attn.in_proj.weight"]
        out["pca.writers"] = seeded["speaker_proj_weight"].T @ seeded["speaker_proj_weight"]
        out["pca.read"] = read @ seeded["input_linear.weight"]
        out["pca.bias"] = read @ seeded["transformer.layers.0.norm1.bias"]
        # That these do not depend on the eigenvectors' signs: once more with all of them turned.
        eigh = torch.linalg.eigh
        torch.linalg.eigh = lambda x: (lambda r: (r[0], r[1] * (1 - 2 * (torch.arange(r[1].shape[1]) % 2))))(eigh(x))
        try:
            turned = shrinking.shrink_width(source, fl.state_dict(), 8, cov)
        finally:
            torch.linalg.eigh = eigh
        assert not close(turned["input_linear.weight"], seeded["input_linear.weight"], 0.1)
        fl.load_state_dict(turned)
        assert close(model.backbone_z(fl, normalised, tokens, voice, voice_frames, cfg_dropout=False), out["pca.z"], 1e-4)
    return {"source": "depth", "overrides": CUT}


def piece_cases(out: dict, g: torch.Generator) -> dict:
    """One layer of four query and two key and value heads, each four wide, in a stream of six channels."""
    normal = lambda *shape: torch.randn(shape, generator=g)
    layer = "transformer.layers.0"
    src = {"out_norm.weight": normal(6), "out_norm.bias": normal(6), "bos_before_voice": normal(1, 1, 6), "speaker_proj_weight": normal(6, 5),
           "input_linear.weight": normal(6, 5), "conditioner.embed.weight": normal(9, 6), "z_proj.weight": normal(3, 6),
           f"{layer}.norm1.weight": normal(6), f"{layer}.norm1.bias": normal(6), f"{layer}.norm2.weight": normal(6), f"{layer}.norm2.bias": normal(6),
           f"{layer}.self_attn.in_proj.weight": normal(32, 6), f"{layer}.self_attn.out_proj.weight": normal(6, 16),
           f"{layer}.linear1.weight": normal(7, 6), f"{layer}.linear2.weight": normal(6, 7)}
    out |= {f"pieces.src.{k}": v for k, v in src.items()}
    shaped = lambda heads, kv, hidden, rank: {
        f"{layer}.norm1.weight": torch.empty(6), f"{layer}.self_attn.in_proj.weight": torch.empty(4 * (heads + 2 * kv), 6),
        f"{layer}.self_attn.out_proj.weight": torch.empty(6, 4 * heads), f"{layer}.linear1.weight": torch.empty(hidden, 6),
        "conditioner.embed.weight": torch.empty(9, rank), "conditioner.proj.weight": torch.empty(6, rank)}
    student = shaped(2, 1, 5, 3)
    out |= {f"pieces.attention.{k}": v for k, v in shrinking.narrow_attention(src, student, 4).items()}
    out |= {f"pieces.channels.{k}": v for k, v in shrinking.slice_channels(src, 4).items()}
    out |= {f"pieces.ffn.{k}": v for k, v in shrinking.prune_ffn(src, student).items()}
    product = lambda table: table["conditioner.embed.weight"] @ table["conditioner.proj.weight"].T
    out["pieces.table"] = product(shrinking.low_rank_text_table(src, student))
    low = {"conditioner.embed.weight": normal(9, 5), "conditioner.proj.weight": normal(6, 5)}
    out["pieces.recut.embed"], out["pieces.recut.proj"] = low["conditioner.embed.weight"], low["conditioner.proj.weight"]
    out["pieces.recut"] = product(shrinking.low_rank_text_table(low, shaped(2, 1, 5, 2)))
    assert shrinking.low_rank_text_table(low, shaped(2, 1, 5, 5)) == {}, "a table of the same rank stays as it is"
    refused = []
    for heads, kv in ((5, 1), (3, 2)):
        try:
            shrinking.narrow_attention(src, shaped(heads, kv, 5, 3), 4)
            raise AssertionError("not refused")
        except ValueError as error:
            refused.append({"heads": heads, "kv_heads": kv, "error": str(error)})
    return {"head_dim": 4, "d_student": 4, "heads": 2, "kv_heads": 1, "hidden": 5, "rank": 3, "rerank": 2, "refused": refused}


def cases(folder: pathlib.Path, tokenizers: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    teacher, lsd = folder / "teacher", folder.parent / "lsd_train"
    write_model(teacher, configuration(
        dict(dim=8, depth=1), dict(d_model=24, num_heads=3, num_layers=5, hidden_scale=2), dict(kind="sentencepiece"), tiny_mimi(),
        flow_lm=dict(z_dim=20)), tokenizers, seed + 15)
    g = torch.Generator().manual_seed(seed + 16)
    torch.manual_seed(seed + 17)  # what the official code draws by itself never shows in what is recorded
    batch = {k: v for k, v in load_file(lsd / "training.safetensors").items() if k.startswith("batch.")}
    out = {}
    described = guidance_cases(out, lsd, batch, g)
    depth, shallow = seeded_case(out, "depth", teacher, DEPTH, batch, 2.0)
    width, student = seeded_case(out, "width", teacher, NARROW, batch, 1.0)
    assert not any(k.startswith("depth.student.") for k in out)
    out["width.table"] = student["conditioner.embed.weight"] @ student["conditioner.proj.weight"].T
    described += [depth, width]
    about = {"cases": described, "init": init_case(out, teacher), "pca": pca_case(out, teacher, shallow, batch), "pieces": piece_cases(out, g),
             "select_layers": [{"teacher": n, "student": m, "kept": shrinking.select_layers(n, m)}
                               for n, m in ((1, 1), (5, 1), (5, 2), (5, 4), (5, 5), (6, 3), (24, 6), (24, 7))]}
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed // 1000, "backbone_distillation") | about)

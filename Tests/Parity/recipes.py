"""Fixtures of the official recipe reader (load_args), called by pocket_tts.py, whose conventions hold.

DIR/recipes/NAME.yaml: recipes of our own that between them name every key of the schema.
DIR/recipes/cases.json: defaults (of every key), recipes [{name, value (what load_args makes of NAME.yaml, every key with its
  default where the recipe has none; tuples are lists, paths strings; sample_sentences is null where it is the default, three
  sentences of the official trainer's own)}], wrong [{text (YAML), kind (the exception's class),
  error (its text)}], keys {section ("" for the root): [{key, type}]}.
"""
import dataclasses
import pathlib
import tempfile

import yaml

from recording import header, write_json
from training.args import DataArgs, FlowArgs, OptimArgs, ReflArgs, TrainArgs, dump_args, load_args

RECIPES = {
    "everything": """\
# Every key of every section, none at its default.
model_config: models/small/config.yaml
model_overrides:
  flow_lm.transformer.num_layers: 12
  flow_lm.transformer.num_kv_heads: 4   # grouped
  flow_lm.z_dim: null
  flow_lm.insert_bos_before_voice: false
  mimi.seanet.ratios: [6, 5, 4]
start_from_pretrained: false
freeze_head: true
reset_text_embedding: true
run_dir: runs/everything
batch_size: 24
grad_accum_steps: 3
max_steps: 12345
seed: 7
flow_batch_multiplier: 2
eos_loss_weight: 0.25
text_dropout: 0.15
voice_dropout: 0.05
stats_ema_steps: 300
stats_ema_decay: 0.99
log_freq: 5
valid_freq: 250
compile: false
num_valid_batches: 9
sample_sentences:
  - "Colons: and 'quotes', # and no comment."
  - Plain words
sample_freq: 600
sample_temp: 0.4
sample_cfg_coef: 1.5
ckpt_freq: 700
num_ckpt_keep: 2
ema_decay: 0.9995
distill_cfg_coef: 1.75
distill_teacher_config: models/large/config.yaml
distill_teacher_overrides: {flow_lm.transformer.num_layers: 24}
distill_teacher_weights: models/large/model.safetensors
distill_teacher_use_ema: false
student_init_from: models/start/model.safetensors
init_from_use_ema: false
head_distill: false
head_distill_from: models/large/model.safetensors
head_distill_loss: drifting
head_distill_samples: 4
head_distill_temp: 0.6
head_init_from: models/head.safetensors
data:
  train_jsonl: data/train.jsonl
  valid_jsonl: data/valid.jsonl
  max_duration_sec: 12.5
  max_voice_prompt_sec: 0
  prompt_trim_max_sec: 0.25
  final_punct_dropout: 0.1
  shuffle: false
  loader_procs: 1
  num_bucket_batches: 8
  precompute: false
flow:
  type: drifting
  kwargs:
    temp: 5.0
    temp_loss_weight: 0.5
    num_neg: 16
    normalize_force: batch
    min_scale: 0.01
    min_temp: 0.02
optim:
  lr: 0.0003
  weight_decay: 0.01
  betas: [0.8, 0.9]
  eps: 0.000001
  max_norm: 2.5
  warmup_steps: 40
  schedule: cosine
  lr_min_ratio: 0.05
  type: muon
  muon_lr: 0.01
  muon_momentum: 0.9
  muon_head: true
  muon_rms_match: true
  muon_polar_steps: 5
refl:
  enabled: true
  rows: 2
  temp: 0.7
  max_sec: 8
  utmos_weight: 0.1
  ctc_weight: 0.2
  ctc_model: models/ctc
  reward_decoder: models/decoder/config.yaml
  max_shift: 240
""",
    "numbers": """\
# Numbers as people write them. YAML 1.1: 2e-5 is a string, 2.0e-5 is not; yes and off are booleans.
optim:
  lr: 2e-5
  eps: "1e-7"
  weight_decay: 0
  betas: ["0.9", 1e-1]
  max_norm: 1
  warmup_steps: 250.0
batch_size: "16"
max_steps: 20_000
grad_accum_steps: 2.9
seed: 0x1f
num_valid_batches: 012
sample_freq: +30
text_dropout: .5
voice_dropout: 2.0e-1
eos_loss_weight: '0.3'
ema_decay: true
compile: off
head_distill: no
start_from_pretrained: Yes
run_dir: "runs/with a space"
""",
    "shapes": """\
# Flow style, anchors, folded text, a key given twice (the last counts), and sections that stay empty.
run_dir: runs/first
run_dir: ./runs//second/
data: {train_jsonl: &manifest "a, b.jsonl", valid_jsonl: *manifest}
flow: {}
refl: {}
optim: &optim
  lr: 1.0e-3
  schedule: constant
sample_sentences: []
model_overrides: {}
model_config: >-
  models/a
  b/config.yaml
distill_teacher_weights: ''
student_init_from: |
  two
  lines
""",
    "unchecked": """\
# What load_args lets pass: it looks at no file, no name of an objective, and turns only numbers and the path.
optim: {type: sgd, schedule: linear, muon_head: "no"}
flow: {type: diffusion, kwargs: {unheard_of: 1}}
data: {train_jsonl: 5, loader_procs: -1}
batch_size: 0
max_steps: -3
text_dropout: 1.5
log_freq: 1
sample_sentences: one string
model_overrides: {no.such.key: [1, {a: b}]}
""",
    "head": """\
start_from_pretrained: true
model_config: models/small/config.yaml
head_distill: true
head_distill_loss: drifting
head_distill_samples: 3
flow: {type: drifting}
""",
    "empty_section_values": "data:\n  train_jsonl: ~\n  max_duration_sec: 1\nmodel_overrides:\n",
}

WRONG = [
    "learning_rate: 1", "optim: {learning_rate: 1}", "data: {train: x}", "flow: {num_neg: 5}", "refl: {weight: 1}", "1: 2",
    "log_freq: 0", "valid_freq: -1", "ckpt_freq: 0.5", "grad_accum_steps: 0", "num_ckpt_keep: 0",
    "distill_cfg_coef: 1\nstart_from_pretrained: false", "distill_cfg_coef: 1\nhead_distill: true", "head_distill_loss: l1",
    "distill_teacher_config: a.yaml", "refl: {enabled: true}", "refl: {enabled: true, utmos_weight: 1}\nhead_distill: true",
    "log_freq: 0\ngrad_accum_steps: 0", "optim: {lr: fast}", "max_steps: 1e5", "batch_size: [8]", "optim: {lr: null}", "max_steps:",
    "optim: {betas: 0.9}", "optim: {betas: [a, b]}", "run_dir: 5", "data:", "flow: lsd", "optim: [lr]", "", "- a", "just text",
    "a: b: c", "data: {train_jsonl: x", "\tlr: 1", "a: 1\n---\nb: 2",
]


def plain(args: TrainArgs) -> dict:
    value = yaml.safe_load(dump_args(args))
    return value | {"sample_sentences": None} if args.sample_sentences == TrainArgs().sample_sentences else value


def refusal(text: str) -> dict:
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "recipe.yaml"
        path.write_text(text)
        try:
            load_args(path)
        except Exception as error:  # whatever it is, it is what the official trainer ends with
            return {"text": text, "kind": type(error).__name__, "error": str(error).replace(str(path), "recipe.yaml")}
    raise AssertionError(f"accepted: {text!r}")


def cases(folder: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sections = {"": TrainArgs, "data": DataArgs, "flow": FlowArgs, "optim": OptimArgs, "refl": ReflArgs}
    keys = {section: [{"key": f.name, "type": str(f.type) if hasattr(f.type, "__args__") else f.type.__name__}
                      for f in dataclasses.fields(kind)] for section, kind in sections.items()}
    everything = yaml.safe_load(RECIPES["everything"])
    for section, fields in keys.items():
        given = everything[section] if section else everything
        assert {f["key"] for f in fields} == set(given), f"the recipe `everything` does not name each key of {section or 'the root'}"
    recipes = []
    for name, text in RECIPES.items():
        (folder / f"{name}.yaml").write_text(text)
        args = load_args(folder / f"{name}.yaml")
        recipes.append({"name": name, "value": plain(args)})
    write_json(folder / "cases.json", header(seed // 1000, "recipes") | {
        "keys": keys, "defaults": plain(TrainArgs()), "recipes": recipes, "wrong": [refusal(text) for text in WRONG]})

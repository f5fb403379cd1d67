#!/usr/bin/env python3
"""Fixtures of the official Pocket TTS package, from small models with seeded random weights.

    pocket_tts.py --seed N --out DIR [--training FOLDER] [--only PART]...

PART is a folder below DIR; without --only all are written. separate reads lsd there, backbone_distillation lsd_train,
head_distillation lsd_train, flow_matching_train and drifting. optimiser_muon, head_distillation,
backbone_distillation and recipes are described in muon.py, distillation.py, backbone.py and recipes.py beside this file.
Needs requirements.txt. FOLDER is `training/` of the package's source distribution; without it pip fetches one.
Everything below is computed by the official code; where this script has to put official pieces together itself, an
assertion compares the result with the official whole. All floats are F32 and all integers I64, row-major, without a
batch dimension. A position or frame is a row. Sizes: n latent frames, V voice frames, N tokens, Z width of the
backbone's output, I width of the encoder's latents, C latent width (32), d backbone width.

DIR/KIND/ for KIND in lsd, pointwise, drifting, flow_matching, lsd_train, flow_matching_train
    config.yaml, model.safetensors, tokenizer.json or tokenizer.model: a model directory; its paths are relative to it.
    drifting and flow_matching store BF16. voice.wav: 16 bit, 24 kHz, 1.3 s (not in *_train).
    cases.json: {version, seed, kind, versions, mimi: {pieces}, prompt: {...}, speech: [...], eos: {...}}.
    cases.safetensors (not in *_train):
      mimi.encode.audio [L]            L is no multiple of 1920; the encoder pads on the right
      mimi.encode.seanet [16n, width]  after the SEANet encoder
      mimi.encode.transformer [16n, width]  after the encoder's transformer
      mimi.encode.latents [n, I]
      mimi.decode.latents [n, C]       denormalised, as Mimi takes them
      mimi.decode.upsample [16n, width], mimi.decode.transformer [16n, width], mimi.decode.audio [1920n]
                                       (in calls of mimi.pieces frames it is the same: asserted here)
      backbone.voice [V, I] raw, backbone.tokens [N], backbone.latents [n, C] normalised
      backbone.input [P, d]            bos_before_voice if the config has it, projected voice, embedded text
      backbone.layers.K [P+1+n, d]     output of layer K at every position
      backbone.hidden [1+n, Z]         after out_norm and z_proj, at BOS and at each latent
      backbone.eos [1+n]               EOS logits there
      head.z [R, Z], head.noise [R, C], head.s [R], head.t [R]
      head.velocity [R, C]             lsd: at (s, t); flow_matching: at t; drifting and pointwise take no time
      head.sample.S [R, C]             the decoder's samples from head.noise with S = 1, 2, 3 steps
      prompt.latents [V, I]            Mimi latents of voice.wav after end-on-pause
      prompt.audio [samples]           voice.wav after end-on-pause
      speech.NAME.audio [1920 frames]  whole audio at temperature 0 with voice.wav, EOS never firing
      speech.NAME.latents [frames, C]  the normalised latents behind it
    cases.json: prompt {samples, trimmed, frames}. A speech entry: {name, text, max_tokens, frames_cap (per chunk),
      frames, chunks: [{text (prepared), tokens (ids), frames}]}. eos: {text, threshold, frames_cap, logits (of each step
      without EOS), ignored_early (whether one of the first six steps is above the threshold), steps: [{frames_after_eos
      (null: automatic), eos_step, frames}]}: EOS fires by itself; the audio is the beginning of speech.short.audio.
    lsd/voice.safetensors: the voice state of voice.wav as `export-voice` writes it.

DIR/separate/ config.yaml, flow_lm.safetensors, mimi.safetensors, tokenizer.json: the weights of lsd in the older
    separate files: old names, tensors to drop, weight-norm pairs (F32) in Mimi's encoder, the rest BF16. cases.json: {equals: "lsd",
    tolerance}. Everything in lsd/ holds for it.

DIR/{lsd_train,flow_matching_train,drifting}/training.safetensors and training.json: the official trainer's loss, gradients
  and step on one batch of three rows, the weights being model.safetensors and `start.flow.*`.
      batch.latents [3, T, C] raw, batch.frames [3], batch.voice [3, Tv, C] raw, batch.voice_frames [3],
      batch.tokens [3, Lmax] padded with -1, batch.token_counts [3], batch.keep_voice [3], batch.keep_text [3] (0 drops)
      start.flow.NAME                  the objective's own parameters (lsd: w_s_t; drifting: temp)
      z [3, T, Z], eos_logits [3, T]   with the dropped conditions
    For each CASE of training.json (fields: multiplier K, stopgrad, distill (whether the term is computed), distill_weight,
    mode train or eval (eval drops no condition), zero_w (start.flow.* all zero)); R = K times the valid frames, copy by
    copy, in each copy row by row:
      CASE.noise [R, C]                e
      CASE.t_normal [R], CASE.st_normal [R, 2]   lsd: standard normals behind the times; CASE.t, CASE.s2, CASE.t2 [R]: times
      CASE.t [R]                       flow_matching: uniform
      CASE.draws [G, R, C]             drifting: the noises of the generations
      CASE.loss, CASE.flow_loss, CASE.eos_loss, lsd also CASE.flow_diag and CASE.flow_distill [1] (metrics are plain means)
      CASE.grad_norm [1]               of all gradients, before clipping
      CASE.grad.NAME                   before clipping, of every trainable parameter (flow_lm.*, flow.*) or of those in
                                       training.json's `gradients` prefixes
      CASE.adamw.NAME                  after one step with those gradients clipped to norm 1 (training.json: optimiser)
      CASE.ema.NAME                    the EMA of some parameters after that step, begun at the parameters before it
      stats.mean, stats.std [C]        emb_mean, emb_std after one update with this batch (training.json: stats_decay)
    training.json also: schedule: [{lr, warmup_steps, schedule, lr_min_ratio, max_steps, step, value}].

DIR/optimiser/cases.safetensors: ten steps of the official AdamW on made-up parameters: start.NAME, gradient.STEP.NAME,
    after.STEP.NAME, norm.STEP [1]; cases.json has the settings. `flow_lm.conditioner.embed.weight` does not decay,
    `still` is a parameter without gradients.

DIR/audio/cases.safetensors: resample.RATE.input, resample.RATE.output (to 24 kHz); pause.K.input, pause.K.output
    (end-on-pause at 24 kHz).

DIR/text/ tokenizer.model, tokenizer.json, cases.json: {options: [{...}], max_tokens: [...], cases: [{text, ids:
    {sentencepiece, tokenizers}, decoded: {...}, prepared: [per option set: [text, frames guess] or null when refused],
    chunks: {kind: [per option set: [per max_tokens: [chunk...]] or null]}}], pieces, decode: [{ids, sentencepiece, tokenizers}],
    marks: {kind: {sentence, clause}}}.
"""
import argparse
import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
# This file is called like the official package: take its folder off the front of the search path.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != HERE] + [str(HERE)]

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file

import awkward
import official
from pocket_tts.data.audio import audio_read
from pocket_tts.data.audio_utils import convert_audio, end_on_pause
from pocket_tts.models.flow_lm import drifting_decode, lsd_decode, ot_decode, pointwise_decode
from pocket_tts.models.model_state import export_model_state
from pocket_tts.models.text_chunking import prepare_text_prompt, split_into_best_sentences
from pocket_tts.models.tts_model import TTSModel
from pocket_tts.modules.stateful_module import increment_steps, init_states
from pocket_tts.modules.text_conditioner import build_tokenizer
from recording import (C, FRAMES, KEEP_TEXT, KEEP_VOICE, PIECES, VOICE_FRAMES, close, configuration, header, inputs,
                       make_batch, save, scripted, seanet, tiny_mimi, transformer, working_in, write_json, write_model)

# --- configurations ------------------------------------------------------------------------------------------------

def kinds():
    small_mimi = dict(inner_dim=32, outer_dim=32, seanet=seanet(), transformer=transformer(32))
    yield "lsd", configuration(
        dict(dim=32, depth=2), dict(d_model=64, num_heads=4, num_layers=2), dict(kind="tokenizers"), small_mimi,
        replace_characters={"’": "'", "‘": "'"})
    yield "pointwise", configuration(
        dict(dim=24, depth=2, type="pointwise"),
        dict(d_model=40, num_heads=4, num_layers=2, attn_dim=48, num_kv_heads=2, dim_feedforward=56),
        dict(kind="sentencepiece", rank=12),
        dict(inner_dim=32, outer_dim=24, seanet=seanet(n_filters=4), transformer=transformer(32),
             decoder_seanet=seanet(dimension=24, n_filters=6, kernel_size=3),
             decoder_transformer=transformer(32, num_heads=4, num_layers=3, context=10, dim_feedforward=40,
                                             input_dimension=24, output_dimensions=[24])),
        flow_lm=dict(z_dim=20), default_eos_threshold=-1.0, replace_characters={"’": "'", "–": ",", "—": ","})
    yield "drifting", configuration(
        dict(dim=24, depth=2, type="drifting"), dict(d_model=32, num_heads=2, num_layers=3), dict(kind="sentencepiece"),
        dict(inner_dim=32, outer_dim=32, seanet=seanet(n_filters=4, n_residual_layers=2, compress=4),
             transformer=transformer(32, num_heads=4, max_period=500.0)),
        flow_lm=dict(z_dim=24), default_temperature=0.5)
    yield "flow_matching", configuration(
        dict(dim=24, depth=3, type="flow_matching"), dict(d_model=48, num_heads=3, num_layers=2, max_period=1000),
        dict(kind="tokenizers"),
        dict(outer_dim=32, seanet=seanet(dimension=40, n_filters=4, pad_mode="replicate"), transformer=transformer(40, num_heads=2),
             decoder_seanet=seanet(n_filters=6, pad_mode="replicate"), decoder_transformer=transformer(32)),
        flow_lm=dict(insert_bos_before_voice=False), pad_with_spaces_for_short_inputs=True, remove_semicolons=True,
        model_recommended_frames_after_eos=2,
        replace_characters={"’": "'", "“": "", "”": "", "(": "", ")": "", "–": ",", ":": ",", "…": "..."})
    # Only trained here: their codec is as small as it can be.
    yield "lsd_train", configuration(
        dict(dim=24, depth=2), dict(d_model=32, num_heads=2, num_layers=2, hidden_scale=2), dict(kind="sentencepiece"), tiny_mimi())
    yield "flow_matching_train", configuration(
        dict(dim=24, depth=2, type="flow_matching"),
        dict(d_model=32, num_heads=4, num_layers=2, attn_dim=48, num_kv_heads=2, dim_feedforward=40),
        dict(kind="sentencepiece", rank=12), tiny_mimi(), flow_lm=dict(z_dim=20))


# --- pieces --------------------------------------------------------------------------------------------------------

def load(folder: pathlib.Path, **options) -> TTSModel:
    with working_in(folder):  # the package counts a configuration's paths from the working directory
        model = TTSModel.load_model(config="config.yaml", **{"temp": 0.0, "eos_threshold": 1e9} | options)
    model.max_decoder_frames_per_call = 1  # always the same division into calls, so that fixtures are repeatable
    return model


# --- model directories ---------------------------------------------------------------------------------------------

def write_separate(folder: pathlib.Path, lsd: pathlib.Path) -> None:
    """The lsd model in the files that older releases used; its values survive BF16, so that these files hold that."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = load_file(lsd / "model.safetensors")
    g = torch.Generator().manual_seed(0)
    junk = lambda *shape: torch.randn(shape, generator=g)
    old = {"conditioner.embed.weight": "condition_provider.conditioners.transcript_in_segment.embed.weight",
           "speaker_proj_weight": "condition_provider.conditioners.speaker_wavs.output_proj.weight",
           "bos_before_voice": "fuser.padding_value"}
    flow_lm = {"num_ema_updates": torch.tensor([7]), "flow.w_s_t.0.weight": junk(4, 2), "flow.w_s_t.0.bias": junk(4),
               "condition_provider.conditioners.transcript_in_segment.learnt_padding": junk(1, 1, 8),
               "condition_provider.conditioners.speaker_wavs.learnt_padding": junk(1, 1, 8)}
    half = lambda value: value.to(torch.bfloat16)
    for name, value in weights.items():
        if name.startswith("flow_lm."):
            name = name.removeprefix("flow_lm.")
            flow_lm[old.get(name, name).replace(".self_attn.in_proj.weight", ".self_attn.in_proj_weight")] = half(value)
    save_file(flow_lm, str(folder / "flow_lm.safetensors"))

    mimi = {"model.quantizer.vq.layers.0._codebook.embedding_sum": junk(4, 4), "model.quantizer.logvar_proj.weight": junk(4, 4, 1),
            "quantizer.logvar_proj.weight": junk(4, 4, 1), "quantizer.logvar_param": junk(1), "rvq._codebook.cluster_usage": junk(4),
            "wavlm_emb_downsample.conv.conv.weight": junk(2, 2, 2), "wavlm_emb_downsample.extra": junk(2),
            "wavlm_input_resample.kernel": junk(1, 1, 8), "wavlm_proj.weight": junk(2, 2)}
    for name, value in weights.items():
        if not name.startswith("mimi."):
            continue
        name = name.removeprefix("mimi.")
        # Each convolution once sat inside a wrapper of the same name.
        name = name.replace(".conv.weight", ".conv.conv.weight").replace(".conv.bias", ".conv.conv.bias")
        name = name.replace(".convtr.weight", ".convtr.convtr.weight").replace(".convtr.bias", ".convtr.convtr.bias")
        name = name.replace("in_proj.weight", "in_proj_weight")
        if name.startswith("encoder.model.") and name.endswith(".weight"):
            # Weight norm: the reader leaves a `model.` prefix on these pairs, so they come without.
            mimi[name + "_g"] = value.reshape(len(value), -1).norm(dim=1).reshape(-1, *[1] * (value.ndim - 1))
            mimi[name + "_v"] = value * (0.5 + torch.rand((len(value),) + (1,) * (value.ndim - 1), generator=g))
        else:
            mimi["model." + name] = half(value)
    save_file(mimi, str(folder / "mimi.safetensors"))

    config = yaml.safe_load((lsd / "config.yaml").read_text())
    del config["weights_path"]
    config["flow_lm"]["weights_path"] = "flow_lm.safetensors"
    config["mimi"]["weights_path"] = "mimi.safetensors"
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    (folder / "tokenizer.json").write_bytes((lsd / "tokenizer.json").read_bytes())
    loaded, whole = load(folder).state_dict(), load(lsd).state_dict()
    assert loaded.keys() == whole.keys()
    for name, value in whole.items():
        assert close(loaded[name], value, 1e-6), name


# --- parts of the model --------------------------------------------------------------------------------------------

@torch.no_grad()
def mimi_cases(model: TTSModel, seed: int, pieces: list[int]) -> dict[str, torch.Tensor]:
    mimi, out = model.mimi, {}
    samples = official.voice_like(seed + 1, 0.6)[: 6 * 1920 - 517]
    audio = torch.from_numpy(samples.astype(np.float32) / 32768)
    seen = {}
    hooks = [m.register_forward_hook(lambda _m, _i, o, name=name: seen.__setitem__(name, o[0] if isinstance(o, list) else o))
             for name, m in (("seanet", mimi.encoder), ("transformer", mimi.encoder_transformer))]
    latents = mimi.encode_to_latent(audio[None, None])[0]
    for h in hooks: h.remove()
    out["mimi.encode.audio"] = audio
    out["mimi.encode.seanet"] = seen["seanet"][0].T
    out["mimi.encode.transformer"] = seen["transformer"][0].T
    out["mimi.encode.latents"] = latents
    spread = float(latents.std(dim=0).mean() / latents.std())
    assert spread > 0.3, f"latents hardly vary with the sound ({spread:.2f})"

    n = sum(pieces)
    g = torch.Generator().manual_seed(seed + 2)
    given = model.flow_lm.emb_mean + model.flow_lm.emb_std * torch.randn(n, C, generator=g)
    steps = int(mimi.encoder_frame_rate / mimi.frame_rate)
    hooks = [m.register_forward_hook(lambda _m, _i, o, name=name: seen.__setitem__(name, o[0] if isinstance(o, list) else o))
             for name, m in (("upsample", mimi.upsample), ("decoded", mimi.decoder_transformer))]
    whole = mimi.decode_from_latent(given[None], init_states(mimi, 1, n * steps))[0, 0]
    for h in hooks: h.remove()
    state, parts, at = init_states(mimi, 1, n * steps), [], 0
    for piece in pieces:
        parts.append(mimi.decode_from_latent(given[None, at:at + piece], state)[0, 0])
        increment_steps(mimi, state, increment=steps * piece)
        at += piece
    assert close(torch.cat(parts), whole), "streaming differs"
    out["mimi.decode.latents"] = given
    out["mimi.decode.upsample"] = seen["upsample"][0].T
    out["mimi.decode.transformer"] = seen["decoded"][0].T
    out["mimi.decode.audio"] = whole
    return out


@torch.no_grad()
def backbone_cases(model: TTSModel, seed: int) -> dict[str, torch.Tensor]:
    fl, out = model.flow_lm, {}
    g = torch.Generator().manual_seed(seed + 3)
    voice = torch.randn(6, fl.speaker_proj_weight.shape[1], generator=g)
    tokens = torch.randint(0, PIECES, (9,), generator=g)
    latents = torch.randn(12, C, generator=g)
    prefix = [voice[None] @ fl.speaker_proj_weight.T, fl.conditioner(tokens[None])]
    if fl.insert_bos_before_voice:
        prefix.insert(0, fl.bos_before_voice)
    prefix = torch.cat(prefix, dim=1)
    state = init_states(fl, 1, prefix.shape[1] + 13)
    seen = [[] for _ in fl.transformer.layers]
    hooks = [layer.register_forward_hook(lambda _m, _i, o, k=k: seen[k].append(o[0])) for k, layer in enumerate(fl.transformer.layers)]
    nothing = torch.empty(1, 0, C)
    fl.backbone(fl.input_linear(nothing), prefix, nothing, model_state=state)
    increment_steps(fl, state, increment=prefix.shape[1])
    hidden = []
    for row in torch.cat([fl.bos_emb[None], latents])[:, None, None]:  # one step a call, as generation does it
        hidden.append(fl.backbone(fl.input_linear(row), torch.empty(1, 0, fl.dim), row, model_state=state)[0, 0])
        increment_steps(fl, state, increment=1)
    for h in hooks: h.remove()
    hidden = torch.stack(hidden)
    # The trainer's form: everything at once, without a cache.
    sequence = torch.cat([prefix, fl.input_linear(torch.cat([fl.bos_emb[None], latents])[None])], dim=1)
    whole = fl.out_norm(fl.transformer(sequence, None))[0, prefix.shape[1]:]
    whole = whole if fl.z_proj is None else fl.z_proj(whole)
    assert close(hidden, whole), "cached and plain attention differ"
    out["backbone.voice"], out["backbone.tokens"], out["backbone.latents"] = voice, tokens, latents
    out["backbone.input"] = prefix[0]
    for k, parts in enumerate(seen):
        out[f"backbone.layers.{k}"] = torch.cat(parts)
    out["backbone.hidden"] = hidden
    out["backbone.eos"] = fl.out_eos(hidden)[:, 0]
    return out


@torch.no_grad()
def head_cases(model: TTSModel, seed: int) -> dict[str, torch.Tensor]:
    net = model.flow_lm.flow_net
    g = torch.Generator().manual_seed(seed + 4)
    z = torch.randn(6, net.cond_embed.in_features, generator=g)
    noise = torch.randn(6, C, generator=g)
    times = torch.rand(6, 2, generator=g).sort(dim=1).values
    times[0] = torch.tensor([0.0, 1.0])
    s, t = times[:, :1], times[:, 1:]
    given = {0: (), 1: (t,), 2: (s, t)}[net.num_time_conds]
    decode = {"lsd": lsd_decode, "flow_matching": ot_decode, "drifting": drifting_decode,
              "pointwise": pointwise_decode}[model.flow_lm.flow_type]
    out = {"head.z": z, "head.noise": noise, "head.s": s[:, 0], "head.t": t[:, 0], "head.velocity": net(z, *given, noise)}
    for steps in (1, 2, 3):
        out[f"head.sample.{steps}"] = decode(lambda *a: net(z, *a), noise, steps)
    return out


# --- end to end ----------------------------------------------------------------------------------------------------

TEXTS = [
    ("short", "Hello there, this is the quiet river", 50, 14),
    ("chunks", "The old man waited by the window. Where is the yellow paper? Nothing, he said; it is lost: perhaps forever!", 14, 3),
]


@torch.no_grad()
def speak(model: TTSModel, voice, text: str, max_tokens: int, cap: int, frames_after_eos=None):
    """Audio, normalised latents, EOS logits (per chunk) and chunks of one text, at most `cap` frames a chunk."""
    fl = model.flow_lm
    chunks = []
    prepare, sample = fl.conditioner.prepare, model._run_flow_lm_and_increment_step
    logits = []
    hook = fl.out_eos.register_forward_hook(lambda _m, _i, o: logits.append(o.flatten()[-1:]))

    def preparing(chunk):
        ids = prepare(chunk)
        chunks.append({"text": chunk, "tokens": ids[0].tolist(), "latents": [], "logits": []})
        return ids

    def sampling(**arguments):
        result = sample(**arguments)
        if arguments.get("backbone_input_latents") is not None:
            chunks[-1]["latents"].append(result[0][0, 0])
            chunks[-1]["logits"].append(float(logits[-1]))
        return result

    fl.conditioner.prepare, model._run_flow_lm_and_increment_step = preparing, sampling
    model._estimate_max_gen_len = lambda tokens: cap
    try:
        audio = model.generate_audio(voice, text, max_tokens=max_tokens, frames_after_eos=frames_after_eos)
    finally:
        hook.remove()
        for owner, name in ((fl.conditioner, "prepare"), (model, "_run_flow_lm_and_increment_step"), (model, "_estimate_max_gen_len")):
            delattr(owner, name) if name in owner.__dict__ else None
    return audio, chunks


def speech_cases(folder: pathlib.Path, model: TTSModel, seed: int):
    """Tensors and the JSON of: prompt, whole texts without EOS, one text where EOS fires."""
    out, info = {}, {}
    samples = official.voice_like(seed + 5, 1.3)
    official.write_wav(folder / "voice.wav", samples)
    raw, rate = audio_read(folder / "voice.wav")
    trimmed = end_on_pause(convert_audio(raw, rate, 24000, 1), 24000)
    latents = model.mimi.encode_to_latent(trimmed[None])[0]
    out["prompt.audio"], out["prompt.latents"] = trimmed[0], latents
    info["prompt"] = {"samples": raw.shape[1], "trimmed": trimmed.shape[1], "frames": latents.shape[0]}
    voice = model.get_state_for_audio_prompt(folder / "voice.wav")
    if folder.name == "lsd":
        export_model_state(voice, folder / "voice.safetensors")
        audio_again, _ = speak(model, model.get_state_for_audio_prompt(folder / "voice.safetensors"), "Again.", 50, 2)
        assert torch.equal(audio_again, speak(model, voice, "Again.", 50, 2)[0])

    info["speech"], spoken = [], {}
    for name, text, max_tokens, cap in TEXTS:
        audio, chunks = spoken[name] = speak(model, voice, text, max_tokens, cap)
        frames = sum(len(c["latents"]) for c in chunks)
        assert audio.shape == (frames * 1920,)
        out[f"speech.{name}.audio"] = audio
        out[f"speech.{name}.latents"] = torch.stack([x for c in chunks for x in c["latents"]])
        info["speech"].append({"name": name, "text": text, "max_tokens": max_tokens, "frames_cap": cap, "frames": frames,
                               "chunks": [{"text": c["text"], "tokens": c["tokens"], "frames": len(c["latents"])} for c in chunks]})
    assert len(info["speech"][1]["chunks"]) > 1
    first = spoken["short"][0]
    for other in ("Hello there, this is the quiet garden", "Never!"):  # the text must matter, from the first second on
        audio, _ = speak(model, voice, other, 50, 14)
        correlation = float(torch.corrcoef(torch.stack([audio[:first.shape[0]], first]))[0, 1])
        assert abs(correlation) < 0.98, f"the audio hardly depends on the text ({correlation:.4f})"

    # A threshold that the logits cross by themselves, with a wide margin and not at once.
    text, cap = TEXTS[0][1], TEXTS[0][3]
    logits = spoken["short"][1][0]["logits"]
    margin, step = max((logits[k] - max(logits[6:k]), k) for k in range(7, cap - 3))
    if margin < 1e-3:  # no later step stands out: take the first at which EOS counts
        margin, step = 0.2, 6
    threshold = float(np.float32(logits[step] - margin / 2))
    model.eos_threshold = threshold
    steps = []
    for after in (None, 0, 3):
        audio, _ = speak(model, voice, text, 50, cap, after)
        steps.append({"frames_after_eos": after, "eos_step": step, "frames": audio.shape[0] // 1920})
        assert close(audio, first[: audio.shape[0]])
    model.eos_threshold = 1e9
    assert steps[1]["frames"] == step and steps[2]["frames"] == step + 3
    info["eos"] = {"text": text, "threshold": threshold, "frames_cap": cap, "ignored_early": max(logits[:6]) > threshold,
                   "logits": logits, "steps": steps}
    return out, info


# --- training ------------------------------------------------------------------------------------------------------

CALM = dict(lr=0.01, weight_decay=0.1, betas=(0.9, 0.95), eps=1e-8, max_norm=1.0, warmup_steps=0)


def trainer(folder: pathlib.Path, flow: str, multiplier: int = 1, **objective):
    """The official trainable model of a directory, the official way, its head's weights included."""
    from training.args import FlowArgs, OptimArgs, TrainArgs
    from training.modules.builders import build_models
    args = TrainArgs(model_config="config.yaml", flow=FlowArgs(type=flow, kwargs=objective), optim=OptimArgs(**CALM),
                     flow_batch_multiplier=multiplier, text_dropout=0.2, voice_dropout=0.2, eos_loss_weight=0.1)
    with working_in(folder):
        model, _, _ = build_models(args)
        weights = load_file("model.safetensors")
    model.flow_lm.load_state_dict({k.removeprefix("flow_lm."): v for k, v in weights.items() if k.startswith("flow_lm.")}, strict=True)
    return model, args


def run_case(out: dict, name: str, model, args, batch, draws: dict[str, list], gradients=("",), step=False):
    """One forward and backward pass of the official model with the given draws; optionally one official step."""
    from training.checkpointing import EMA
    from training.train_utils import build_optimizer, lr_at
    latents, mask, tokens, voice, voice_frames = inputs(batch)
    keep = [torch.tensor(KEEP_VOICE), torch.tensor(KEEP_TEXT)]
    optimiser = build_optimizer(model, args, torch.device("cpu"), 0)
    ema = EMA(model, args.ema_decay)
    for group in optimiser.param_groups:
        group["lr"] = lr_at(0, args) * group.get("lr_scale", 1.0)
    optimiser.zero_grad()
    with scripted({"rand": keep, **draws}):
        loss, metrics = model(latents, mask, tokens, voice, num_voice_prompt_frames=voice_frames)
    loss.backward()
    for key in ("loss", "flow_loss", "flow_diag", "flow_distill", "eos_loss", "drifting_loss"):
        if key in metrics:
            out[f"{name}.{key}"] = metrics[key].reshape(1)
    named = {k: p for k, p in model.named_parameters() if p.requires_grad}
    for key, p in named.items():
        if key.startswith(tuple(gradients)):
            assert p.grad is not None, key
            out[f"{name}.grad.{key}"] = p.grad.clone()
    out[f"{name}.grad_norm"] = torch.nn.utils.clip_grad_norm_(model.parameters(), args.optim.max_norm).reshape(1)
    if step:
        assert float(out[f"{name}.grad_norm"]) > 1, "the gradients should be clipped"
        optimiser.step()
        ema.update(model)
        for key, p in named.items():
            out[f"{name}.adamw.{key}"] = p.detach().clone()
        for key in ("flow_lm.bos_emb", "flow_lm.out_eos.weight", "flow_lm.out_eos.bias"):
            out[f"{name}.ema.{key}"] = ema.shadow[key].clone()


def restated_lsd(model, z, x, noise, t, s2, t2, distill_weight: float, distill: bool):
    """The LSD loss as our documents state it, to assert that the recorded draws mean what we say they mean."""
    v = lambda *a: model.flow_lm.flow_net(z, *a)
    w = lambda *a: model.flow.w_s_t(*a)[:, 0]
    diagonal = (v(t, t, t * x + (1 - t) * noise) - (x - noise)).square().sum(-1)
    loss = 0.75 * (diagonal * w(t, t).exp() / C - w(t, t))
    if distill:
        start = s2 * x + (1 - s2) * noise
        speed, change = torch.func.jvp(v, (s2, t2, start), (torch.zeros_like(s2), torch.ones_like(t2), torch.zeros_like(start)))
        end = start + (t2 - s2) * speed
        gap = (speed + (t2 - s2) * change - v(t2, t2, end)).square().sum(-1)
        loss = loss + distill_weight * (gap * w(s2, t2).exp() / C - w(s2, t2))
    return loss.mean()


def training_cases(folder: pathlib.Path, seed: int) -> None:
    kind = folder.name
    flow = kind.removesuffix("_train")
    rows = sum(FRAMES)
    g = torch.Generator().manual_seed(seed + 7)
    out, cases = {}, []
    fresh = lambda K=1, **objective: trainer(folder, flow, K, **objective)
    model, args = fresh(**({"num_neg": 5, "temp": 0.7} if flow == "drifting" else {}))
    model.train()
    batch = make_batch(model, seed)
    out |= batch
    start = {k: v.clone() for k, v in model.flow.state_dict().items()}
    if flow == "lsd":
        for k, v in start.items():  # begun at zero, all but one of these would have no gradient
            start[k] = torch.randn(v.shape, generator=g) * (0.3 if k.endswith("bias") else 1 / v.shape[-1]**0.5)
    out |= {f"start.flow.{k}": v for k, v in start.items()}

    latents, mask, tokens, voice, voice_frames = inputs(batch)
    fl = model.flow_lm
    with torch.no_grad():
        x = (latents - fl.emb_mean) / fl.emb_std
        for what, dropped in (("", True), ("undropped.", False)):
            with scripted({"rand": [torch.tensor(KEEP_VOICE), torch.tensor(KEEP_TEXT)]}):
                z = model.backbone_z(fl, x, tokens, voice, voice_frames, cfg_dropout=dropped)
            if dropped:
                out["z"], out["eos_logits"] = z, fl.out_eos(z)[..., 0]
        # Padding must not matter: row 0 alone, unpadded, at its full conditions.
        with scripted({"rand": [torch.zeros(1), torch.zeros(1)]}):
            alone = model.backbone_z(fl, x[:1, :FRAMES[0]], tokens[:1], voice[:1, :VOICE_FRAMES[0]], voice_frames[:1], cfg_dropout=True)
        assert close(alone[0], out["z"][0, :FRAMES[0]], 1e-4)

    def case(name, K=1, stopgrad="minimal", distill=True, mode="train", zero_w=False, gradients=("",), step=False, like=None):
        objective = {"lsd": {"stopgrad_type": stopgrad}, "drifting": {"num_neg": 5, "temp": 0.7}}.get(flow, {})
        model, args = fresh(K, **objective)
        model.train(mode == "train")
        model.flow.load_state_dict({k: torch.zeros_like(v) if zero_w else v for k, v in start.items()})
        R = K * rows
        drawn = {k.removeprefix(f"{like}."): v for k, v in out.items() if like and k.startswith(f"{like}.")}
        noise = drawn["noise"] if like else torch.randn(R, C, generator=g)
        out[f"{name}.noise"] = noise
        draws = {"randn_like": [noise]}
        entry = {"name": name, "multiplier": K, "mode": mode}
        if flow == "lsd":
            n1 = drawn["t_normal"] if like else torch.randn(R, generator=g)
            n2 = drawn["st_normal"] if like else torch.randn(R, 2, generator=g)
            draws["randn_like"] += [n1[:, None]] + ([n2] if distill else [])
            if mode == "train":
                draws["skip"] = [torch.tensor(0.0 if distill else 0.999)]
            weight = 0.25 / 0.25 if mode == "train" else 0.25
            t, both = torch.sigmoid(n1[:, None] + 0.4), torch.sigmoid(n2 + 0.4)
            s2, t2 = both.min(1, keepdim=True)[0], both.max(1, keepdim=True)[0]
            out[f"{name}.t_normal"], out[f"{name}.t"] = n1, t[:, 0]
            if distill:
                out[f"{name}.st_normal"], out[f"{name}.s2"], out[f"{name}.t2"] = n2, s2[:, 0], t2[:, 0]
            entry |= {"stopgrad": stopgrad, "distill": distill, "distill_weight": weight if distill else 0.0, "zero_w": zero_w}
        elif flow == "flow_matching":
            t = torch.rand(R, generator=g)
            out[f"{name}.t"] = t
            draws["rand_like"] = [t[:, None]]
        elif flow == "drifting":
            e = torch.randn(5, R, C, generator=g)
            out[f"{name}.draws"] = e
            draws["randn"] = [e]
        if mode == "eval":  # still drawn, and ignored
            entry["dropped"] = False
        before = {k: p.detach().clone() for k, p in model.state_dict().items()}
        run_case(out, name, model, args, batch, draws, gradients, step)
        model.load_state_dict(before)
        if flow == "lsd":
            with torch.no_grad():
                with scripted({"rand": [torch.tensor(KEEP_VOICE), torch.tensor(KEEP_TEXT)]}):
                    z = model.backbone_z(model.flow_lm, x, tokens, voice, voice_frames, cfg_dropout=mode == "train")
            again = restated_lsd(model, z[mask].repeat(K, 1), x[mask].repeat(K, 1), noise, t, s2, t2, entry["distill_weight"], distill)
            assert close(again.detach().reshape(1), out[f"{name}.flow_loss"], 1e-4), name
        cases.append(entry | {"gradients": list(gradients), "step": step})

    if flow == "lsd":
        case("minimal", step=True)
        case("classic", stopgrad="classic", like="minimal")
        case("skipped", distill=False, like="minimal", gradients=("flow_lm.flow_net.", "flow.", "flow_lm.out_norm."))
        case("multiplied", K=3, gradients=("flow_lm.flow_net.final_layer.", "flow_lm.out_norm.", "flow_lm.bos"))
        case("validation", mode="eval", gradients=("flow_lm.out_norm.",))
        case("unweighted", zero_w=True, like="minimal", gradients=("flow.",))
        assert all(not out[k].any() for k in out if k.startswith("unweighted.grad.") and not k.endswith(".6.bias"))
    elif flow == "flow_matching":
        case("main", step=True)
        case("multiplied", K=2, gradients=("flow_lm.flow_net.final_layer.",))
    else:
        case("main", gradients=("flow_lm.flow_net.", "flow_lm.z_proj.", "flow_lm.out_norm.", "flow_lm.out_eos.", "flow."))

    with torch.no_grad():
        model._update_latent_stats(latents, mask)
    out["stats.mean"], out["stats.std"] = fl.emb_mean, fl.emb_std
    save(folder / "training.safetensors", out)
    from training.train_utils import build_optimizer
    names = {id(p): k for k, p in model.named_parameters()}
    groups = [{"weight_decay": grp["weight_decay"], "parameters": [names[id(p)] for p in grp["params"]]}
              for grp in build_optimizer(model, args, torch.device("cpu"), 0).param_groups]
    write_json(folder / "training.json", header(seed // 1000, kind) | {
        "cases": cases, "eos_loss_weight": args.eos_loss_weight, "stats_decay": args.stats_ema_decay, "ema_decay": args.ema_decay,
        "optimiser": {k: v for k, v in CALM.items() if k != "warmup_steps"}, "groups": groups,
        "objective": {"lsd": {"p_equal": 0.75, "mean": 0.4, "deviation": 1.0, "distill_prob": 0.25},
                      "flow_matching": {"sig_min": 0.001},
                      "drifting": {"num_neg": 5, "temp": 0.7, "temp_loss_weight": 1.0, "normalize_force": "batch"}}[flow],
        "schedule": schedule_cases()})


def schedule_cases() -> list[dict]:
    from training.args import OptimArgs, TrainArgs
    from training.train_utils import lr_at
    out = []
    for lr, warmup, schedule, ratio, steps in ((2e-4, 500, "constant", 0.0, 10000), (2e-5, 0, "constant", 0.0, 100),
                                               (1e-3, 10, "cosine", 0.1, 1000), (1e-3, 0, "cosine", 0.0, 50)):
        args = TrainArgs(max_steps=steps, optim=OptimArgs(lr=lr, warmup_steps=warmup, schedule=schedule, lr_min_ratio=ratio))
        for step in (0, 1, 9, 10, 49, 50, 499, 500, 999, 1500):
            out.append({"lr": lr, "warmup_steps": warmup, "schedule": schedule, "lr_min_ratio": ratio, "max_steps": steps,
                        "step": step, "value": lr_at(step, args)})
    return out


def optimiser_cases(folder: pathlib.Path, seed: int) -> None:
    """Ten official steps, with gradients that are clipped in some and not in others."""
    from training.args import OptimArgs, TrainArgs
    from training.train_utils import build_optimizer, lr_at
    from types import SimpleNamespace
    folder.mkdir(parents=True, exist_ok=True)
    g = torch.Generator().manual_seed(seed + 8)
    shapes = {"flow_lm.conditioner.embed.weight": (6, 4), "weight": (5, 3), "bias": (7,), "still": (2, 2)}
    named = {k: torch.nn.Parameter(torch.randn(v, generator=g)) for k, v in shapes.items()}
    model = SimpleNamespace(parameters=lambda: iter(named.values()),
                            flow_lm=SimpleNamespace(conditioner=SimpleNamespace(embed=SimpleNamespace(weight=named["flow_lm.conditioner.embed.weight"]))))
    settings = dict(lr=0.03, weight_decay=0.1, betas=(0.9, 0.95), eps=1e-8, max_norm=1.0, warmup_steps=4, schedule="cosine", lr_min_ratio=0.1)
    args = TrainArgs(max_steps=10, optim=OptimArgs(**settings))
    optimiser = build_optimizer(model, args, torch.device("cpu"), 0)
    out = {f"start.{k}": p.clone() for k, p in named.items()}
    rates = []
    for step in range(10):
        rates.append(lr_at(step, args))
        for group in optimiser.param_groups: group["lr"] = rates[-1]
        for k, p in named.items():
            if k != "still":
                p.grad = torch.randn(p.shape, generator=g) * (0.05 if step % 3 == 1 else 0.5)
                if k.endswith("embed.weight"): p.grad[4:] = 0  # rows of tokens that do not occur
                out[f"gradient.{step}.{k}"] = p.grad.clone()
        out[f"norm.{step}"] = torch.nn.utils.clip_grad_norm_(model.parameters(), args.optim.max_norm).reshape(1)
        optimiser.step()
        out |= {f"after.{step}.{k}": p.detach().clone() for k, p in named.items()}
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed // 1000, "optimiser") | {"optimiser": settings, "max_steps": 10, "rates": rates})


# --- audio and text ------------------------------------------------------------------------------------------------

def audio_cases(folder: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed + 9)
    out = {}
    for rate in (8000, 16000, 22050, 44100, 48000):
        samples = torch.from_numpy((0.3 * rng.standard_normal((1, int(0.1 * rate) + rate % 7 + 3))).astype(np.float32))
        out[f"resample.{rate}.input"], out[f"resample.{rate}.output"] = samples[0], convert_audio(samples, rate, 24000, 1)[0]
    quiet = 10 ** (-34.5 / 20)  # just loud enough beside a level of 0 dB
    loud = rng.standard_normal(480 * 9 + 100) * np.repeat([1, 1, quiet, 1, 0.5, 0.01, quiet, 0.01, 0.001, 1], 480)[: 480 * 9 + 100]
    for k, samples in enumerate([0.2 * loud, 0.2 * loud[: 480 * 6], np.zeros(1500), 0.1 * rng.standard_normal(479), 0.1 * rng.standard_normal(480),
                                 np.concatenate([0.1 * rng.standard_normal(100), np.zeros(1300)])]):
        samples = torch.from_numpy(samples.astype(np.float32))[None]
        out[f"pause.{k}.input"], out[f"pause.{k}.output"] = samples[0], end_on_pause(samples, 24000)[0]
    save(folder / "cases.safetensors", out)
    write_json(folder / "cases.json", header(seed // 1000, "audio") | {"rates": [8000, 16000, 22050, 44100, 48000], "pauses": 6})


OPTIONS = [
    dict(replace_characters={"’": "'", "‘": "'"}),  # as english
    dict(replace_characters={"’": "'", "‘": "'", "–": ",", "—": ",", ":": ",", **{c: "" for c in "\"“”„«»()[]"}}, remove_semicolons=True),  # as french
    dict(replace_characters={}, pad_with_spaces_for_short_inputs=True),
    dict(replace_characters={"…": "...", "ß": "ss"}, append_terminal_punctuation=False, capitalize_first_letter=False),
]
MAX_TOKENS = [50, 12, 1]


def text_cases(folder: pathlib.Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sentences = official.corpus(seed + 10, 1500)
    pieces = 700
    official.train_tokenizer(folder / "tokenizer.model", sentences, pieces)
    official.convert_tokenizer(folder / "tokenizer.model", folder / "tokenizer.json")
    kinds = {"sentencepiece": build_tokenizer(pieces, str(folder / "tokenizer.model")),
             "tokenizers": build_tokenizer(pieces, str(folder / "tokenizer.json"), "tokenizers")}
    options = [dict(pad_with_spaces_for_short_inputs=False, remove_semicolons=False, append_terminal_punctuation=True,
                    capitalize_first_letter=True) | o for o in OPTIONS]

    def refused_is_null(function, *arguments, **keywords):
        try:
            return function(*arguments, **keywords)
        except ValueError:
            return None

    cases = []
    for text in awkward.strings(seed + 11, sentences):
        ids = {kind: t.encode(text) for kind, t in kinds.items()}
        cases.append({
            "text": text, "ids": ids, "decoded": {kind: t.decode(ids[kind]) for kind, t in kinds.items()},
            "prepared": [refused_is_null(prepare_text_prompt, text, **o) for o in options],
            "chunks": {kind: [[refused_is_null(split_into_best_sentences, t, text, n, **o) for n in MAX_TOKENS]
                              if refused_is_null(prepare_text_prompt, text, **o) else None for o in options] for kind, t in kinds.items()}})
    rng = random.Random(seed + 12)
    decode = []
    for k in range(60):  # any ids: cut characters, control pieces, spaces at either end
        pool = [range(pieces), range(4, 260), [0, 1, 2, 3, 260, 261, 65, 230, 300]][k % 3]
        ids = [rng.choice(pool) for _ in range(rng.randint(0, 12))]
        decode.append({"ids": ids} | {kind: t.decode(ids) for kind, t in kinds.items()})
    about = header(seed // 1000, "text") | {
        "pieces": pieces, "options": options, "max_tokens": MAX_TOKENS,
        "marks": {kind: {"sentence": t.encode(".!...?")[1:], "clause": t.encode(",;:")[1:]} for kind, t in kinds.items()}}
    lines = [json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases]
    more = [json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in decode]
    body = json.dumps(about, ensure_ascii=False, indent=1)[:-2]
    (folder / "cases.json").write_text(body + ',\n "cases": [\n' + ",\n".join(lines) + '\n ],\n "decode": [\n' + ",\n".join(more) + "\n ]\n}\n")
    assert len(json.loads((folder / "cases.json").read_text())["cases"]) >= 200


# --- command line --------------------------------------------------------------------------------------------------

def model_part(folder: pathlib.Path, config: dict, tokenizers: pathlib.Path, seed: int) -> None:
    kind = folder.name
    write_model(folder, config, tokenizers, seed)
    model = load(folder)
    about = header(seed // 1000, kind)
    if not kind.endswith("_train"):
        pieces = [1, 3, 2]
        tensors = mimi_cases(model, seed, pieces) | backbone_cases(model, seed) | head_cases(model, seed)
        about["mimi"] = {"pieces": pieces}
        more, info = speech_cases(folder, model, seed)
        save(folder / "cases.safetensors", tensors | more)
        about |= info
    write_json(folder / "cases.json", about)
    if kind.endswith("_train") or kind == "drifting":
        training_cases(folder, seed)


def separate_part(out: pathlib.Path, seed: int) -> None:
    write_separate(out / "separate", out / "lsd")
    write_json(out / "separate" / "cases.json", header(seed // 1000, "separate") | {"equals": "lsd", "tolerance": 1e-6})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--training", help="the official training folder (default: fetched with pip)")
    parser.add_argument("--only", action="append", metavar="PART", help="write this folder alone; may be given again")
    a = parser.parse_args()
    official.training_folder(a.training)
    import backbone, distillation, muon, recipes
    out, seed = a.out.resolve(), 1000 * a.seed
    parts = {kind: lambda index=index, kind=kind, config=config: model_part(out / kind, config, tokenizers, seed + 100 * index)
             for index, (kind, config) in enumerate(kinds())}
    parts |= {
        "audio": lambda: audio_cases(out / "audio", seed),
        "text": lambda: text_cases(out / "text", seed),
        "optimiser": lambda: optimiser_cases(out / "optimiser", seed),
        "separate": lambda: separate_part(out, seed),
        "optimiser_muon": lambda: muon.cases(out / "optimiser_muon", seed),
        "backbone_distillation": lambda: backbone.cases(out / "backbone_distillation", tokenizers, seed),
        "head_distillation": lambda: distillation.head(out / "head_distillation", seed),
        "recipes": lambda: recipes.cases(out / "recipes", seed),
    }
    unknown = sorted(set(a.only or ()) - set(parts))
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(parts)}")

    tokenizers = out / "tokenizers.tmp"
    tokenizers.mkdir(parents=True, exist_ok=True)
    official.train_tokenizer(tokenizers / "tokenizer.model", official.corpus(a.seed, 400), PIECES)
    official.convert_tokenizer(tokenizers / "tokenizer.model", tokenizers / "tokenizer.json")
    for name, write in parts.items():
        if not a.only or name in a.only:
            write()
            print(name, "done", flush=True)
    for path in tokenizers.iterdir(): path.unlink()
    tokenizers.rmdir()


if __name__ == "__main__":
    main()

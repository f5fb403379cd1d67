#!/usr/bin/env python3
"""The official package beside ours at full size, by hand or from `make check-slow`. Needs requirements.txt.

    full_size.py --make CONFIG --out DIR [--seed N] [--training FOLDER]
        A model directory of an official configuration (english, french_24l, english_2m_2026-10, ...) with random weights
        at unit gain, its own tokenizer of the configured kind and size; paths in its config.yaml are relative to it.
        voice.wav beside it is something like speech, 4 s of 24 kHz.
    full_size.py --golden MODEL --voice WAV --text TEXT --out DIR [--frames N] [--decode-steps N]
        What the official package makes of it at temperature 0 without EOS: DIR/audio.f32 (all chunks, at most N frames
        each), DIR/latents.npy (of the WAV as it is: 24 kHz), DIR/golden.json.
    full_size.py --compare DIR [--audio FILE] [--latents FILE]
        Our outputs beside that. FILE: .wav, .f32 (raw F32), .npy, .safetensors (tensor `audio` or `latents`) or .ttsr.
        Fails unless the audio correlates above 0.999999 and the latents' relative error is below 1e-4.
    full_size.py --loads MODEL [--voice WAV] [--text TEXT] [--frames N] [--out DIR]
        Loads a model directory of ours in the official package, working in that directory, and speaks a few frames;
        with --out they are kept as --golden keeps them.

Each prints one line of JSON; the exit code is 1 when something does not hold.
"""
import argparse
import json
import os
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
# pocket_tts.py beside this file is called like the official package: look here last.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != HERE] + [str(HERE)]

import numpy as np
import soundfile
import torch
import yaml
from safetensors.numpy import load as load_tensors
from safetensors.torch import save_file

import official
from pocket_tts.models.tts_model import TTSModel
from pocket_tts.utils.config import CONFIGS_DIR

TEXT = "The old man waited by the window. Nothing is lost, he said; not yet."


def make(name: str, out: pathlib.Path, seed: int, training: str | None) -> dict:
    source = CONFIGS_DIR / f"{name}.yaml"
    if not source.is_file():
        raise SystemExit(f"no official configuration {name}; there are: {', '.join(sorted(p.stem for p in CONFIGS_DIR.glob('*.yaml')))}")
    config = yaml.safe_load(source.read_text())
    out.mkdir(parents=True, exist_ok=True)
    lookup = config["flow_lm"]["lookup_table"]
    # English-looking sentences beside invented words, for only they fill thousands of pieces.
    invented = official.invented_words(seed, 60000)
    sentences = official.corpus(seed, 3000) + [" ".join(invented[k:k + 10]) + "." for k in range(0, len(invented), 10)]
    official.train_tokenizer(out / "tokenizer.model", sentences, lookup["n_bins"])
    lookup["tokenizer_path"] = "tokenizer.model"
    if lookup["tokenizer"] in ("tokenizers", "json"):
        official.training_folder(training)
        official.convert_tokenizer(out / "tokenizer.model", out / "tokenizer.json")
        (out / "tokenizer.model").unlink()
        lookup["tokenizer_path"] = "tokenizer.json"
    for key in ("weights_path", "weights_path_without_voice_cloning"):
        config.pop(key, None)
    os.chdir(out)
    weights = official.randomise(official.build(config), seed)
    # At unit gain the loop from latent to latent is chaotic where a model is small: a change of 1e-6 in the voice grows
    # by a third with each frame, in the official package alone. With a third of the feedback it stays small.
    weights["flow_lm.input_linear.weight"] = weights["flow_lm.input_linear.weight"] / 3
    save_file(weights, "model.safetensors")
    config = {"weights_path": "model.safetensors"} | config
    pathlib.Path("config.yaml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    official.write_wav(pathlib.Path("voice.wav"), official.voice_like(seed, 4.0))
    count = lambda prefix: sum(v.numel() for k, v in weights.items() if k.startswith(prefix))
    return {"made": name, "tensors": len(weights), "flow_lm": count("flow_lm."), "mimi": count("mimi.")}


def load(folder: pathlib.Path, decode_steps: int = 1) -> TTSModel:
    os.chdir(folder)  # paths in the configuration count from the working directory
    model = TTSModel.load_model(config="config.yaml", temp=0.0, eos_threshold=1e9, sampler_decode_steps=decode_steps)
    torch.set_num_threads(os.cpu_count() or 1)
    return model


def read_voice(path: pathlib.Path | None, rate: int) -> torch.Tensor:
    if path is None:
        return torch.from_numpy(official.voice_like(1, 2.0, rate).astype(np.float32) / 32768)[None]
    samples, its_rate = soundfile.read(path, dtype="float32", always_2d=True)
    if its_rate != rate or samples.shape[1] != 1:
        raise SystemExit(f"{path}: give the voice at {rate} Hz with one channel, so that no resampler is compared")
    return torch.from_numpy(samples.T.copy())


@torch.no_grad()
def golden(model: TTSModel, voice: torch.Tensor, text: str, frames: int, out: pathlib.Path | None) -> dict:
    latents = model.mimi.encode_to_latent(voice[None])[0].numpy()
    state = model.get_state_for_audio_prompt(voice)
    model._estimate_max_gen_len = lambda tokens: frames
    audio = model.generate_audio(state, text).numpy()
    other = model.generate_audio(state, "Quite different words, and more of them!").numpy()
    n = min(len(audio), len(other))
    facts = {"frames": len(audio) // 1920, "samples": len(audio), "peak": float(np.abs(audio).max()),
             "latents": list(latents.shape), "latent_spread": float(latents.std(0).mean() / latents.std()),
             "with_other_text": float(np.corrcoef(audio[:n], other[:n])[0, 1]), "text": text, "frames_per_chunk": frames}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        audio.astype("<f4").tofile(out / "audio.f32")
        np.save(out / "latents.npy", np.ascontiguousarray(latents))
        (out / "golden.json").write_text(json.dumps(facts | {"versions": official.versions()}, indent=1) + "\n")
    return facts


def records(path: pathlib.Path):
    """The tensors of each record of a record stream."""
    import zstandard
    with open(path, "rb") as f, zstandard.ZstdDecompressor().stream_reader(f, read_across_frames=True) as stream:
        while size := stream.read(8):
            yield load_tensors(stream.read(struct.unpack("<Q", size)[0]))


def read_output(path: pathlib.Path, name: str, like: np.ndarray) -> np.ndarray:
    if path.suffix == ".ttsr":
        parts = [tensors[name] for tensors in records(path) if name in tensors]
        value = np.concatenate(parts, axis=0 if name == "latents" else -1)
    elif path.suffix == ".safetensors":
        value = load_tensors(path.read_bytes())[name]
    elif path.suffix == ".npy":
        value = np.load(path)
    elif path.suffix == ".f32":
        value = np.fromfile(path, dtype="<f4")
    else:
        value = soundfile.read(path, dtype="float32")[0]
    value = np.squeeze(value).astype(np.float64)
    return value.reshape(-1, like.shape[-1]) if like.ndim == 2 else value.reshape(-1)


def compare(folder: pathlib.Path, audio: pathlib.Path | None, latents: pathlib.Path | None) -> dict:
    facts, good = {}, True
    if audio is not None:
        theirs = np.fromfile(folder / "audio.f32", dtype="<f4").astype(np.float64)
        ours = read_output(audio, "audio", theirs)
        n = min(len(ours), len(theirs))
        facts |= {"samples": [len(ours), len(theirs)], "correlation": float(np.corrcoef(ours[:n], theirs[:n])[0, 1]),
                  "audio_error": float(np.abs(ours[:n] - theirs[:n]).max() / np.abs(theirs).max())}
        # A WAV file may end in the official 0.2 s of silence.
        good = good and len(theirs) <= len(ours) <= len(theirs) + 4800 and facts["correlation"] > 0.999999
    if latents is not None:
        theirs = np.load(folder / "latents.npy").astype(np.float64)
        ours = read_output(latents, "latents", theirs)
        same = ours.shape == theirs.shape
        facts |= {"frames": [len(ours), len(theirs)],
                  "latent_error": float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)) if same else None}
        good = good and same and facts["latent_error"] < 1e-4
    return facts | {"good": bool(good)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], usage=__doc__.split("\n\n")[1])
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--make")
    for name in ("--golden", "--compare", "--loads"): mode.add_argument(name, type=pathlib.Path)
    for name in ("--out", "--voice", "--audio", "--latents"): parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--decode-steps", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--training")
    a = parser.parse_args()
    for name in ("golden", "compare", "loads", "out", "voice", "audio", "latents"):
        if getattr(a, name) is not None:
            setattr(a, name, getattr(a, name).resolve())  # before the working directory changes
    if (a.make or a.golden) and a.out is None:
        parser.error("--out is missing")
    if a.golden and a.voice is None:
        parser.error("--voice is missing")
    if a.compare and not (a.audio or a.latents):
        parser.error("give --audio, --latents or both")
    if a.make:
        facts = make(a.make, a.out, a.seed, a.training)
    elif a.compare:
        facts = compare(a.compare, a.audio, a.latents)
    else:
        model = load(a.golden or a.loads, a.decode_steps)
        facts = golden(model, read_voice(a.voice, model.sample_rate), a.text, a.frames or (60 if a.golden else 5), a.out)
        facts["good"] = bool(np.isfinite(facts["peak"]) and facts["peak"] > 0)
    print(json.dumps(facts))
    return 0 if facts.get("good", True) else 1


if __name__ == "__main__":
    sys.exit(main())

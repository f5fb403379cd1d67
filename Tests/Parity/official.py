"""What both parity scripts share: the official package and its training folder, tokenizers, random weights, a voice.

Everything here is seeded and depends on nothing but its arguments, so that the same seed gives the same fixtures.
"""
import importlib
import io
import json
import logging
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import types
import warnings
import wave

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore", message=".*Failed to initialize NumPy.*")
import numpy as np
import sentencepiece
import torch

import pocket_tts
from pocket_tts.models.tts_model import TTSModel
from pocket_tts.utils.config import Config

VERSION = "4.0.1"
logging.disable(logging.WARNING)
torch.set_num_threads(1)


def training_folder(given: str | None) -> pathlib.Path:
    """The `training` folder of the official source distribution, importable as the package `training`.

    The wheel does not hold it; without a folder given it comes from pip into a cache directory. It is put at the
    end of the search path, so that `pocket_tts` stays the installed one.
    """
    if given is None:
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ttstools-parity"
        root = cache / f"pocket_tts-{VERSION}"
        if not (root / "training").is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pocket-tts",
                            "--dest", str(cache), f"pocket-tts=={VERSION}"], check=True)
            with tarfile.open(cache / f"pocket_tts-{VERSION}.tar.gz") as archive:
                archive.extractall(cache, filter="data")
        folder = root / "training"
    else:
        folder = pathlib.Path(given).resolve()
    if not (folder / "train_utils.py").is_file():
        raise SystemExit(f"{folder} is not the training folder of pocket-tts {VERSION}")
    sys.path.append(str(folder.parent))
    # Its data loader imports an audio reader that nothing here calls.
    sys.modules.setdefault("sphn", types.ModuleType("sphn"))
    importlib.import_module("training.modules.builders")
    return folder


# --- text and tokenizers -------------------------------------------------------------------------------------------

WORDS = """
the of and to in that was he it his is with as had for you at her on be not by but have him which from this all they
were my are me one their so said would there we been when who what will no if more an up out do into any some could
your them then like now these than our time over very about made only did must other such before may well man upon its
down see can how much day after first come little before long great good where house never know again old every men
night home hand might while away through water morning under light heart world quiet river window garden letter table
paper voice sound music street winter summer silver copper yellow purple orange bridge harbour station mountain valley
captain teacher doctor painter writer reader listener speaker engine machine signal number seven eleven twelve hundred
thousand million perhaps because although however therefore nothing something everything anyone somewhere together
between against without within around toward almost already always sometimes usually quickly slowly softly loudly
walking talking singing reading writing running waiting thinking looking finding keeping losing opening closing
answered asked called turned looked walked listened whispered remembered forgotten broken spoken written taken given
chapter question answer history journey weather kitchen village market island forest castle shadow colour picture
breakfast supper coffee bread butter cheese apple pepper sugar honey lemon onion potato tomato carrot garlic
Doctor Mister London Paris Monday Tuesday Friday January April August October December Christmas English French German
don't can't won't it's I'm you're we'll they've isn't wasn't that's what's let's o'clock
café naïve façade über señor garçon Köln Zürich São Łódź
""".split()

EXTRA = [
    "Well... I don't know; perhaps we should wait: it is late, and the night is cold!",
    "Is it 3.14, or 2.72? The price was $4.99 (about 5 euros), i.e. 20% less than before.",
    '"Where are you going?" she asked. \'Nowhere,\' he said, "nowhere at all..."',
    "Dr. Brown met Mr. Smith at 10:30 a.m. on 21 March 1999; they spoke of e-mail, wi-fi and co-operation.",
    "Numbers: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1,000 and 1,000,000. What? Yes! No... Why?! Because.",
    "A-B-C, x/y, a+b=c, #1, @home, [sic], {braces}, <tags>, back\\slash, under_score, 50% & more ~ about.",
]


def corpus(seed: int, lines: int) -> list[str]:
    """Sentences of a few hundred English-looking words, numbers and marks."""
    rng = random.Random(seed)
    out = []
    for _ in range(lines):
        words = [rng.choice(WORDS) for _ in range(rng.randint(3, 14))]
        if rng.random() < 0.15:
            words[rng.randrange(len(words))] = str(rng.randint(0, 2500))
        text = words[0][:1].upper() + words[0][1:]
        for word in words[1:]:
            text += rng.choices([" ", ", ", "; ", ": ", " - "], [40, 5, 1, 1, 1])[0] + word
        out.append(text + rng.choices([".", "?", "!", "..."], [10, 3, 3, 1])[0])
        if rng.random() < 0.1:
            out.append(rng.choice(EXTRA))
    return out


def invented_words(seed: int, count: int) -> list[str]:
    """Made-up words of a few syllables, for vocabularies larger than a word list can fill."""
    rng = random.Random(seed)
    heads = ["", "b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "br", "ch", "cl",
             "dr", "fl", "gr", "pl", "pr", "sh", "sl", "sp", "st", "str", "th", "tr", "wh"]
    cores = ["a", "e", "i", "o", "u", "ai", "ea", "ee", "ie", "oa", "oo", "ou", "y"]
    tails = ["", "", "", "n", "r", "s", "t", "l", "d", "m", "ck", "ll", "nd", "ng", "nt", "rs", "st"]
    return ["".join(rng.choice(heads) + rng.choice(cores) + rng.choice(tails) for _ in range(rng.choice([1, 1, 2, 2, 3])))
            for _ in range(count)]


def train_tokenizer(path: pathlib.Path, sentences: list[str], pieces: int) -> None:
    """A SentencePiece model with the options of the official tokenizer trainer (one thread: repeatable)."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model, vocab_size=pieces, model_type="unigram",
        character_coverage=0.9995, normalization_rule_name="identity", remove_extra_whitespaces=False,
        max_sentencepiece_length=6, allow_whitespace_only_pieces=True, split_digits=True, byte_fallback=True, pad_id=3,
        num_threads=1, minloglevel=2)
    path.write_bytes(model.getvalue())


def convert_tokenizer(model: pathlib.Path, out: pathlib.Path) -> None:
    """The official converter's tokenizer.json of a SentencePiece model (needs the training folder)."""
    converter = importlib.import_module("training.scripts.convert_tokenizer")
    converter.build(model).save(str(out))


# --- weights -------------------------------------------------------------------------------------------------------

def unit_gain(name: str, like: torch.Tensor, g: torch.Generator) -> torch.Tensor:
    """A random tensor for `name` that keeps activations near unit size, so that every part of the model matters.

    The package's own initialisation nearly closes the text path and leaves norms, biases, scales and statistics at 0
    or 1, behind which mistakes hide.
    """
    normal = lambda: torch.randn(like.shape, generator=g)
    uniform = lambda: torch.rand(like.shape, generator=g)
    last = name.rsplit(".", 1)[-1]
    if last == "freqs":  # as a BF16 file would hold them: readers must use the stored ones
        return like.to(torch.bfloat16).float()
    if last == "emb_mean":
        return 0.2 * normal()
    if last == "emb_std":
        return 0.5 + uniform()
    if last in ("bos_emb", "bos_before_voice"):
        return normal()
    if last == "scale":  # layer scales
        return 0.25 + 0.5 * uniform()
    if last == "alpha" or (last == "weight" and like.ndim == 1):  # norms
        return 1 + 0.2 * normal()
    if last == "bias":
        return 0.1 * normal()
    if name.endswith("conditioner.embed.weight"):
        return 1.5 * normal()
    gain = 1.0
    if name.startswith("mimi.") and like.ndim == 3:
        gain = 0.7 if ".block.3." in name else 1.4  # ELU halves the power; residual branches add up
        if name.endswith("quantizer.output_proj.weight") or "upsample" in name or "downsample" in name:
            gain = 1.0
        elif name.startswith("mimi.decoder.") and like.shape[0] == 1:
            gain = 0.06  # the last convolution: audio within about -1 ... 1
        elif name == "mimi.encoder.model.0.conv.weight":
            gain = 4.0  # audio is quieter than unit size
    if ".convtr." in name:  # [in, out / groups, kernel], kernel twice the stride: two taps reach each output
        groups = like.shape[0] if like.shape[1] == 1 else 1
        fan_in = like.shape[0] / groups * 2
    else:
        fan_in = like[0].numel()
    return gain * normal() / fan_in**0.5


def randomise(model: TTSModel, seed: int) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {name: unit_gain(name, value, g).contiguous() for name, value in sorted(model.state_dict().items())}


def build(config: dict) -> TTSModel:
    """The official model of a configuration, its weights as initialised. Paths count from the working directory."""
    bare = json.loads(json.dumps(config))
    bare.pop("weights_path", None)
    bare.pop("weights_path_without_voice_cloning", None)
    return TTSModel._from_pydantic_config_with_weights(
        Config(**bare), temp=0.0, sampler_decode_steps=1, noise_clamp=None, eos_threshold=0.0)


# --- audio ---------------------------------------------------------------------------------------------------------

def voice_like(seed: int, seconds: float, rate: int = 24000) -> np.ndarray:
    """16-bit samples of something like speech: gliding harmonics in syllables, hiss, and a quiet tail."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    t = np.arange(n) / rate
    pitch = 120 + 60 * np.sin(2 * np.pi * 0.9 * t + rng.uniform(0, 6)) + 20 * np.sin(2 * np.pi * 3.1 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    out = np.zeros(n)
    step = int(0.17 * rate)
    for start in range(0, n, step):
        part = slice(start, min(n, start + step))
        envelope = np.hanning(step)[: part.stop - part.start] ** 0.5
        tone = sum(np.sin(k * phase[part] + rng.uniform(0, 6)) * rng.uniform(0, 1) / k for k in range(1, 25))
        hiss = rng.standard_normal(part.stop - part.start) * rng.uniform(0, 0.3)
        out[part] = envelope * (tone * rng.uniform(0.3, 1) + hiss)
    tail = int(0.16 * rate)
    out[n - tail:] = 0.002 * rng.standard_normal(tail)
    return np.round(out / np.abs(out).max() * 0.8 * 32767).astype(np.int16)


def write_wav(path: pathlib.Path, samples: np.ndarray, rate: int = 24000) -> None:
    with wave.open(str(path), "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(rate)
        f.writeframes(samples.astype("<i2").tobytes())


def versions() -> dict[str, str]:
    from importlib.metadata import version
    return {p: version(p) for p in ("pocket-tts", "torch", "tokenizers", "sentencepiece", "scipy", "numpy")}

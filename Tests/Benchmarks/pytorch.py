#!/usr/bin/env python3
"""PyTorch's side of `make bench`: the official package, used as its users use it. Needs requirements.txt.

    pytorch.py versions
    pytorch.py JOB --model DIR [--threads N] [--precision f32|int8] [--frames N] [--voice WAV] [--text TEXT]

JOB is one of
    lm       language model, ms a frame after a prefix of 100 positions
    prefix   that prefix: 60 frames of voice and 40 tokens, ms
    mimi     Mimi decoder, ms a frame one by one; all frames at once, times real time
    encode   Mimi encoder on 10 s, times real time
    pipe     Mimi encoder on a recording, times real time
    whole    generation, ms a frame from the difference of two lengths; peak memory
    train    a training step, s: batch of 8, each 60 frames of voice, 40 tokens, 125 frames; peak memory;
             the official trainer's model and optimiser, without its compilation; train-k4: four noises and times
             a frame; train-head, train-head-k4: the flow head alone learns
    first    writes the first audio of a fresh process to stdout, and ends
Each but the last measures once for every line on stdin and answers with a line of JSON.
"""
import argparse
import json
import os
import pathlib
import platform
import sys
import warnings

# A script of the parity folder is named like the official package: look there last.
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "Parity"))

import torch

import official
import peer
from peer import median_ms, seconds
from pocket_tts.models.tts_model import TTSModel
from pocket_tts.modules.stateful_module import increment_steps, init_states

warnings.filterwarnings("ignore", message=".*quantize_per_tensor.*")  # the package's own quantisation

VOICE, TOKENS, BATCH, TRAINED = 60, 40, 8, 125  # a prefix; rows and frames of a training step
SHORT, LONG = 30, 110  # frames of the two lengths of generation


def read_prefix(model: TTSModel, frames: int) -> dict:
    """The state of the language model after a prefix, with room for some frames."""
    state = init_states(model.flow_lm, 1, VOICE + TOKENS + frames)
    voice = 0.1 * torch.randn(1, VOICE, model.flow_lm.dim)
    model._run_flow_lm_and_increment_step(model_state=state, audio_conditioning=voice)
    model._run_flow_lm_and_increment_step(model_state=state, text_tokens=7 * torch.arange(TOKENS)[None])
    return state


def language_model(model: TTSModel, a):
    def measure():
        state = read_prefix(model, a.frames)
        latent = torch.full((1, 1, model.flow_lm.ldim), float("nan"))  # where the beginning goes

        def step():
            nonlocal latent
            latent, _ = model._run_flow_lm_and_increment_step(model_state=state, backbone_input_latents=latent)

        times = [seconds(step) for _ in range(a.frames)]
        return {"lm": median_ms(times[5:])}
    return measure


def prefix(model: TTSModel, a):
    return lambda: {"prefix": median_ms([seconds(lambda: read_prefix(model, 0)) for _ in range(3)])}


def decoding(model: TTSModel, a):
    mimi, lm = model.mimi, model.flow_lm
    positions = int(mimi.encoder_frame_rate / mimi.frame_rate)
    latents = torch.randn(1, a.frames, lm.ldim) * lm.emb_std + lm.emb_mean

    def measure():
        state = init_states(mimi, 1, a.frames * positions)

        def step(k):
            mimi.decode_from_latent(latents[:, k:k + 1], state)
            increment_steps(mimi, state, increment=positions)

        times = [seconds(lambda: step(k)) for k in range(a.frames)]
        whole = [seconds(lambda: mimi.decode_from_latent(latents, init_states(mimi, 1, a.frames * positions)))
                 for _ in range(3)]
        return {"mimi": median_ms(times[5:]), "decode": a.frames / mimi.frame_rate * 1000 / median_ms(whole)}
    return measure


def encoding(name: str, length: int, runs: int):
    def job(model: TTSModel, a):
        sound = 0.1 * torch.randn(1, 1, model.sample_rate * length)
        encode = lambda: model.mimi.encode_to_latent(sound)
        return lambda: {name: length * 1000 / median_ms([seconds(encode) for _ in range(runs)])}
    return job


def whole(model: TTSModel, a):
    state = model.get_state_for_audio_prompt(a.voice)

    def generate(frames):
        model._estimate_max_gen_len = lambda tokens: frames
        audio = model.generate_audio(state, a.text)
        assert len(audio) == frames * model.mimi.frame_size, "another number of frames than asked for"

    generate(SHORT)

    def measure():
        short, long = seconds(lambda: generate(SHORT)), seconds(lambda: generate(LONG))
        return {"whole": 1000 * (long - short) / (LONG - SHORT), "whole-memory": peer.peak_memory()}
    return measure


def training_step(a):
    """A step of all parameters or, where the job names the head, of the flow head's: the backbone then runs without gradients."""
    official.training_folder(None)
    from training.args import FlowArgs, OptimArgs, TrainArgs
    from training.modules.builders import build_models
    from training.train_utils import build_optimizer
    # The distillation term in every step; no dropout, so that steps are alike.
    args = TrainArgs(model_config="config.yaml", flow_batch_multiplier=4 if a.job.endswith("k4") else 1, flow=FlowArgs(type="lsd", kwargs={"distill_prob": 1.0}),
                     optim=OptimArgs(lr=1e-4), text_dropout=0.0, voice_dropout=0.0)
    model, _, _ = build_models(args)
    model.train()
    if "head" in a.job:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_("flow_net." in name or name.startswith("flow."))
    optimiser = build_optimizer(model, args, torch.device("cpu"), 0)
    mask, lengths = torch.ones(BATCH, TRAINED, dtype=torch.bool), torch.full((BATCH,), VOICE)
    latents, voice = torch.randn(BATCH, TRAINED, model.ldim), torch.randn(BATCH, VOICE, model.ldim)
    tokens = list(torch.randint(0, 300, (BATCH, TOKENS)))

    def step():
        optimiser.zero_grad()
        loss, _ = model(latents, mask, tokens, voice, num_voice_prompt_frames=lengths)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), args.optim.max_norm)
        optimiser.step()

    step()
    return lambda: {a.job: seconds(step), a.job + "-memory": peer.peak_memory()}


def first_audio(model: TTSModel, a) -> None:
    state = model.get_state_for_audio_prompt(a.voice)
    model._estimate_max_gen_len = lambda tokens: 5
    for chunk in model.generate_audio_stream(state, a.text):
        sys.stdout.buffer.write((chunk.clamp(-1, 1) * 32767).short().numpy().tobytes())
        sys.stdout.buffer.flush()


TRAINING = ["train", "train-k4", "train-head", "train-head-k4"]
JOBS = {"lm": language_model, "prefix": prefix, "mimi": decoding, "encode": encoding("encode", 10, 3),
        "pipe": encoding("pipe", 30, 1), "whole": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], usage=__doc__.split("\n\n", 1)[1])
    parser.add_argument("job", choices=["versions", *TRAINING, "first", *JOBS])
    for name in ("--model", "--voice"): parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--text", default="The old man waited by the window.")
    parser.add_argument("--precision", choices=["f32", "int8"], default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=60)
    a = parser.parse_args()
    if a.job == "versions":
        print(json.dumps({"python": platform.python_version()} | official.versions()))
        return
    # Generation keeps the package's own setting, which is faster: a thread for the language model and one for the decoder.
    torch.set_num_threads(1 if a.job in ("whole", "first") else a.threads)
    torch.manual_seed(0)
    a.voice = a.voice and a.voice.resolve()
    os.chdir(a.model)  # paths in the configuration count from the working directory
    if a.job in TRAINING:
        peer.serve(training_step(a))
        return
    with torch.no_grad():
        model = TTSModel.load_model(config="config.yaml", temp=0.0, eos_threshold=1e9, quantize=a.precision == "int8")
        if a.job == "first":
            first_audio(model, a)
        else:
            peer.serve(JOBS[a.job](model, a))


if __name__ == "__main__":
    main()

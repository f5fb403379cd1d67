#!/usr/bin/env python3
"""ONNX Runtime's side of `make bench`: generation from graphs that are made here of the official modules.

    onnx_runtime.py versions
    onnx_runtime.py export --model DIR --graphs DIR     f32 graphs, checked against the package, and int8 ones
    onnx_runtime.py JOB --graphs DIR [--threads N] [--precision f32|int8] [--frames N]

JOB is one of
    lm       language model, ms a frame after a prefix of 100 positions
    mimi     Mimi decoder, ms a frame one by one
    whole    generation, ms a frame; with two threads, language model and decoder have one each; peak memory
Each measures once for every line on stdin and answers with a line of JSON.

The graphs do what can be had: keys and values grow without copies of a full cache, the embedding of the times 0 and 1 is
a constant, states stay in the runtime. int8: weights and activations of all linear layers, quantised dynamically.
"""
import argparse
import json
import math
import os
import pathlib
import queue
import sys
import threading

import numpy as np
import onnxruntime

import peer
from peer import median_ms, seconds

PREFIX, GENERATED = 100, 120


# --- the graphs ----------------------------------------------------------------------------------------------------

def export(folder: pathlib.Path, out: pathlib.Path) -> None:
    sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "Parity"))
    import torch
    from torch import nn
    from torch.nn import functional as F
    import official  # which keeps the package quiet and off the network
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process
    from pocket_tts.models.tts_model import TTSModel
    from pocket_tts.modules.conv import StreamingConv1d, StreamingConvTranspose1d
    from pocket_tts.modules.seanet import SEANetResnetBlock
    from pocket_tts.modules.stateful_module import increment_steps, init_states

    out.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # paths in the configuration count from the working directory
    model = TTSModel.load_model(config="config.yaml", temp=0.0, eos_threshold=1e9)
    lm, mimi = model.flow_lm, model.mimi

    class State:
        """What a graph keeps between frames, taken and left in one order; zeros when there is none yet."""

        def __init__(self, kept=None):
            self.kept, self.taken, self.left = kept and list(kept), [], []

        def take(self, *shape):
            self.taken.append(self.kept.pop(0) if self.kept else torch.zeros(shape))
            return self.taken[-1]

        def leave(self, value):
            self.left.append(value)

    def rotate(x, positions):
        half = x.shape[-1] // 2
        angles = positions[:, None] * torch.exp(torch.arange(half) * (-math.log(10000.0) / half))
        even, odd = x.unflatten(-1, (half, 2)).unbind(-1)
        c, s = angles.cos(), angles.sin()
        return torch.stack([even * c - odd * s, even * s + odd * c], -1).flatten(-2)

    def layer(l, x, position, state):
        """A transformer layer on new positions, reading and growing the keys and values."""
        a, n = l.self_attn, x.shape[1]
        q, k, v = a.in_proj(l.norm1(x)).view(1, n, 3, a.num_heads, a.dim_per_head).permute(2, 0, 3, 1, 4).unbind(0)
        positions = position + torch.arange(n)
        k = torch.cat([state.take(1, a.num_heads, 50, a.dim_per_head), rotate(k, positions)], 2)
        v = torch.cat([state.take(1, a.num_heads, 50, a.dim_per_head), v], 2)
        kept = slice(None) if a.context is None else slice(-(a.context - 1), None)
        state.leave(k[:, :, kept])
        state.leave(v[:, :, kept])
        scores = rotate(q, positions) @ k.transpose(2, 3) * a.dim_per_head**-0.5
        if n > 1:
            back = torch.arange(n)[:, None] + k.shape[2] - n - torch.arange(k.shape[2])[None]
            scores = scores + torch.where((back >= 0) & (back < a.context), 0.0, -1e9)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(1, n, -1)
        x = x + l.layer_scale_1(a.out_proj(mixed))
        return x + l.layer_scale_2(l.linear2(F.gelu(l.linear1(l.norm2(x)), approximate="tanh")))

    def convolution(module, x, state):
        if isinstance(module, StreamingConvTranspose1d):
            c = module.convtr
            overlap = c.kernel_size[0] - c.stride[0]
            y = c(x)
            y = torch.cat([y[..., :overlap] + state.take(1, c.out_channels, overlap), y[..., overlap:]], -1)
            tail = y[..., -overlap:]
            state.leave(tail if c.bias is None else tail - c.bias[:, None])
            return y[..., :-overlap]
        c = module.conv
        past = c.kernel_size[0] - 1
        if past:
            x = torch.cat([state.take(1, c.in_channels, past), x], -1)
            state.leave(x[..., -past:])
        return c(x)

    class LanguageModel(nn.Module):
        inputs, outputs = ["latent", "noise", "position"], ["next", "eos"]

        def __init__(self):
            super().__init__()
            self.lm = lm
            zero, one = torch.zeros(1, 1), torch.ones(1, 1)
            embed = lm.flow_net.time_embed
            self.register_buffer("times", ((embed[0](zero) + embed[1](one)) / 2).detach())

        def forward(self, latent, noise, position, *kept):
            state, head = State(kept), lm.flow_net
            x = lm.input_linear(latent)
            for l in lm.transformer.layers:
                x = layer(l, x, position, state)
            z = lm.out_norm(x)[:, -1]
            h, condition = head.input_proj(noise), head.cond_embed(z) + self.times
            for block in head.res_blocks:
                h = block(h, condition)
            self.state = state.taken
            return noise + head.final_layer(h, condition), lm.out_eos(z), *state.left

    class Decoder(nn.Module):
        inputs, outputs = ["latent", "position"], ["audio"]

        def __init__(self):
            super().__init__()
            self.mimi = mimi

        def forward(self, latent, position, *kept):
            state = State(kept)
            x = mimi.quantizer((latent * lm.emb_std + lm.emb_mean).transpose(1, 2))
            x = convolution(mimi.upsample.convtr, x, state).transpose(1, 2)
            for l in mimi.decoder_transformer.transformer.layers:
                x = layer(l, x, position, state)
            x = x.transpose(1, 2)
            for module in mimi.decoder.model:
                if isinstance(module, SEANetResnetBlock):
                    y = x
                    for part in module.block:
                        y = convolution(part, y, state) if isinstance(part, StreamingConv1d) else part(y)
                    x = x + y
                elif isinstance(module, (StreamingConv1d, StreamingConvTranspose1d)):
                    x = convolution(module, x, state)
                else:
                    x = module(x)
            self.state = state.taken
            return x, *state.left

    def write(module, name, *first):
        path = str(out / f"{name}.onnx")
        module.eval()(*first)  # once, for the shapes of its state
        names = [f"state{k}" for k in range(len(module.state))]
        grows = [n for n, s in zip(names, module.state) if s.ndim == 4]
        torch.onnx.export(
            module, (*first, *module.state), path, dynamo=False, opset_version=17,
            input_names=module.inputs + names, output_names=module.outputs + [f"new_{n}" for n in names],
            dynamic_axes={n: {2: "past"} for n in grows} | {f"new_{n}": {2: "present"} for n in grows})
        quant_pre_process(path, str(out / "prepared.onnx"), skip_symbolic_shape=True)
        quantize_dynamic(str(out / "prepared.onnx"), str(out / f"{name}.int8.onnx"), per_channel=True,
                         op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8)
        (out / "prepared.onnx").unlink()

    def check():
        """The f32 graphs give what the package gives, or nothing is worth timing."""
        steps = 4
        state = init_states(lm, 1, PREFIX + steps)
        model._run_flow_lm_and_increment_step(model_state=state, text_tokens=7 * torch.arange(PREFIX)[None])
        graph, decoder = LanguageModelSession(out, "f32", 1), DecoderSession(out, "f32", 1)
        caches = [s["cache"][:, :, :PREFIX].transpose(2, 3) for s in state.values() if "cache" in s]
        graph.state = {f"state{2 * k + j}": value(c[j].numpy().copy()) for k, c in enumerate(caches) for j in (0, 1)}
        graph.latent = lm.bos_emb.numpy().reshape(1, 1, -1)
        positions = int(mimi.encoder_frame_rate / mimi.frame_rate)
        sounds = init_states(mimi, 1, steps * positions)
        latent = torch.full((1, 1, lm.ldim), float("nan"))
        for _ in range(steps):
            latent, _ = model._run_flow_lm_and_increment_step(model_state=state, backbone_input_latents=latent)
            sound = mimi.decode_from_latent(latent * lm.emb_std + lm.emb_mean, sounds).numpy()
            increment_steps(mimi, sounds, increment=positions)
            for what, theirs, ours in (("latent", latent.numpy(), graph.step()), ("sound", sound, decoder.step(graph.latent))):
                error = np.abs(ours - theirs).max() / np.abs(theirs).max()
                if not error < 1e-3:
                    raise SystemExit(f"the exported graph's {what} is off by {error:.2g} of its scale")

    with torch.no_grad():
        write(LanguageModel(), "lm", torch.zeros(1, 1, lm.ldim), torch.zeros(1, lm.ldim), torch.tensor([50.0]))
        write(Decoder(), "mimi", torch.zeros(1, 1, lm.ldim), torch.tensor([50.0]))
        check()


# --- running them --------------------------------------------------------------------------------------------------

value = onnxruntime.OrtValue.ortvalue_from_numpy


class Session:
    """A graph whose state stays in the runtime between steps."""

    def __init__(self, graphs: pathlib.Path, name: str, precision: str, threads: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        path = graphs / (f"{name}.onnx" if precision == "f32" else f"{name}.{precision}.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.kept = [i for i in self.session.get_inputs() if i.name.startswith("state")]
        self.names = [o.name for o in self.session.get_outputs()]

    def run(self, **inputs):
        binding = self.session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, value(array))
        for name, kept in self.state.items():
            binding.bind_ortvalue_input(name, kept)
        for name in self.names:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        outputs = binding.get_outputs()
        self.state = dict(zip(self.state, outputs[-len(self.state):]))
        self.position += self.advance
        return outputs


class LanguageModelSession(Session):
    advance = 1

    def __init__(self, graphs, precision, threads):
        super().__init__(graphs, "lm", precision, threads)
        self.reset()

    def reset(self):
        rng = np.random.default_rng(0)
        past = lambda shape: [PREFIX if isinstance(n, str) else n for n in shape]
        self.state = {i.name: value(0.1 * rng.standard_normal(past(i.shape), dtype=np.float32)) for i in self.kept}
        self.position, self.latent = PREFIX, np.zeros((1, 1, 32), np.float32)

    def step(self):
        outputs = self.run(latent=self.latent, noise=np.zeros((1, 32), np.float32),
                           position=np.array([self.position], np.float32))
        self.latent = outputs[0].numpy().reshape(1, 1, 32)
        return self.latent


class DecoderSession(Session):
    advance = 16

    def __init__(self, graphs, precision, threads):
        super().__init__(graphs, "mimi", precision, threads)
        self.reset()

    def reset(self):
        empty = lambda shape: [0 if isinstance(n, str) else n for n in shape]
        self.state = {i.name: value(np.zeros(empty(i.shape), np.float32)) for i in self.kept}
        self.position = 0

    def step(self, latent):
        return self.run(latent=latent, position=np.array([self.position], np.float32))[0].numpy()


def language_model(a):
    lm = LanguageModelSession(a.graphs, a.precision, a.threads)

    def measure():
        lm.reset()
        return {"lm": median_ms([seconds(lm.step) for _ in range(a.frames)][5:])}
    return measure


def decoding(a):
    mimi = DecoderSession(a.graphs, a.precision, a.threads)
    latents = np.random.default_rng(0).standard_normal((a.frames, 1, 1, 32), dtype=np.float32)

    def measure():
        mimi.reset()
        return {"mimi": median_ms([seconds(lambda: mimi.step(z)) for z in latents][5:])}
    return measure


def whole(a):
    lm, mimi = LanguageModelSession(a.graphs, a.precision, 1), DecoderSession(a.graphs, a.precision, 1)

    def in_turn():
        for _ in range(GENERATED):
            mimi.step(lm.step())

    def side_by_side():
        latents = queue.Queue()

        def decode():
            while (latent := latents.get()) is not None:
                mimi.step(latent)

        decoder = threading.Thread(target=decode)
        decoder.start()
        for _ in range(GENERATED):
            latents.put(lm.step())
        latents.put(None)
        decoder.join()

    def measure():
        lm.reset()
        mimi.reset()
        taken = seconds(in_turn if a.threads == 1 else side_by_side)
        return {"whole": 1000 * taken / GENERATED, "whole-memory": peer.peak_memory()}
    return measure


JOBS = {"lm": language_model, "mimi": decoding, "whole": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], usage=__doc__.split("\n\n", 1)[1])
    parser.add_argument("job", choices=["versions", "export", *JOBS])
    for name in ("--model", "--graphs"): parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("--precision", choices=["f32", "int8"], default="f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=60)
    a = parser.parse_args()
    if a.job == "versions":
        import onnx
        print(json.dumps({"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}))
    elif a.job == "export":
        export(a.model.resolve(), a.graphs.resolve())
    else:
        peer.serve(JOBS[a.job](a))


if __name__ == "__main__":
    main()

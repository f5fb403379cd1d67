"""How much work a model is, counted in its weights, and the least time that a machine needs for it."""
import json
import pathlib
import re
import struct

FRAME = 0.08  # seconds of audio
POSITIONS = 16  # of Mimi's transformers in a frame
PREFIX = 100
BATCH, TRAINED, SEQUENCE = 8, 125, 60 + 40 + 125  # a training step: rows, frames, positions
# Of the enhancer: samples of a frame, rows of a spectrum, zero samples behind a chunk, frames more in the vocoder.
HOP, BINS, MARGIN, EXTRA = 420, 841, 441, 10
BYTES = {"f32": 4, "bf16": 2, "int8": 1}
PEAK = {"f32": "f32_gflop_s", "bf16": "bf16_gflop_s", "int8": "int8_gop_s"}


def read_shapes(model: pathlib.Path) -> dict[str, list[int]]:
    """The shapes of the tensors of a safetensors file, by name."""
    with open(model / "model.safetensors", "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(size))
    return {name: facts["shape"] for name, facts in header.items() if name != "__metadata__"}


def product(shape: list[int]) -> int:
    total = 1
    for n in shape: total *= n
    return total


def codec_operations(shapes: dict[str, list[int]], half: str) -> int:
    """Multiplications and additions of Mimi's encoder or decoder for a frame; attention to the past is left out."""
    total = sum(2 * POSITIONS * product(s) for n, s in shapes.items()
                if n.startswith(f"mimi.{half}_transformer.") and len(s) == 2)
    convolutions = [(n, s) for n, s in shapes.items() if n.startswith(f"mimi.{half}.") and len(s) == 3]
    convolutions.sort(key=lambda c: [int(part) for part in c[0].split(".") if part.isdigit()])
    # Only the convolutions that change the rate have an even kernel: of two strides.
    positions = POSITIONS
    for name, shape in convolutions if half == "decoder" else reversed(convolutions):
        stride = shape[2] // 2 if shape[2] % 2 == 0 else 1
        total += 2 * positions * product(shape)
        positions *= stride
    if half == "encoder":
        total += 2 * product(shapes["mimi.downsample.conv.conv.weight"])
    return total


def count(model: pathlib.Path) -> dict[str, int]:
    """Weights read for a frame, and operations of the things that are timed."""
    shapes = read_shapes(model)
    weights = lambda prefix: sum(product(s) for n, s in shapes.items() if n.startswith(prefix) and len(s) > 1)
    backbone = weights("flow_lm.transformer.")
    # At the times 0 and 1 of one step, the embedding of the time is a constant.
    head = weights("flow_lm.flow_net.") - weights("flow_lm.flow_net.time_embed.")
    frame = backbone + head + weights("flow_lm.input_linear.") + weights("flow_lm.out_eos.")
    last = max(int(n.split(".")[3]) for n in shapes if n.startswith("flow_lm.transformer.layers."))
    final = f"flow_lm.transformer.layers.{last}."
    # Of the last layer, later frames read only the keys and values of a prefix.
    unread = weights(final) - product(shapes[final + "self_attn.in_proj.weight"]) * 2 // 3
    return {
        "frame_weights": frame,
        "prefix_operations": 2 * PREFIX * (backbone - unread),
        "decoder_operations": codec_operations(shapes, "decoder"),
        "encoder_operations": codec_operations(shapes, "encoder"),
        # Forwards and backwards 6 operations a weight. The flow head also goes once with its derivative, there and
        # back, and once more for the target: 20 in all.
        **{"training_operations" + suffix: backbone_part + noises * 20 * BATCH * TRAINED * head
           for suffix, backbone_part, noises in (
               ("", 6 * BATCH * SEQUENCE * backbone, 1), ("_k4", 6 * BATCH * SEQUENCE * backbone, 4), ("_head", 0, 1), ("_head_k4", 0, 4))},
    }


def count_enhancer(model: pathlib.Path, seconds: float) -> dict[str, float]:
    """Operations of the parts of Resemble-Enhance for a second of audio, of so many seconds: convolutions, no transforms."""
    shapes = {n: s for n, s in read_shapes(model).items() if n.endswith((".weight", ".original1")) and len(s) > 1}
    weights = lambda prefix, *without: sum(
        product(s) for n, s in shapes.items() if n.startswith(prefix) and not any(part in n for part in without))
    frames = (int(seconds * 44100) + MARGIN) // HOP
    blocks = lambda prefix: len({n.removeprefix(prefix).split(".")[0] for n in shapes if n.startswith(prefix)})

    # Each level of the U-Net has half the rows and columns of the one before; the first is padded so that they divide.
    net, levels = "denoiser.net.", blocks("denoiser.net.encoder_blocks.")
    padded = lambda n: -(-n >> levels) << levels
    pixels = lambda level: (padded(BINS) >> level) * (padded(frames) >> level)
    denoiser = pixels(0) * (weights(net + "input_proj.") + weights(net + "head.")) + pixels(levels) * weights(net + "middle_blocks.") + sum(
        pixels(k) * (weights(f"{net}encoder_blocks.{k}.") + weights(f"{net}decoder_blocks.{levels - 1 - k}.")) for k in range(levels))

    # The vocoder's kernels are another's output, for each frame anew.
    long, samples = frames + EXTRA, 1
    vocoder = long * (weights("vocoder.conv_pre.") + HOP * weights("vocoder.conv_post."))
    for k in range(blocks("vocoder.blocks.")):
        block = f"vocoder.blocks.{k}."
        up, = (n for n in shapes if n.startswith(block + "convt_pre."))
        predicted, = (s[0] for n, s in shapes.items() if n.startswith(block + "kernel_predictor.kernel_conv."))
        vocoder += long * (weights(block + "kernel_predictor.") + samples * product(shapes[up]))
        samples *= shapes[up][2] // 2
        vocoder += long * samples * (weights(block + "amp_block.") + weights(block + "conv_blocks.") + predicted)
    # What the condition gives to the layers is computed once, what a time gives for one frame.
    flow = weights("lcfm.cfm.net.", ".lconv.", ".gconv.")
    condition = weights("lcfm.cfm.net.", ".gconv.") - flow
    parts = {"denoiser": denoiser, "autoencoder": frames * weights("lcfm.ae.", ".head."), "flow": frames * flow,
             "condition": frames * condition, "vocoder": vocoder}
    return {part + "_operations": 2 * multiplications / seconds for part, multiplications in parts.items()}


def enhancing_floor(evaluations: int, precision: str, amounts: dict[str, float], machine: dict[str, float]) -> float:
    """Seconds for a second of audio. The denoiser and the autoencoder compute in float32 always."""
    exact = amounts["denoiser_operations"] + (amounts["autoencoder_operations"] if evaluations else 0)
    narrow = evaluations and evaluations * amounts["flow_operations"] + amounts["condition_operations"] + amounts["vocoder_operations"]
    return (exact / machine["f32_gflop_s"] + narrow / max(machine[PEAK[precision]], machine["f32_gflop_s"])) / 1e9


def floor(measure: str, precision: str, threads: int, amounts: dict[str, int], machine: dict[str, float]) -> float | None:
    """The figure that nothing on this machine can beat, in the unit of the measure."""
    if enhancing := re.fullmatch(r"denoise|enhance-(\d+)", measure):
        return enhancing_floor(int(enhancing[1] or 0), precision, amounts, machine)
    peak = 1e9 * max(machine[PEAK[precision]], machine["f32_gflop_s"])  # narrow types are not faster everywhere
    arithmetic = lambda what: amounts[what] / peak
    reading = amounts["frame_weights"] * BYTES[precision] / (1e9 * machine["read_gb_s"])
    decoder = arithmetic("decoder_operations")
    return {
        "lm": 1000 * reading,
        "mimi": 1000 * decoder,
        # One thread does one after the other.
        "whole": 1000 * (reading + decoder if threads == 1 else max(reading, decoder)),
        "batch": 1000 * (2 * amounts["frame_weights"] / peak + decoder),
        "prefix": 1000 * arithmetic("prefix_operations"),
        "decode": FRAME / decoder,
        "encode": FRAME / arithmetic("encoder_operations"),
        "pipe": FRAME / arithmetic("encoder_operations"),
        **{"train" + suffix.replace("_", "-"): arithmetic("training_operations" + suffix) for suffix in ("", "_k4", "_head", "_head_k4")},
    }.get(measure)

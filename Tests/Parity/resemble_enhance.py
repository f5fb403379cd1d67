#!/usr/bin/env python3
"""Fixtures of the Resemble-Enhance package (0.0.1), from small models with seeded random weights.

    resemble_enhance.py --seed N --out DIR [--only PART]... [--deepspeed FOLDER]

PART is a folder below DIR; without --only all are written. Needs requirements_resemble.txt, the package itself without what it
depends on (pip install --no-deps resemble-enhance==0.0.1), and for `data` the program sox 14.4.2 (on the path or in $SOX).
FOLDER is DeepSpeed 0.12.4's source distribution, unpacked, for `schedule`, which is left out without it.
All is computed by the package's code; resemble_stand_ins.py has what stands in for DeepSpeed, matplotlib and WavAugment.

Floats are F32 unless BF16 is said, integers I64; BF16 holds the values exactly that were used. Layout is torch's, channels before
frames, with no batch dimension unless B is said. Sizes of the small model: M = 16 mel bands, n_fft = win = 1024 (hop 420), Z = 8
latent, H = 24 = M + 8 decoded channels, 5 vocoder channels, AE 32 wide, WN 7 layers of 16 (its dilation cycle is 5), U-Net with one
level 16 -> 32 and one middle block, kernel predictor 8 wide, z_scale 6. L samples, T = L div 420 frames; whole inference has
T = (L + 441) div 420. The reference's mistakes are recorded as they are, and said so.

DIR/model/ model.safetensors: the enhancer (mode cfm, denoiser included), names as in the package's state dict; parameters BF16, buffers
    F32. hparams.yaml as the package writes it. sizes.json: what is no hyper-parameter there. Every part below but discriminator uses
    it: denoiser without the prefix `denoiser.`; stage1 with the mode ae. Weight norms are the parametrisation's original0 (norm)
    and original1. normalizer and estimator statistics are set.

DIR/mel/cases.safetensors: audio [2100]. For small (sizes above) and full (2048, 128 bands): KIND.mel [bands, T], KIND.loud (the mel of
    8 * audio[:900]), KIND.fb.index and KIND.fb.value (the filter bank's nonzero entries, index = bin * bands + band), small.window
    [1024], full.window [1025] (its first half and middle). small.length.841 [M, 2].
    cases.json: lengths [{length, frames or error}], golden (all bands of a frame of a sine through the full mel).

DIR/denoiser/cases.safetensors:
      unet.input, unet.output [3, 9, 7] (padded within to 10 x 8); unet.input_proj [16, 10, 8], unet.encoder.0.pre_conv, .res_block1, .skip
      [32, 10, 8] (before the rows and columns are thinned), unet.middle.0 [32, 5, 4], unet.decoder.0 [16, 10, 8]
      audio [1300] (3 frames and a tail); of audio / (peak + 1e-7): magnitude, cos, sin [841, 3]; mask, cos_change, sin_change [841, 3]
      istft [1260] and output [1300], its tail zero; roundtrip [1260]: istft of magnitude, cos, sin unchanged (the last frame, repeated, differs)
      output.841, output.1260, output.1261: the beginning of audio of that length
      unet_full.output [3, 35, 18]: the real U-Net (16 wide, 4 levels, 2 middle blocks); input and weights are formulas: a tensor NAME is
        offset + scale * uniform(NAME), in F32, input is uniform("input"); cases.json: unet_full {seed, input, weights {NAME: [offset,
        scale]}}. uniform(NAME)[i], i = 0, 1, ...: z = SplitMix64's output i of the state FNV-1a-64(NAME) + seed, that is the mix of state +
        (i + 1) * 0x9e3779b97f4a7c15; (z >> 40) * 2^-23 - 1.
      train.x, train.y, train.output [B=2, 1500], train.loss [1], train.grad.NAME (gradients, see below).
    cases.json: lengths [{length, samples or error}], silence, unet_full, train {loss, gradient_norms}.

DIR/lcfm/cases.safetensors:
      ae.mel [M, 19], ae.encoder.I (after layer I), ae.latent [Z, 19], ae.decoder.I, ae.decoded [H, 19], ae.head [M, 19]; ae.length_2.latent
      block.input, block.output [64, 7], block.weight.NAME (BF16): a residual block of 64 channels, so two a group
      embedding.t [8], embedding.frequency [64], embedding.output [8, 128]
      wn.z [B=2, Z, 17], wn.condition [B, M, 17], wn.t [B], wn.layer.I [B, 16, 17] (after layer I, without its skip), wn.velocity [B, Z, 17]
      solve.condition, solve.mel [M, 23], solve.noise [Z, 23]; solve.SOLVER.NFE.TAU.latent [Z, 23]: after division by z_scale. The start is
        tau * noise + (1 - tau) * z_scale * encode(solve.mel).
    cases.json: grid {n: times of n + 1 points}, grid_divisor_3, solve [{name, solver, nfe, tau, calls (of the network), z_scale}]. As in
      the package rk4 with nfe 2 takes no step, and nfe 1 is Euler whatever the solver.

DIR/vocoder/cases.safetensors:
      lvc.HOP.x [B=2, 3, HOP * F], .kernel [B, 3, 4, 3, F] (in, out, tap, frame), .bias [B, 4, F], .output [B, 4, HOP * F]
      snake.x [B=2, 5, 21], snake.up [B, 5, 42], snake.snake, snake.down = snake.output; snake.length_1.output: of x[..., :1].
        amp.output: of the whole AMP block on snake.x. amp.weight.NAME; alpha and beta lie outside both clamps in some channels
      predictor.condition [H, 6], predictor.kernels [4, 5, 10, 3, 6], predictor.biases [4, 10, 6] of block 0 (without the 10 frames)
      noise [128, 16] (BF16); conv_pre [5, 16], block.0.convt_pre, block.0.amp [5, 112], block.0, block.1, block.2, audio [2520]

DIR/discriminator/ model.safetensors (BF16): its own, channels divided by mpd_divisor and mrd_divisor. cases.safetensors: real, fake
    [B=2, 2600]; fake.mpd.I, fake.mrd.I [B, scores]; mrd.I.spectrogram: of the first row of fake, every 16th bin; fake.gradient [B, 2600]:
    of the generator's loss; discriminator.grad.NAME. cases.json: as_generator, as_discriminator {term: value},
    as_discriminator_longer_fake, periods, stft, gradient_norms.

DIR/stage1/cases.safetensors: foreground [B=2, 3500] (input and target), noise [B, 128, 18] (BF16), target_mel [B, M, 8] (normalised with
      the updated statistics), latent [B, Z, 8], decoded, head, fake [B, 3360]; second [B, 3500]; without_gan.grad.NAME: of
      lcfm/ae/mse + vocoder/sc + vocoder/mag; with_gan.grad.NAME: and mpd + mrd (critic of discriminator/), some parameters.
      mrstft.x [B, 2300], mrstft.y [B, 2200], mrstft.gradient (with respect to x): the loss alone, x being cut, half a row of it silent.
    cases.json: without_gan, with_gan, discriminator {term: loss}, ..._gradient_norms; statistics: of normalizer and estimator
      before, after foreground and after second (the estimator is updated twice a step); statistics_from_unset: the same from NaN;
      mrstft, mrstft_each, mrstft_sizes.

DIR/stage2/cases.safetensors: mix (input), clean (y), distorted (z, the denoiser's target) [B=2, 3500]; draws: lambda [B], tau [B], t_uniform
      [B], prior, jitter [B, Z, 8]; t = h(t_uniform), psi [B, Z, 8] (the network's input), condition [B, M, 8], velocity; stage2.grad.NAME.
    cases.json: losses, gradient_norms, sigma.

  Gradients: grad.NAME is the flattened gradient of the sum of the losses, every s-th value: s = 1 up to 64 elements, else
  (count div 32) | 1. *_norms have the L2 norm of the whole of each. A bias in front of a norm over its own channel has a gradient of
  rounding errors only: compare with an absolute tolerance that follows the largest.

DIR/enhance/cases.safetensors: audio [4100], prior [Z, T], noise [128, T+10] (both BF16), NAME.output [4100] for each case; mixed also has
      denoised [4541] (of the peak-normalised audio and 441 zeros), original, condition [M, T], latent [Z, T] (after division), decoded [H, T].
      autoencoder.output: mode ae. silence, constant, clipped: .audio [1500], .prior, .noise (BF16), .output with midpoint 2, lambda 1, tau 0.5.
    cases.json: cases [{name, solver, nfe, lambda, tau}], lengths [{length, denoise, samples or error}], a_change_of_1e-6_becomes.

DIR/chunks/cases.safetensors: offset.audio [9000], audio [9300]; NAME.output, NAME.I.prior, NAME.I.noise (BF16) for NAME three, short_last.
    cases.json: offset [{first, second, length, offset, margin}]: of two pieces of offset.audio; identity [{seconds, offsets, largest_error,
      wrong_from}]: chunks of 30 s with a model that changes nothing, on the beginning of signal: uniform("signal") times the
      square of uniform("loudness")[i div signal.step]; enhance [{name, samples, starts, lengths, chunk_seconds, overlap_seconds, offsets}].
      What the reference does where the last chunk is shorter than the overlap (identity 29.3, 29.9, 58.3, 58.9 s; enhance short_last)
      is wrong. margin: how far the best lag is above the second, relative.

DIR/resample/cases.safetensors: RATE.input [400], RATE.output (to 44,100 Hz); 16000.output_of_1: of input[100..<101]; back.input,
    back.44000.output. cases.json: rates [{rate, samples, float_taps_differ_by (from the same in F64)}].

DIR/draws/cases.safetensors: normal.SEED.COUNT [COUNT], uniform.7 [650], chunk.3.prior [8, 5] and chunk.3.noise [128, 3] (one after the
    other): of torch's CPU generator right after manual_seed. Below 16 normal values are drawn another way, and in F64.

DIR/schedule/cases.json: cases [{hparams (where not at their defaults), rates [[step, the learning rate that this step uses], ...]}].

DIR/data/cases.safetensors: wav [2600]; effect.I: of the first `samples` of wav; noise.normal, noise.output (of wav[:700]); rir.NAME.taps,
      rir.NAME.output (of wav[:700]; the reference's shift by half the response included); kaiser_fast.44100.44000 and .44000.44100 (of
      wav[:700]); mix.fg, mix.bg [B=2, 500], mix.ALPHA, mix.silent (foreground zero, alpha 0.8); normalised (mix.fg[1] over its peak);
      silent_overdrive [400] (overdrive 20 40 of silence, normalised).
    cases.json: effects [{index, effect, parameters, samples, words (what sox got)}], drawn (examples of the package's random
      parameters), noise_alpha, rir, mix, tree (how often how many and which effects come, of 2000 draws).

DIR/layout/ enhancer.json, denoiser.json, discriminator.json {NAME: shape} of the full-size state dicts, in their order, all F32.
    hparams/NAME/hparams.yaml as the package writes them. denoiser_run/: a run directory that the package loads, a U-Net without
      levels in BF16; case.safetensors: audio, output [900]. odd.pt: tensors as a pickle may hold them (shared storage, strides, types,
      an optimiser's state with its step at the last parameter only, as DeepSpeed's FusedAdam leaves it), odd.safetensors: the same in F32 (long: I64). foreign_call.pt, foreign_global.pt: to be refused.
      The dictionary around the state dict is composed here as DeepSpeed 0.12.4 does it; DeepSpeed itself has not run.
    cases.json: counts of tensors and parameters, frozen {mode: modules}, parameter_order.
"""
import argparse
import os
import pathlib
import sys
import warnings

HERE = pathlib.Path(__file__).resolve().parent
# This file is called like the package: take its folder off the front of the search path.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != HERE] + [str(HERE)]
os.environ.setdefault("TQDM_DISABLE", "1")
warnings.filterwarnings("ignore")

import resemble_stand_ins  # first: the package imports what this stands in for
import resemble_chain
import resemble_data
import resemble_layout
import resemble_parts
import resemble_training

PARTS = {"model": resemble_layout.model, "mel": resemble_parts.mel, "denoiser": resemble_parts.denoiser, "lcfm": resemble_parts.lcfm,
         "vocoder": resemble_parts.vocoder, "discriminator": resemble_training.discriminator, "stage1": resemble_training.stage1,
         "stage2": resemble_training.stage2, "enhance": resemble_chain.enhance, "chunks": resemble_chain.chunks,
         "resample": resemble_chain.resample, "draws": resemble_chain.draws, "schedule": None, "data": resemble_data.data, "layout": resemble_layout.layout}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], usage=__doc__.split("\n\n")[1])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--deepspeed", type=pathlib.Path)
    a = parser.parse_args()
    if a.deepspeed is None and "schedule" in (a.only or []):
        parser.error("schedule needs --deepspeed")
    for name in a.only or PARTS:
        if name != "schedule":
            PARTS[name](a.out / name, 1000 * a.seed)
        elif a.deepspeed is not None:
            resemble_layout.schedule(a.out / name, 1000 * a.seed, a.deepspeed)
        else:
            continue
        print(name, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

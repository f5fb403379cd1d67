# Fine-tunes a model on your own recordings:
#
#   make -f pipelines/finetune.mk MODEL=FOLDER METADATA=FILE RUN=FOLDER [STEPS=N] [BATCH=N] [LR=X] …
#
#   MODEL      a model directory (config.yaml, model.safetensors, the tokenizer), or an official name
#   METADATA   what tts-import reads: metadata.csv of LJSpeech, a list `path|text`, a JSONL manifest
#   RUN        the run directory; it becomes a model directory that tts-synth takes
#   WORK       where the stages keep their files (default: RUN-work)
#   REBAKE=1   builds guidance in again afterwards, which fine-tuning takes from a released model of six layers: a
#              second run, RUN-guided, learns from the first what that makes with guidance of 2 (GUIDANCE=X: of X)
#   ENHANCE    a model of tts-enhance: the recordings are denoised by it first
#              (ENHANCE_OPTIONS='--mode enhance --nfe 32': or enhanced)
#   VOICE      a recording to speak like; with it RUN-speech.wav is made of TEXT in the end, by the last of the runs
#
# and SEED, SPLIT, THREADS, IMPORT_OPTIONS, RESAMPLE_OPTIONS, VAD_OPTIONS, SHARD_OPTIONS, TRAIN_OPTIONS; for the
# second run REBAKE_STEPS, REBAKE_LR, REBAKE_OPTIONS.
# It goes on where it stopped; a changed option makes again what depends on it.

.DEFAULT_GOAL := finetune
folder := $(dir $(lastword $(MAKEFILE_LIST)))

$(foreach name,MODEL METADATA RUN,$(if $($(name)),,$(error $(name)= is missing; see the head of $(firstword $(MAKEFILE_LIST)))))

WORK ?= $(RUN)-work
SOURCE := $(METADATA)
SOURCE_FILES := $(METADATA)
MODEL_FILES := $(wildcard $(MODEL)/config.yaml $(MODEL)/model.safetensors)
TEXT ?= This is what I sound like now.
LR ?= 2e-5

include $(folder)stages.mk

REBAKE_STEPS ?= $(STEPS)
REBAKE_LR ?= 4e-5
REBAKE_OPTIONS ?=
guidance := $(or $(GUIDANCE),$(if $(REBAKE),2))
rebake = $(call train-from,$(RUN),$(REBAKE_LR),--distill backbone --guidance $(guidance) $(REBAKE_OPTIONS))
$(eval $(call training,$(RUN)-guided,$(WORK)/guided,$(REBAKE_STEPS),$(rebake),$(WORK)/trained,\
  $(RUN)/config.yaml $(RUN)/model.safetensors))

result := $(RUN)$(if $(guidance),-guided)
finished := $(WORK)/$(if $(guidance),guided,trained)

synth = tts-synth --model $(result) --voice $(VOICE) --seed $(SEED)
$(RUN)-speech.wav.id: FORCE
	$(here)stamp $@ echo '$(synth) $(TEXT)'
$(RUN)-speech.wav: $(RUN)-speech.wav.id $(finished) $(VOICE)
	$(synth) --text '$(TEXT)' -T $(THREADS) -o $@
	echo "speech     $$(wc -c <$@) bytes: $@"

.PHONY: finetune
finetune: $(finished) $(if $(VOICE),$(RUN)-speech.wav)

# Fine-tunes a model on your own recordings:
#
#   make -f pipelines/finetune.mk MODEL=FOLDER METADATA=FILE RUN=FOLDER [STEPS=N] [BATCH=N] [LR=X] …
#
#   MODEL      a model directory: config.yaml, model.safetensors, the tokenizer
#   METADATA   what tts-import reads: metadata.csv of LJSpeech, a list `path|text`, a JSONL manifest
#   RUN        the run directory; it becomes a model directory that tts-synth takes
#   WORK       where the stages keep their files (default: RUN-work)
#   VOICE      a recording to speak like; with it RUN-speech.wav is made of TEXT in the end
#
# and SEED, SPLIT, THREADS, IMPORT_OPTIONS, RESAMPLE_OPTIONS, VAD_OPTIONS, SHARD_OPTIONS, TRAIN_OPTIONS.
# It goes on where it stopped; a changed option makes again what depends on it.

.DEFAULT_GOAL := finetune
folder := $(dir $(lastword $(MAKEFILE_LIST)))

$(foreach name,MODEL METADATA RUN,$(if $($(name)),,$(error $(name)= is missing; see the head of $(lastword $(MAKEFILE_LIST)))))

WORK ?= $(RUN)-work
SOURCE := $(METADATA)
SOURCE_FILES := $(METADATA)
MODEL_FILES := $(MODEL)/config.yaml $(wildcard $(MODEL)/model.safetensors)
TEXT ?= This is what I sound like now.
LR ?= 2e-5

include $(folder)stages.mk

synth = tts-synth --model $(RUN) --voice $(VOICE) --seed $(SEED)
$(RUN)-speech.wav.id: FORCE
	$(here)stamp $@ echo '$(synth) $(TEXT)'
$(RUN)-speech.wav: $(RUN)-speech.wav.id $(WORK)/trained $(VOICE)
	$(synth) --text '$(TEXT)' -T $(THREADS) -o $@
	echo "speech     $$(wc -c <$@) bytes: $@"

.PHONY: finetune
finetune: $(WORK)/trained $(if $(VOICE),$(RUN)-speech.wav)

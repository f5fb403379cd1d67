# Recordings and speech made better by tts-enhance, ENHANCE=FOLDER being the model:
#
#   make -f pipelines/enhance.mk ENHANCE=FOLDER METADATA=FILE WORK=FOLDER data
#
# denoises a data set (what tts-import reads), resamples it and trims it to its speech: WORK/3-trimmed.ttsr, for whatever
# comes after. finetune.mk and language.mk take ENHANCE as well and do the same on their way.
#
#   make -f pipelines/enhance.mk ENHANCE=FOLDER MODEL=MODEL TEXT=FILE WORK=FOLDER speech
#
# says each line of a text with a model and enhances what it said: WORK/speech/LINE.wav.
#
#   make -f pipelines/enhance.mk FG=FOLDER BG=FOLDER RIR=FOLDER RUNS=FOLDER enhancer
#
# trains an enhancer on folders of clean speech, noise and room responses, in the three trainings of the package:
# RUNS/denoiser, RUNS/stage1, RUNS/enhancer; the last is what ENHANCE takes. `denoiser' and `stage1' train these alone.
# enhance-training.mk names their options (CONFIG_DENOISER, STEPS_ENHANCER, …).
#
#   ENHANCE_OPTIONS   how: by default --mode denoise of data, and --nfe 32 of speech
#   VOICE, SEED, SYNTH_OPTIONS, IMPORT_OPTIONS, RESAMPLE_OPTIONS, VAD_OPTIONS, THREADS
#
# It goes on where it stopped; a changed option or model makes again what depends on it.

.DEFAULT_GOAL := usage
folder := $(dir $(lastword $(MAKEFILE_LIST)))

.PHONY: usage data speech
usage:
	@echo "say data, speech or enhancer; see the head of $(firstword $(MAKEFILE_LIST))" >&2; exit 2

trainings := $(filter denoiser stage1 enhancer,$(MAKECMDGOALS))
wanted := $(if $(trainings),FG BG RIR RUNS,ENHANCE WORK) $(if $(filter speech,$(MAKECMDGOALS)),MODEL TEXT) \
  $(if $(filter data,$(MAKECMDGOALS)),METADATA)
$(foreach name,$(wanted),$(if $($(name)),,$(error $(name)= is missing; see the head of $(firstword $(MAKEFILE_LIST)))))

# Training

ifneq ($(trainings),)
include $(folder)enhance-training.mk
else

# Recordings and speech made better

ifneq ($(filter speech,$(MAKECMDGOALS)),)
ENHANCE_OPTIONS ?= --nfe 32
endif
SOURCE := $(METADATA)
SOURCE_FILES := $(METADATA)
MODEL_FILES := $(wildcard $(MODEL)/config.yaml $(MODEL)/model.safetensors)
RUN := $(WORK)/run

include $(folder)stages.mk

data: $(trimmed)

spoken := $(WORK)/spoken.ttsr
enhanced := $(WORK)/enhanced.ttsr
speak = tts-synth --model $(MODEL) $(if $(VOICE),--voice $(VOICE)) --seed $(SEED) --format ttsr $(SYNTH_OPTIONS)
$(eval $(call stage,speak,$(spoken),$(TEXT),$(speak),$(MODEL_FILES)))
$(eval $(call stage,enhance,$(enhanced),$(spoken),$(enhance),$(enhance-files)))

$(WORK)/speech.jsonl: $(enhanced)
	tts-stream view --audio $(WORK)/speech $(enhanced) > $@
speech: $(WORK)/speech.jsonl

endif

# The three trainings of an enhancer as make rules, for enhance.mk and demo-enhance.mk: RUNS/denoiser, then RUNS/stage1
# (autoencoder and vocoder), then RUNS/enhancer (the flow between them), which needs both.
#
# Set before this is included: RUNS, and the folders FG (clean speech), BG (noise) and RIR (room responses). For each
# training CONFIG_… (a YAML file), STEPS_… and OPTIONS_… (more options), … being DENOISER, STAGE1 or ENHANCER; and
# TRAIN_OPTIONS, of all of them. The tools are found on the PATH.

training-here := $(dir $(lastword $(MAKEFILE_LIST)))
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
ifneq ($(V),1)
.SILENT:
endif

SEED ?= 1
THREADS ?= 0
TRAIN_OPTIONS ?=

.PHONY: FORCE
FORCE:

# What there is to learn from, as a stamp: other recordings, another run.
$(RUNS)/data.id: FORCE $(DATA_FILES)
	$(training-here)stamp $@ find $(FG) $(BG) $(RIR) -type f -printf '%p %s\n'

noisy-data := --fg $(FG) --bg $(BG) --rir $(RIR)
train-stage = tts-enhance train --stage $(1) $(if $(CONFIG_$(2)),--config $(CONFIG_$(2))) --seed $(SEED) \
  $(TRAIN_OPTIONS) $(OPTIONS_$(2))

# $(call enhancement-training,RUN,STEPS,COMMAND,STAMPS OF WHAT IT NEEDS,FILES OF THESE)
define enhancement-training
$(1).id: FORCE
	$(training-here)stamp $$@ sh -c 'echo "$(3) $(2)"; cat $(wildcard $(6)) </dev/null'
$(1).trained: $(1).id $(RUNS)/data.id $(4)
	$(training-here)train $(1) '$(RUNS)/data.id $(wildcard $(6)) $(5)' '$(2)' $(THREADS) $(3)
	touch $$@
endef

$(eval $(call enhancement-training,$(RUNS)/denoiser,$(STEPS_DENOISER),\
  $(call train-stage,denoiser,DENOISER) $(noisy-data),,,$(CONFIG_DENOISER)))
$(eval $(call enhancement-training,$(RUNS)/stage1,$(STEPS_STAGE1),\
  $(call train-stage,enhancer1,STAGE1) --fg $(FG),,,$(CONFIG_STAGE1)))
$(eval $(call enhancement-training,$(RUNS)/enhancer,$(STEPS_ENHANCER),\
  $(call train-stage,enhancer2,ENHANCER) $(noisy-data) --autoencoder $(RUNS)/stage1 --denoiser $(RUNS)/denoiser,\
  $(RUNS)/stage1.trained $(RUNS)/denoiser.trained,\
  $(RUNS)/stage1/model.safetensors $(RUNS)/denoiser/model.safetensors,$(CONFIG_ENHANCER)))

.PHONY: denoiser stage1 enhancer
denoiser: $(RUNS)/denoiser.trained
stage1: $(RUNS)/stage1.trained
enhancer: $(RUNS)/enhancer.trained

# The main job as make rules, for demo.mk, finetune.mk, language.mk and enhance.mk: from recordings to a trained model.
#
# Every stage is one file and one rule, so that a run that was killed goes on at the stage it was in;
# a tool's -o names its file only when that is whole. Beside each file lies FILE.id, what the stage
# would do (options, model digests, version), rewritten only when that differs: a changed option makes
# again what depends on it, and nothing else.
#
# Set before this is included: SOURCE (what tts-import reads), SOURCE_FILES (what make watches of it),
# MODEL (a model directory), MODEL_FILES (likewise), WORK (where the stages' files go), RUN (the run
# directory); TOKENIZER, where tokens are another tokenizer's than the model's; and ENHANCE, a model of tts-enhance
# that recordings go through first, with ENHANCE_OPTIONS. The tools are found on the PATH.

here := $(dir $(lastword $(MAKEFILE_LIST)))
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
ifneq ($(V),1)
.SILENT:
endif

SEED ?= 1
SPLIT ?= train=0.9,valid=0.1
STEPS ?= 1000
BATCH ?= 8
LR ?= 2e-4
IMPORT_OPTIONS ?=
ENHANCE_OPTIONS ?= --mode denoise
RESAMPLE_OPTIONS ?= --rate 24000
VAD_OPTIONS ?= --mode trim
SHARD_OPTIONS ?= --shuffle $(SEED) --split $(SPLIT)
TRAIN_OPTIONS ?=
THREADS ?= 0

import = tts-import $(IMPORT_OPTIONS) $(SOURCE)
enhance = tts-enhance --model $(ENHANCE) $(ENHANCE_OPTIONS)
resample = tts-resample $(RESAMPLE_OPTIONS)
vad = tts-vad $(VAD_OPTIONS)
tokenize = tts-tokenize $(if $(TOKENIZER),--tokenizer $(TOKENIZER),--model $(MODEL))
encode = tts-mimi-encode --model $(MODEL)
shard = tts-shard $(SHARD_OPTIONS)
# $(call train-from,MODEL,LR,OPTIONS)
train-from = tts-train --model $(1) --train '$(shards)/train-*.ttsr' \
  --valid '$(shards)/valid-*.ttsr' --batch $(BATCH) --lr $(2) --seed $(SEED) $(3)
train = $(call train-from,$(MODEL),$(LR),$(TRAIN_OPTIONS))

.PHONY: FORCE
FORCE:

# $(call stage,NAME,OUTPUT,INPUT,COMMAND,WHAT THE COMMAND NEEDS TO EXIST)
# A model counts by its digest, which stands in the stage's id, not by the age of its files.
define stage
$(2).id: FORCE $(5)
	$(here)stamp $$@ $(4) --stage-id
$(2): $(2).id $(3)
	$(here)stage $(1) $(2).json $(4) -T $(THREADS) -o $$@ $(if $(filter import,$(1)),,$(3))
endef

imported := $(WORK)/1-imported.ttsr
better := $(if $(ENHANCE),$(WORK)/1-enhanced.ttsr)
resampled := $(WORK)/2-resampled.ttsr
trimmed := $(WORK)/3-trimmed.ttsr
tokens := $(WORK)/4-tokens.ttsr
latents := $(WORK)/5-latents.ttsr
shards := $(WORK)/shards
manifests := $(shards)/train.manifest.json $(shards)/valid.manifest.json

$(eval $(call stage,import,$(imported),$(SOURCE_FILES),$(import)))
ifneq ($(ENHANCE),)
enhance-files := $(ENHANCE)/config.yaml $(ENHANCE)/model.safetensors
$(eval $(call stage,enhance,$(better),$(imported),$(enhance),$(enhance-files)))
endif
$(eval $(call stage,resample,$(resampled),$(or $(better),$(imported)),$(resample)))
$(eval $(call stage,vad,$(trimmed),$(resampled),$(vad)))
$(eval $(call stage,tokenize,$(tokens),$(trimmed),$(tokenize),$(or $(TOKENIZER),$(MODEL_FILES))))
$(eval $(call stage,encode,$(latents),$(tokens),$(encode),$(MODEL_FILES)))

$(shards).id: FORCE
	$(here)stamp $@ $(shard) -o '$(shards)/{split}-%05d.ttsr' --stage-id
$(manifests) &: $(shards).id $(latents)
	$(here)stage shard $(shards).json $(shard) -T $(THREADS) -o '$(shards)/{split}-%05d.ttsr' $(latents)

# $(call training,RUN,STAMP OF ITS END,STEPS,COMMAND,WHAT IT DEPENDS ON,FILES OF ITS MODEL)
define training
$(1).id: FORCE
	$(here)stamp $$@ echo "$(4) --steps $(3)"
$(2): $(1).id $(manifests) $(5)
	$(here)train $(1) '$(manifests) $(6)' $(3) $(THREADS) $(4)
	touch $$@
endef

$(eval $(call training,$(RUN),$(WORK)/trained,$(STEPS),$(train),$(MODEL_FILES),$(MODEL_FILES)))

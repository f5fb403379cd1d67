# The whole main job in miniature: `make demo` speaks a small corpus with flite, makes a model of it and
# lets that model speak. The sentences (`demo-sentences.txt`) are drawn from a small grammar of eight words
# a slot, each said by one voice: words come again, sentences do not, so that the held-out ones tell
# whether the words were learned. The codec's weights are random, so what comes out is not yet speech; everything
# before that is real: the data, the stages, the loss that falls on recordings the training never saw.
#
#   make -f pipelines/demo.mk [DEMO=FOLDER] [STEPS=N] [SEED=N] [VOICES=…] [SHUFFLED=1]
#
# SHUFFLED=1 (with a DEMO of its own) lists the recordings with each other's words: the control that shows
# what the text is worth.

.DEFAULT_GOAL := demo
folder := $(dir $(lastword $(MAKEFILE_LIST)))

DEMO ?= demo
VOICES ?= kal awb rms slt
SENTENCES ?= $(folder)demo-sentences.txt
CONFIG ?= $(folder)demo.yaml
TEXT ?= Find four gold lamps with Jane today.
SEED ?= 1
STEPS ?= 1200
BATCH ?= 8
LR ?= 2e-3
# A short run: statistics of these latents, a short warm-up, an average that follows quickly, and no
# dropout, because nobody will ask this model to speak without a text or a voice.
TRAIN_OPTIONS ?= --statistics data --warmup 50 --schedule cosine --ema-decay 0.98 --valid-every 200 \
  --multiplier 2 --text-dropout 0 --voice-dropout 0 --prompt-seconds 1

WORK := $(DEMO)/work
MODEL := $(DEMO)/model
RUN := $(DEMO)/run
CORPUS := $(DEMO)/corpus
SOURCE = $(METADATA)
SOURCE_FILES = $(METADATA)
MODEL_FILES := $(MODEL)/model.safetensors
IMPORT_OPTIONS := --format list

include $(folder)corpus.mk
include $(folder)stages.mk

pieces := $(shell sed -nE 's/^ *n_bins: *([0-9]+).*/\1/p' $(CONFIG))
train-tokenizer = tts-tokenize train --type bpe --vocab-size $(pieces)
$(DEMO)/tokenizer.model.id: FORCE
	$(here)stamp $@ echo "$(train-tokenizer)"
$(DEMO)/tokenizer.model: $(DEMO)/tokenizer.model.id $(SENTENCES)
	$(train-tokenizer) -q -o $@ $(SENTENCES)

init = tts-model init --config $(CONFIG) --tokenizer $(DEMO)/tokenizer.model --seed $(SEED)
$(MODEL).id: FORCE
	$(here)stamp $@ sh -c 'echo "$(init)"; cat $(CONFIG)'
$(MODEL_FILES): $(MODEL).id $(DEMO)/tokenizer.model
	rm -rf $(MODEL) $(MODEL).new
	$(init) -q -o $(MODEL).new
	mv $(MODEL).new $(MODEL)

speech := $(DEMO)/speech.wav
synth = tts-synth --model $(RUN) --voice $(CORPUS)/wavs/slt-004.wav --seed $(SEED)
$(speech).id: FORCE
	$(here)stamp $@ echo '$(synth) $(TEXT)'
$(speech): $(speech).id $(WORK)/trained
	$(synth) --text '$(TEXT)' -T $(THREADS) -o $@
	echo "speech     $$(wc -c <$@) bytes: $@"

.PHONY: demo
demo: $(speech)
	echo "The model speaks in $(speech): with a codec of random weights, not yet speech."

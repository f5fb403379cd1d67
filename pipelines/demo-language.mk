# `make demo-language`: the model of `make demo`, which has heard English only, learns Esperanto, which no official
# model speaks. espeak-ng says the sentences (`esperanto-sentences.txt`, drawn from a small grammar like those of the
# demo). What the codec makes of it is noise, as there; what is real is the loss on sentences never heard, which ends
# far below its start, and below that of a model which learns the same from nothing.
#
#   make -f pipelines/demo-language.mk [DEMO=FOLDER] [STEPS=N] [SEED=N] [VOICES=…]

folder := $(dir $(lastword $(MAKEFILE_LIST)))

DEMO ?= demo
MODEL := $(DEMO)/run
RUN := $(DEMO)/esperanto/run
WORK := $(DEMO)/esperanto/work
CORPUS := $(DEMO)/esperanto/corpus
SPEAKER := espeak-ng
VOICES ?= eo+f2 eo+m1 eo+f4 eo+m3
SENTENCES ?= $(folder)esperanto-sentences.txt
VOICE ?= $(CORPUS)/wavs/eo+f2-001.wav
TEXT ?= Maria havas kvin ruĝajn pomojn hodiaŭ.
PIECES ?= 440
TOKENIZER_OPTIONS ?= --type bpe
IMPORT_OPTIONS := --format list
STEPS ?= 400
LR ?= 2e-3
# As in the demo; the statistics stay those of the model.
TRAIN_OPTIONS ?= --warmup 50 --schedule cosine --ema-decay 0.98 --valid-every 100 --multiplier 2 \
  --text-dropout 0 --voice-dropout 0 --prompt-seconds 1

include $(folder)corpus.mk
include $(folder)language.mk

$(VOICE): | $(METADATA) ;

# Teaches a model another language from recordings of it:
#
#   make -f pipelines/language.mk MODEL=FOLDER METADATA=FILE RUN=FOLDER [PIECES=N] …
#
# It is finetune.mk, whose options it takes, with a tokenizer trained on the transcripts, a fresh text table for it, and
# all of the model learning, at the rate of a new one. The voice and the sound it has already.
#
#   PIECES              size of the tokenizer (default: 4000; a small corpus wants fewer)
#   TOKENIZER_OPTIONS   more for `tts-tokenize train`, as --type bpe
#   VOICE, TEXT         as in finetune.mk: a recording, and a sentence of the language

WORK ?= $(RUN)-work
PIECES ?= 4000
LR ?= 2e-4
TOKENIZER := $(WORK)/tokenizer.model
TRAIN_OPTIONS ?= --warmup 1000
override TRAIN_OPTIONS += --tune full --reset-text --set flow_lm.lookup_table.tokenizer=sentencepiece \
  --set flow_lm.lookup_table.tokenizer_path=$(TOKENIZER) --set flow_lm.lookup_table.n_bins=$(PIECES)

include $(dir $(lastword $(MAKEFILE_LIST)))finetune.mk

train-tokenizer = tts-tokenize train --vocab-size $(PIECES) $(TOKENIZER_OPTIONS)
$(TOKENIZER).id: FORCE
	$(here)stamp $@ echo '$(train-tokenizer)'
$(TOKENIZER): $(TOKENIZER).id $(trimmed)
	$(train-tokenizer) -q -o $@ $(trimmed)

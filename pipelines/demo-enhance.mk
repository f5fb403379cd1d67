# The three trainings of an enhancer in miniature, `make demo-enhance`: flite speaks, SoX makes noise and rooms, and small
# models learn from them. The denoiser is worth its name after these few minutes: it says by how many dB it makes recordings
# better that it has never heard (si_sdr_gain). The enhancer's losses fall, but it needs days, not minutes: DEMO/report.html has
# what all three sound like.
#
#   make -f pipelines/demo-enhance.mk [DEMO=FOLDER] [SENTENCES_COUNT=N] [STEPS_DENOISER=N] [SEED=N] … [data|denoiser]
#
# It goes on where it stopped.

.DEFAULT_GOAL := demo
folder := $(dir $(lastword $(MAKEFILE_LIST)))
here := $(folder)

DEMO ?= demo/enhance
VOICES ?= kal16 awb rms slt
SENTENCES_COUNT ?= 160
SENTENCES := $(DEMO)/sentences.txt
CORPUS := $(DEMO)/speech
NOISE := $(DEMO)/noise
RUNS := $(DEMO)/runs

FG := $(CORPUS)/wavs
BG := $(NOISE)/bg
RIR := $(NOISE)/rir
DATA_FILES := $(CORPUS)/metadata.csv $(NOISE).made

CONFIG_DENOISER ?= $(folder)demo-denoiser.yaml
CONFIG_STAGE1 ?= $(folder)demo-enhancer.yaml
CONFIG_ENHANCER ?= $(folder)demo-enhancer.yaml
TRAIN_OPTIONS ?= --valid-every 50 --checkpoint-every 25 --sample-every 50 --sample-count 2

include $(folder)enhance-training.mk
include $(folder)corpus.mk

$(SENTENCES): FORCE
	$(folder)stamp $@ head -n $(SENTENCES_COUNT) $(folder)demo-sentences.txt
$(CORPUS).id: $(SENTENCES)

$(NOISE).made: $(folder)noise
	$(folder)noise $(NOISE)
	touch $@

.PHONY: data demo
data: $(DATA_FILES)

page := $(DEMO)/report.html
$(page): $(foreach run,denoiser stage1 enhancer,$(RUNS)/$(run).trained)
	tts-enhance report -q -o $@ $(foreach run,denoiser stage1 enhancer,$(RUNS)/$(run))

# A mixture that the training never saw, before and after.
noisy := $(RUNS)/denoiser/samples/step00000000-1-input.wav
better := $(DEMO)/denoised.wav
$(better): $(RUNS)/denoiser.trained
	tts-enhance -q --model $(RUNS)/denoiser --mode denoise -T $(THREADS) -o $@ $(noisy)

demo: $(page) $(better)
	echo "speech in noise: $(noisy)"
	echo "denoised:        $(better)"
	echo "all that was learned, to look at and to listen to: $(page)"

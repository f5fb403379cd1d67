# ttstools: build, prove, install.   `make` alone lists the targets.
#
#   V=1            everything that is run is shown
#   WERROR=1       warnings in our own code are errors (continuous integration does this)
#   PREFIX=…       where `make install` puts things; DESTDIR= is honoured

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
ifneq ($(V),1)
.SILENT:
endif

PREFIX ?= /usr/local
BUILD := .build
# A Python that has the official package, for fixtures and comparisons.
REFERENCE := $(or $(TTS_REFERENCE_PYTHON),python3)
# One set of flags for tools and tests, so that nothing is compiled twice.
SWIFTFLAGS := -c release -Xswiftc -enable-testing $(if $(WERROR),-Xswiftc -warnings-as-errors)
BIN := $(BUILD)/release
SWIFT_SOURCES = $(shell git ls-files --cached --others --exclude-standard '*.swift')

export V

.PHONY: help
help: ## this list
	@echo "ttstools: make TARGET"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/^([a-z-]+):.*## /  \1|/' | column -t -s '|'

.PHONY: deps
deps: ## the system libraries: checked, and installed with apt where that is allowed
	Scripts/dependencies build demo lint install readers recogniser

.PHONY: build
build: ## the tools, into .build/release
	Scripts/dependencies build
	Scripts/quietly build $(BUILD)/build.log swift build $(SWIFTFLAGS)

.PHONY: build-tests
build-tests:
	Scripts/dependencies build test
	Scripts/quietly build $(BUILD)/build.log swift build --build-tests $(SWIFTFLAGS)

.PHONY: test
test: build-tests ## every test that takes seconds (FILTER=NAME: only those)
	Scripts/quietly test $(BUILD)/test.log \
	  swift test --skip-build $(SWIFTFLAGS) $(if $(FILTER),--filter '$(FILTER)')

.PHONY: demo
demo: build ## the main job in miniature: speak a corpus, prepare, train, speak (DEMO=FOLDER STEPS=N)
	Scripts/dependencies demo
	PATH="$(abspath $(BIN)):$$PATH" $(MAKE) -f pipelines/demo.mk demo

.PHONY: demo-control
demo-control: demo ## what the text is worth in the demo: the same model trained on shuffled words, beside it
	PATH="$(abspath $(BIN)):$$PATH" $(MAKE) -f pipelines/demo.mk demo DEMO=$(or $(DEMO),demo)/shuffled SHUFFLED=1
	for run in $(or $(DEMO),demo) $(or $(DEMO),demo)/shuffled; do \
	  printf '%-16s held-out flow_diag at the end: ' "$$run"; \
	  grep '"valid"' "$$run/run/progress.jsonl" | tail -n 1 | grep -oE '"flow_diag": *[0-9.]+' | grep -oE '[0-9.]+$$'; \
	done

.PHONY: demo-language
demo-language: demo ## another language: the demo's model learns Esperanto, its text table fresh (DEMO=FOLDER)
	Scripts/dependencies demo-language
	PATH="$(abspath $(BIN)):$$PATH" $(MAKE) -f pipelines/demo-language.mk

.PHONY: demo-enhance
demo-enhance: build ## the trainings of an enhancer in miniature: speech, noise and rooms are made, three models learn (DEMO=FOLDER)
	Scripts/dependencies demo-enhance
	PATH="$(abspath $(BIN)):$$PATH" $(MAKE) -f pipelines/demo-enhance.mk demo DEMO=$(or $(DEMO),demo)/enhance

.PHONY: check-learning
check-learning: demo ## what each part of a model learns of a few utterances, as a table; and a denoiser, in decibels
	PATH="$(abspath $(BIN)):$$PATH" Scripts/check-learning $(or $(DEMO),demo)
	Scripts/dependencies demo-enhance
	PATH="$(abspath $(BIN)):$$PATH" $(MAKE) -f pipelines/demo-enhance.mk data DEMO=$(or $(DEMO),demo)/enhance
	PATH="$(abspath $(BIN)):$$PATH" Scripts/check-denoising $(or $(DEMO),demo)/enhance

.PHONY: check
check: test check-install ## test, and what an installed copy must show

.PHONY: check-install
check-install: build
	Scripts/dependencies install readers
	Scripts/check-install $(BIN)

.PHONY: check-slow
check-slow: build-tests ## what takes long: hours of audio, memory, bfloat16 training, fuzzing (FUZZ=20 times), killed training, the official packages at full size
	TTS_SLOW=1 TTS_FUZZ=$(or $(FUZZ),20) Scripts/quietly test $(BUILD)/test-slow.log \
	  swift test --skip-build $(SWIFTFLAGS) $(if $(FILTER),--filter '$(FILTER)')
	if [ -n "$(TTS_REFERENCE_PYTHON)" ]; then Scripts/check-full-size $(BIN) $(TTS_REFERENCE_PYTHON); \
	else echo "TTS_REFERENCE_PYTHON names no Python: nothing was compared at full size"; fi

.PHONY: check-page
check-page: build ## the server's page in a browser without a screen (SCREENSHOT=FILE.png)
	Scripts/dependencies browser
	/usr/bin/python3 Tests/Browser/page.py $(BIN) Tests/Fixtures/PocketTTS/lsd $(SCREENSHOT)

.PHONY: bench
bench: build ## speed beside PyTorch and ONNX Runtime (QUICK=1: short; ONLY=lm,mimi: parts)
	Scripts/dependencies bench
	TTS_REFERENCE_PYTHON="$(REFERENCE)" Tests/Benchmarks/bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY))

.PHONY: fixtures
fixtures: ## record the parity fixtures anew with the official package (SEED=1 OUT=Tests/Fixtures/PocketTTS ONLY=PART)
	$(REFERENCE) Tests/Parity/pocket_tts.py --seed $(or $(SEED),1) --out $(or $(OUT),Tests/Fixtures/PocketTTS) $(if $(ONLY),--only $(ONLY))

.PHONY: fixtures-enhance
fixtures-enhance: ## the same of the Resemble-Enhance package (SEED=1 OUT=Tests/Fixtures/ResembleEnhance ONLY=PART)
	$(REFERENCE) Tests/Parity/resemble_enhance.py --seed $(or $(SEED),1) --out $(or $(OUT),Tests/Fixtures/ResembleEnhance) \
	  $(if $(ONLY),--only $(ONLY))

.PHONY: format
format: ## lay out the Swift sources
	swift format format --in-place --parallel --configuration .swift-format $(SWIFT_SOURCES)

.PHONY: lint
lint: build ## formatter, layers, manual pages, file sizes
	Scripts/dependencies lint
	swift format lint --strict --parallel --configuration .swift-format $(SWIFT_SOURCES)
	Scripts/check-layers
	Scripts/check-sources
	Scripts/check-manuals $(BIN)

.PHONY: man
man: ## the manual pages as they will be read (PAGE=tts-import.1: that one)
	Scripts/dependencies lint
	mandoc -a $(or $(addprefix man/,$(PAGE)),$(wildcard man/*.[15]))

.PHONY: install
install: build ## tools, manual pages, completions and recipes, below PREFIX
	Scripts/dependencies install
	Scripts/install-tools $(BIN) $(PREFIX)

.PHONY: dev
dev: format lint test ## what to run before a commit

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)

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
	Scripts/dependencies build demo lint install readers

.PHONY: build
build: ## the tools, into .build/release
	Scripts/dependencies build
	Scripts/quietly build $(BUILD)/build.log swift build $(SWIFTFLAGS)

.PHONY: build-tests
build-tests:
	Scripts/dependencies build
	Scripts/quietly build $(BUILD)/build.log swift build --build-tests $(SWIFTFLAGS)

.PHONY: test
test: build-tests ## every test that takes seconds (FILTER=NAME: only those)
	Scripts/quietly test $(BUILD)/test.log \
	  swift test --skip-build $(SWIFTFLAGS) $(if $(FILTER),--filter '$(FILTER)')

.PHONY: format
format: ## lay out the Swift sources
	swift format format --in-place --parallel --configuration .swift-format $(SWIFT_SOURCES)

.PHONY: lint
lint: ## formatter, layers, file sizes
	Scripts/dependencies lint
	swift format lint --strict --parallel --configuration .swift-format $(SWIFT_SOURCES)
	Scripts/check-layers
	Scripts/check-sources

.PHONY: dev
dev: format build lint test ## what to run before a commit

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BUILD)

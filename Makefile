# What a person runs. `make help` lists it.
JOBS ?= $(shell nproc)
PRESET ?= full
BUILD = build/$(PRESET)
KILLS ?= 1000
SECONDS ?= 60

.PHONY: help setup build programs demo demo-vision test test-unit test-clients test-crash test-sanitizers fuzz bench format lint clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' Makefile

setup:  ## install what building and testing need (CUDA=1 adds the GPU libraries)
	@tools/setup $(if $(CUDA),--cuda)

build: setup  ## build everything (PRESET=dev builds without torch)
	@cmake --preset $(PRESET) >/dev/null
	@cmake --build --preset $(PRESET) -j $(JOBS)

programs: setup  ## build what users run, attune-server, attune-worker and attune, without tests
	@cmake --preset $(PRESET) >/dev/null
	@cmake --build --preset $(PRESET) -j $(JOBS) --target attune-server attune-worker attune

demo: programs  ## fine-tune a real BERT on real texts, end to end
	@tools/demo

demo-vision: programs  ## fine-tune a real MobileNetV2 on real images, end to end
	@tools/demo_vision

test: build  ## build and run every test
	@tools/test $(BUILD)

test-unit: setup  ## the fast tests only, without torch
	@cmake --preset dev >/dev/null && cmake --build --preset dev -j $(JOBS) && tools/test build/dev -L unit

test-clients: build  ## the conformance scenario in every language of client/examples
	@tools/setup --clients
	@ATTUNE_DEPS_DIR=$(CURDIR)/.deps ATTUNE_BUILD_DIR=$(CURDIR)/$(BUILD) .deps/testenv/bin/python -m pytest -v -p no:cacheprovider tests/clients

test-crash: build  ## kill servers and workers a thousand times (KILLS=n), and check that nothing was lost
	@ATTUNE_DEPS_DIR=$(CURDIR)/.deps ATTUNE_BUILD_DIR=$(CURDIR)/$(BUILD) .deps/testenv/bin/python tests/integration/crash_matrix.py --kills $(KILLS)

test-sanitizers: setup  ## unit and integration tests under ASan+UBSan, then TSan
	@tools/test_sanitizers

fuzz:  ## hostile files against the readers (TARGET=csv, else all; SECONDS=n each, or RUNS=n executions)
	@tools/setup --fuzz
	@JOBS=$(JOBS) RUNS=$(RUNS) SECONDS_EACH=$(SECONDS) tools/fuzz $(TARGET)

bench: build  ## speed and accuracy beside transformers' Trainer (see tools/bench --help)
	@tools/bench text

format: setup  ## clang-format all sources
	@git ls-files '*.h' '*.cc' | xargs .deps/testenv/bin/clang-format -i

lint: setup  ## buf lint, include rules and file sizes
	@cd proto && ../.deps/testenv/bin/buf lint && cd .. && tests/house/check_house.py

clean:  ## remove builds (not .deps)
	rm -rf build

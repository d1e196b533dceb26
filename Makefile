# Penumbra. The two that matter: `make demo` and `make test`.

SHELL := bash
GO    ?= go
BIN   := bin/penumbra
LAB   ?= /tmp/penumbra-lab

.PHONY: all build beam demo test unit lint bench fuzz lab clean help

all: build

help: ## Say what each target does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## Build bin/penumbra
	$(GO) build -trimpath -o $(BIN) ./cmd/penumbra

beam: ## Build bin/penumbra-beam, which scores, trains and judges on Spark; minutes the first time
	cd adapter/beam && GOWORK=off $(GO) build -trimpath -o ../../bin/penumbra-beam ./cmd/penumbra-beam

demo: build ## Set all up and play the demonstration (DEMO_ONCE=1: end by itself; DEMO_REPLAY=file: a recording)
	scripts/demo.sh

test: ## Set all up and run the whole suite
	scripts/test.sh

unit: ## Run what needs no outside tool
	$(GO) test ./...

lint: ## Vet, format and staticcheck
	scripts/lint.sh

bench: ## Run the benchmarks behind docs/benchmarks.md
	scripts/bench.sh

fuzz: ## Fuzz every parser of outside data for FUZZTIME each (default 20s)
	scripts/fuzz.sh

lab: ## Set up real servers below LAB (default /tmp/penumbra-lab); lab/down ends them
	lab/up $(LAB)

clean: ## Remove what was built here
	rm -rf bin

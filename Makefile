# Penumbra. The two that matter: `make demo` and `make test`.

SHELL := bash
GO    ?= go
BIN   := bin/penumbra

.PHONY: all build demo test unit lint bench fuzz clean help

all: build

help: ## Say what each target does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

build: ## Build bin/penumbra
	$(GO) build -trimpath -o $(BIN) ./cmd/penumbra

demo: build ## Set all up and play the demonstration (DEMO_ONCE=1: end by itself)
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

clean: ## Remove what was built here
	rm -rf bin

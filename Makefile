# Weft. `make` lists the targets; CI calls the same ones (.ci/run).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X github.com/weft-run/weft/daemon/api.build=$(VERSION)
TESTDATA ?= $(CURDIR)/.testdata
DURATION ?= 5m
ENGINE_DURATION ?= 1m
ALIKE    ?= 30s
HAMMER   ?= 20s
KILLS    ?= 20
FUZZTIME ?= 30m
PYTHON   ?= python3
TOOL     := $(GO) tool -modfile=.ci/tools.mod
export CGO_ENABLED ?= 0

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

.PHONY: build
build: ## both programs into bin/
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./daemon/weftd ./daemon/weft

.PHONY: build-arm64
build-arm64: ## both programs for arm64 into bin/arm64/
	GOARCH=arm64 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/arm64/ ./daemon/weftd ./daemon/weft

.PHONY: check-static
check-static: build build-arm64 ## fail if a program is not a static binary
	@for f in bin/weftd bin/weft bin/arm64/weftd bin/arm64/weft; do \
	  file -b $$f | grep -q 'statically linked' || { echo "$$f is not static: $$(file -b $$f)" >&2; exit 1; }; \
	  echo "$$f: $$(file -b $$f | cut -d, -f1-4)"; done

.PHONY: run
run: build ## start the daemon on the built-in model in a folder of its own, ask it a question, stop it
	@.ci/first-light bin

.PHONY: test
test: ## all tests, with invariants checked; needs Go alone
	$(GO) test -tags invariants ./...
	@test -f $(TESTDATA)/smollm2-f32.gguf -a -d $(TESTDATA)/vocab || \
	  echo "LOUD: the tests on real models and vocabularies were SKIPPED: $(TESTDATA) lacks them; run 'make testdata'" >&2

.PHONY: test-allocs
test-allocs: ## that a step allocates nothing; apart, because checking invariants allocates
	$(GO) test -count=1 -run 'Alloc' ./kernels/... ./runtime/...

.PHONY: test-noasm
test-noasm: ## kernels and engine without any assembly
	$(GO) test -short -tags noasm,invariants ./kernels/... ./runtime/...

.PHONY: test-race
test-race: ## short tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short -tags invariants ./...

.PHONY: test-v3
test-v3: ## the definition and the bits of logits, compiled with fused multiply-adds allowed (the machine needs AVX2)
	GOAMD64=v3 $(GO) test -count=1 -short ./kernels/ref ./kernels/exact ./runtime/sampler
	GOAMD64=v3 $(GO) test -count=1 -short ./runtime/models -run Bits

.PHONY: bits
bits: ## write the committed hashes of logits again; only where a change of the numerics is meant
	$(GO) test -count=1 ./runtime/models -run '^TestBits$$' -update

.PHONY: test-levels
test-levels: ## kernels, models and engine once for each CPU level that the machine has; EXPECT_CPU=level fails where it did not run
	@has() { [ $$1 = ref ] || [ $$1 = "$${EXPECT_CPU:-}" ] || grep -qw "$$2" /proc/cpuinfo; }; \
	for l in ref: avx2:avx2 avxvnni:avx_vnni avx512:avx512_vnni; do flag=$${l#*:}; l=$${l%:*}; tags=invariants; \
	  if ! has $$l $$flag; then \
	    echo "LOUD: this machine lacks $$flag: level $$l did not run in its own encoding" >&2; \
	    if [ $$l = avxvnni ] && has avx512 avx512_vnni; then echo "its kernels run as AVX-512 instead (-tags evex)"; tags=invariants,evex; else continue; fi; fi; \
	  echo "WEFT_CPU=$$l"; \
	  WEFT_CPU=$$l EXPECT_CPU=$${EXPECT_CPU:-} $(GO) test -count=1 -short -tags $$tags ./kernels/... ./runtime/models ./runtime/engine; done

.PHONY: test-arm64
test-arm64: ## kernels and models on arm64 under qemu-user, each level on a processor whose best it is
	@for c in max:neoni8mm cortex-a76:neondot cortex-a53:neon; do echo "qemu -cpu $$c"; export QEMU_CPU=$${c%:*} EXPECT_CPU=$${c#*:}; \
	  GOARCH=arm64 $(GO) test -count=1 -short -exec qemu-aarch64-static ./kernels/cpu/neon; \
	  GOARCH=arm64 $(GO) test -count=1 -short -exec qemu-aarch64-static ./kernels/cpu -run 'Level|Tables|Project|Attend|Row|Embed|Rotate|Pool'; \
	  GOARCH=arm64 $(GO) test -count=1 -short -exec qemu-aarch64-static ./kernels/... ./runtime/models -run 'Kernel|Ref|Exact|Golden|Decode|Stories|Bits' -skip Attend; done

.PHONY: test-clients
test-clients: build ## the official openai clients for Python and Node against a live daemon (needs python3 and npm)
	daemon/clienttest/run bin

.PHONY: test-long
test-long: ## under the race detector: 64 clients for DURATION, the engine's random runs for ENGINE_DURATION each; without it, adapters in mixed steps for ALIKE (the whole: test-alike); 50 cycles of load and unload; then test-hammer, test-storm and test-kills
	CGO_ENABLED=1 WEFT_LONG=$(DURATION) $(GO) test -race -count=1 -timeout 60m -run '^TestLongManyClients$$' ./daemon
	CGO_ENABLED=1 WEFT_LONG=$(ENGINE_DURATION) $(GO) test -race -count=1 -timeout 60m -run '^TestLong' -skip Alike ./runtime/engine
	WEFT_LONG=$(ALIKE) $(GO) test -count=1 -v -timeout 60m -run '^TestLongAdaptersAlike' ./runtime/engine
	WEFT_LONG=$(DURATION) $(GO) test -count=1 -run '^TestCycles' ./daemon
	$(MAKE) test-hammer test-storm test-kills

.PHONY: test-adapters
test-adapters: ## adapters made by PEFT, in the folder ADAPTERS with its golden.jsonl, on SmolLM2 in float32 and quantized
	WEFT_TEST_ADAPTERS=$(ADAPTERS) $(GO) test -count=1 -v -timeout 30m -run 'SmolLM2$$' ./adapters

.PHONY: test-alike
test-alike: ## random adapters, stacks and none mixed, on shared prompts, with preemption: 1,000,000 tokens of tiny models, 20,000 of SmolLM2 equal those computed alone (minutes)
	WEFT_TEST_TOKENS=1000000 $(GO) test -count=1 -v -timeout 60m -run '^TestLongAdaptersAlike$$' ./runtime/engine
	WEFT_TEST_TOKENS=20000 $(GO) test -count=1 -v -timeout 60m -run '^TestLongAdaptersAlikeSmolLM2$$' ./runtime/engine

.PHONY: test-storm
test-storm: ## 200 adapters and 20 bases replaced in a minute under 8 streams, each answer compared to the bit; then a thousand adapters in the folder
	WEFT_LONG=1m $(GO) test -count=1 -v -timeout 20m -run '^TestSwapStorm$$|^TestLongThousandAdapters$$' ./daemon

.PHONY: test-hammer
test-hammer: ## the files of 20 models replaced, truncated, removed at random for HAMMER (the whole: 10m) under 16 clients, under the race detector; then a thousand models at once
	CGO_ENABLED=1 WEFT_HAMMER=$(HAMMER) $(GO) test -race -count=1 -v -timeout 60m -run '^TestLongHammer$$' ./daemon
	WEFT_HAMMER=$(HAMMER) $(GO) test -count=1 -v -run '^TestLongThousandModels$$' ./daemon

.PHONY: test-kills
test-kills: ## kill -9 at KILLS random moments (the whole: 1000) under load and swaps; each restart answers within a second, with its state whole
	WEFT_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 60m -run '^TestLongKills$$' ./daemon/weftd

.PHONY: fuzz
fuzz: ## every fuzz target there is; FUZZTIME (30m) is for all of them together
	@GO=$(GO) .ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## Go benchmarks of kernels, sampler and tokenizer
	$(GO) test -run '^$$' -bench . -benchtime 300ms ./kernels/... ./runtime/...

.PHONY: lint
lint: ## vet for every platform we build for, golangci-lint, formatting
	@for a in amd64 arm64; do GOARCH=$$a $(GO) vet ./... && GOARCH=$$a $(GO) vet -tags noasm,invariants ./...; done
	$(GO) vet -tags evex ./kernels/...
	$(TOOL) golangci-lint run ./...

.PHONY: fmt
fmt: ## format the code
	$(TOOL) golangci-lint fmt ./...

.PHONY: generate
generate: ## assembly from kernels/_gen
	cd kernels/_gen && $(GO) run . && $(GO) run ./neon

.PHONY: check-generate
check-generate: generate ## fail if generated files are not what the generators make
	@git diff --exit-code -- 'kernels/cpu/*/impl_*.s' 'kernels/cpu/*/stubs*.go' || { echo "generated files differ: run make generate and commit" >&2; exit 1; }

.PHONY: tidy-check
tidy-check: ## fail if go.mod or go.sum are not tidy
	$(GO) mod tidy -diff

.PHONY: testdata
testdata: ## fetch the real models and vocabularies that some tests use into .testdata (needs python3 with pip, and npm)
	.ci/testdata $(TESTDATA)

.PHONY: ci
ci: ## everything CI runs
	.ci/run

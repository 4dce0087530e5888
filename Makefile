# Everything needs Go; the race detector needs a C compiler too (Debian: build-essential). What a machine
# can't do prints one NOT RUN line and is no failure.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The race detector watches the adapters and the commands. There is nothing for it to see in core, which starts no
# goroutine, in the long simulations of it, and in e2e, which runs the program as it is built for users; all of them
# would take ten times as long.
NORACE ?= ./e2e ./internal/meshtest/... \
	./internal/{keys,readable,typo,mesh,operation/...,object,event,oplog,merge,membership,trust,token,replica}

# Tests wait on conditions with generous deadlines; this only ends one that hangs.
TEST_TIMEOUT ?= 40m

# Inputs per fuzz target in `make test`, and time per target in `make fuzz`.
FUZZ_SHORT ?= 3000x
FUZZ_LONG  ?= 10m

# How the tests build what is in tools/kubernetes, and the benchmarks what is in bench/rivals: other flags would have all of it
# compiled again.
AS_BUILT = export CGO_ENABLED=0 GOFLAGS="$$($(GO) env GOFLAGS) -trimpath"

# Time per benchmark, and a pattern to choose some (. for all); empty: those with a budget.
BENCHTIME ?= 1s
BENCH     ?=

.PHONY: help
help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## build, then three nodes on this machine tell their story
	bin/mesh demo

.PHONY: build
build: ## build bin/mesh, static, for this machine (GOOS and GOARCH choose another), and its names as kubectl's plugin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/mesh ./cmd/mesh
	@ln -sf mesh bin/kubectl-mesh
	@ln -sf mesh bin/kubectl_complete-mesh

# Where make install puts things, under DESTDIR.
PREFIX ?= /usr/local

.PHONY: install
install: ## install what make build built, with man pages and completions, under PREFIX (/usr/local)
	@test -x bin/mesh || { echo "bin/mesh is not built: make build" >&2; exit 1; }
	install -d '$(DESTDIR)$(PREFIX)'/{bin,share/man/man1,share/man/man7,share/bash-completion/completions,share/zsh/site-functions,share/fish/vendor_completions.d}
	install bin/mesh '$(DESTDIR)$(PREFIX)/bin/'
	ln -sf mesh '$(DESTDIR)$(PREFIX)/bin/kubectl-mesh'
	ln -sf mesh '$(DESTDIR)$(PREFIX)/bin/kubectl_complete-mesh'
	install -m 644 man/*.1 '$(DESTDIR)$(PREFIX)/share/man/man1/'
	install -m 644 man/*.7 '$(DESTDIR)$(PREFIX)/share/man/man7/'
	install -m 644 completions/mesh.bash '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/mesh'
	install -m 644 completions/_mesh '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/'
	install -m 644 completions/mesh.fish '$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/'

.PHONY: test
test: unit fuzz-short interop image-test ## run every test, each fuzz target for a moment, the interop program, the image

# -vet=off: vet is part of `make check`.
.PHONY: unit
unit: kubernetes-tools ## run every test, the adapters and commands with -race
	@race=-race; \
	if ! command -v "$$($(GO) env CC | cut -d' ' -f1)" >/dev/null || [ "$$($(GO) env CGO_ENABLED)" != 1 ]; then \
		race=; echo "NOT RUN: -race: it needs a C compiler and CGO_ENABLED=1; the tests run without it"; \
	fi; \
	log=$$(mktemp); trap 'rm -f "$$log"' EXIT; failed=0; \
	$(SOAKING) -timeout $(TEST_TIMEOUT) >"$$log" 2>&1 & soaking=$$!; \
	slow=$$($(GO) list $(NORACE)); \
	fast=$$(comm -23 <($(GO) list ./... | sort) <(sort <<<"$$slow")); \
	$(GO) test -vet=off -timeout $(TEST_TIMEOUT) $$race $$fast || failed=1; \
	$(GO) test -vet=off -timeout $(TEST_TIMEOUT) -skip '^TestSoak$$' $$slow || failed=1; \
	wait $$soaking || failed=1; cat "$$log"; exit $$failed

# The soak waits most of its time, so that it runs beside the other tests; what it prints comes after theirs.
SOAKING = $(GO) test ./e2e -vet=off -v -run '^TestSoak$$'

# How long make soak goes on.
SOAK ?= 2h

.PHONY: soak
soak: ## work, kill, cut off and reload three nodes for SOAK (2h), then print a table of what rose
	$(SOAKING) -timeout 0 -count=1 -soak $(SOAK)

.PHONY: kubernetes-tools
kubernetes-tools: ## build kube-apiserver, etcd, kubectl and helm for the tests, once, into the user's cache folder
	@$(GO) run ./internal/meshtest/kubetest/build

.PHONY: fuzz-short
fuzz-short: ## run each fuzz target for a moment
	@tools/fuzz.sh $(FUZZ_SHORT)

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZ_LONG (10m), then print a table; FUZZ=pattern chooses some
	@tools/fuzz.sh $(FUZZ_LONG) '$(or $(FUZZ),.)'

.PHONY: interop
interop: ## exchange operations with the real p2panda crate (needs cargo)
	@if command -v cargo >/dev/null; then interop/p2panda/run.sh; \
	else echo "NOT RUN: interop with p2panda: there is no cargo here; its vectors are part of the tests"; fi

# The name of the image that make image builds.
IMAGE ?= mesh:$(VERSION)

.PHONY: image
image: build ## build the container image IMAGE (mesh:VERSION) with buildah, out of the static binary
	tools/image.sh '$(IMAGE)'

.PHONY: image-test
image-test: build ## build the image and start what is in it (needs buildah)
	@tools/image.sh --test

.PHONY: check
check: build ## build, gofmt, vet, staticcheck, govulncheck, tidy go.mod, generated files in step; no tests
	@files=$$(gofmt -l bench cmd e2e internal interop tools); \
	if [ -n "$$files" ]; then echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool -modfile=tools/go.mod staticcheck ./...
	cd tools/kubernetes && $(AS_BUILT) && $(GO) vet ./... && $(GO) tool -modfile=../go.mod staticcheck ./...
	cd bench/rivals && $(AS_BUILT) && $(GO) vet ./... && $(GO) tool -modfile=../../tools/go.mod staticcheck ./...
	@tools/vulncheck.sh
	@tools/tidy.sh
	@tools/generated.sh

.PHONY: generate
generate: ## write what is generated: docs/cli, docs/schema, man, completions, the pages of errors, checks, keys and configuration
	$(GO) generate ./...

.PHONY: bench
bench: kubernetes-tools ## run the benchmarks, then compare with the budgets; BENCH=pattern chooses some, BENCHTIME=5s measures longer
	$(GO) run ./bench -bench '$(BENCH)' -benchtime $(BENCHTIME)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

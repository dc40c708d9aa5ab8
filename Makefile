# Everything that is built or fetched here goes below .cache; nothing else in the tree changes but by `make docs`.

.DEFAULT_GOAL := help
.PHONY: help build demo test race e2e admission interop oracle sbom-oracle conformance registries soak bench lint docs all

GO    ?= go
CACHE := $(CURDIR)/.cache
BIN   := $(CACHE)/bin
TOOLS := .ci/tools/go.mod .ci/tools/go.sum

# `...` skips testdata, so its packages are named.
FIXTURES := ./testdata/fixture ./testdata/cmd/fixture
# Where goroutines share state.
CONCURRENT := ./rebuild/image/... ./rebuild/layer ./rebuild/pkgrepo/... ./rebuild/rootfs/... ./cmd/nanopatch/internal/cache
# The packages that have tests for real tools, found by the tag.
E2E = $(sort $(dir $(shell grep -rl --include='*_test.go' '^//go:build e2e' ./cmd ./rebuild ./sbom ./sign ./testdata)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build nanopatch into .cache/bin
	$(GO) build -trimpath -ldflags='-s -w' -o $(BIN)/nanopatch ./cmd/nanopatch

demo: build ## show plan, rebuild, diff and verify on a real outdated image
	$(GO) build -o $(BIN)/fixture ./testdata/cmd/fixture
	testdata/demo.sh $(BIN)/nanopatch $(BIN)/fixture $(CACHE)/demo

test: ## run the hermetic tests: no network, no root
	$(GO) test ./rebuild/... $(FIXTURES)
	$(GO) test ./sbom/... ./sign/... ./cmd/...

race: ## run the tests of concurrent packages under the race detector (needs a C compiler)
	$(GO) test -race $(CONCURRENT)
	$(GO) test -race -run Concurrency ./sbom/licensetext

e2e: $(BIN)/cosign $(BIN)/crane $(BIN)/oras ## run the tests against real tools, repositories and chroots (needs root and .ci/run's packages)
	PATH="$(BIN):$$PATH" $(GO) test -tags e2e -count 1 -timeout 30m -p 1 $(E2E)

oracle: ## hold images of many kinds against apt-get upgrade (e2e runs three of them; needs what e2e needs)
	$(GO) test -tags e2e -v -count 1 -timeout 120m ./cmd/nanopatch/oracle -args -images=all

sbom-oracle: $(BIN)/syft $(BIN)/crane $(BIN)/oras $(BIN)/buildx $(BIN)/trivy ## hold SBOMs against the stock syft's on six images, and let docker, oras and Trivy find them (needs network, npm, the host's apt)
	PATH="$(BIN):$$PATH" $(GO) test -tags e2e -v -count 1 -timeout 60m ./cmd/nanopatch/sbomoracle
	PATH="$(BIN):$$PATH" $(GO) test -tags e2e -v -count 1 -run 'TestAttachedSBOMs|TestTrivy' ./cmd/nanopatch/e2e

conformance: $(BIN)/crane ## rebuild layers of every kind over every transport, and have other tools read them (e2e tries a few kinds)
	PATH="$(BIN):$$PATH" $(GO) test -tags e2e -v -count 1 -timeout 60m ./cmd/nanopatch/conformance -args -kinds all

registries: $(BIN)/distribution ## run the tests of registries against the distribution project's version 3, too (e2e has Debian's version 2)
	PATH="$(BIN):$$PATH" $(GO) test -tags e2e -v -count 1 -run Distribution ./rebuild/image

soak: ## make 200 runs over registries that fail, kill others, and make two at once (e2e makes a few of each)
	$(GO) test -tags e2e -v -count 1 -timeout 120m ./cmd/nanopatch/soak -args -runs 200 -kills 20 -all-pairs

admission: $(BIN)/policy-tester ## let the tester of sigstore's admission controller judge what is signed
	NANOPATCH_POLICY_TESTER=$(BIN)/policy-tester $(GO) test -tags e2e -count 1 -run TestPolicyController -v ./sign/cosign/

interop: $(BIN)/cosign $(BIN)/cosign3 ## print which signatures the stock cosign 2 and 3 and nanopatch take from each other
	PATH="$(BIN):$$PATH" NANOPATCH_COSIGN3=$(BIN)/cosign3 $(GO) test -tags e2e -count 1 -run TestInterop -v ./sign/cosign/

bench: ## run the benchmarks, the end-to-end one last
	$(GO) test -run '^$$' -bench . -benchmem ./rebuild/...
	$(GO) test -tags e2e -run '^$$' -bench . -benchtime 3x -timeout 30m ./cmd/nanopatch/...

lint: $(BIN)/golangci-lint ## check formatting, lints, import rules, go.mod and the generated pages
	$(GO) mod tidy -diff
	$(GO) vet -tags e2e ./... $(FIXTURES)
	$(BIN)/golangci-lint run ./... $(FIXTURES)
	rm -rf $(CACHE)/docs
	$(GO) run ./cmd/nanopatch/internal/gendocs $(CACHE)/docs
	diff -ru cmd/nanopatch/docs $(CACHE)/docs || { echo 'cmd/nanopatch/docs is stale: run make docs' >&2; exit 1; }

docs: ## regenerate the pages of the command line
	rm -rf cmd/nanopatch/docs
	$(GO) run ./cmd/nanopatch/internal/gendocs cmd/nanopatch/docs

all: lint test race e2e ## what CI runs

$(BIN)/golangci-lint: $(TOOLS)
	$(GO) -C .ci/tools build -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/cosign: $(TOOLS)
	$(GO) -C .ci/tools build -o $@ github.com/sigstore/cosign/v2/cmd/cosign

# A module of its own: beside cosign's and the linter's requirements neither would be built of what it was released with.
$(BIN)/syft: .ci/tools/syft/go.mod .ci/tools/syft/go.sum
	$(GO) -C .ci/tools/syft build -o $@ github.com/anchore/syft/cmd/syft

# Modules of their own, for the same reason.
$(BIN)/oras: .ci/tools/oras/go.mod .ci/tools/oras/go.sum
	$(GO) -C .ci/tools/oras build -o $@ oras.land/oras/cmd/oras

$(BIN)/distribution: .ci/tools/distribution/go.mod .ci/tools/distribution/go.sum
	$(GO) -C .ci/tools/distribution build -o $@ github.com/distribution/distribution/v3/cmd/registry

$(BIN)/buildx: .ci/tools/buildx/go.mod .ci/tools/buildx/go.sum
	$(GO) -C .ci/tools/buildx build -o $@ github.com/docker/buildx/cmd/buildx

# Trivy's own way of building itself sets the experiment, and it does not compile without.
$(BIN)/trivy: .ci/tools/trivy/go.mod .ci/tools/trivy/go.sum
	GOEXPERIMENT=jsonv2 $(GO) -C .ci/tools/trivy build -o $@ github.com/aquasecurity/trivy/cmd/trivy

# A module of its own: in one with cosign 2, that one would be built with the dependencies of cosign 3.
$(BIN)/cosign3: .ci/tools/cosign3/go.mod .ci/tools/cosign3/go.sum
	$(GO) -C .ci/tools/cosign3 build -o $@ github.com/sigstore/cosign/v3/cmd/cosign

$(BIN)/crane: $(TOOLS)
	$(GO) -C .ci/tools build -o $@ github.com/google/go-containerregistry/cmd/crane

# A module of its own, too: a Kubernetes controller's requirements are none of anybody else's.
$(BIN)/policy-tester: .ci/tools/policy/go.mod .ci/tools/policy/go.sum
	$(GO) -C .ci/tools/policy build -o $@ github.com/sigstore/policy-controller/cmd/tester

# Everything runs from a clean clone: each target makes what it needs.
GO       ?= go
# Builds, tests and checks compile alike, so that each package is compiled once
# for all of them; only runc and the race detector need cgo.
export GOFLAGS     := -trimpath $(GOFLAGS)
export CGO_ENABLED := 0
# How long tests wait for what must come, where they do not say: a second is too
# short beside a compiler.
export GOMEGA_DEFAULT_EVENTUALLY_TIMEOUT := 20s
GOOS     ?= $(shell $(GO) env GOOS)
BIN      := bin/coracle
PROGRAMS := containerd containerd-shim-runc-v2 runc bridge host-local loopback portmap pause sample
CARRIED  := $(PROGRAMS:%=carried/bin/%.gz)
NODEBIN  := build/node/bin
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
DEADCODE := golang.org/x/tools/cmd/deadcode@v0.51.0
SBOM     := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
APIDIFF  := golang.org/x/exp/cmd/apidiff@v0.0.0-20261113113407-e3970619a1a4
DEEPCOPYGEN := k8s.io/code-generator/cmd/deepcopy-gen@v0.37.2
TIMEOUT  ?= 25m
ROUNDS   ?= 50
PAIRS    ?= 0
SEED     ?= 0
TIME     ?= 30s
# What `coracle kubectl version` says of itself; a plain go build leaves it at v0.0.0.
KUBEVER  := $(shell sed -n 's/^const KubernetesVersion = "\(.*\)"/\1/p' apis/version.go)
KUBECTL  := -X k8s.io/component-base/version.gitVersion=$(KUBEVER) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(word 2,$(subst ., ,$(KUBEVER)))
# Where goroutines share memory; the race detector's own build of everything
# would not fit into CI's time.
RACE     := ./apiserver ./apiserver/ondemand ./apiserver/etcd ./apiserver/inprocess ./apiserver/connections ./apiserver/dispatch ./apiserver/auth/... ./apiserver/admission/... \
	./controllers/... ./scheduler/... ./nodeagent/simulated ./nodeagent/objects ./nodeagent/probes ./nodeagent/pods ./nodeagent/admission ./cluster/leader ./proxy/model

.PHONY: help up build test race lint apidiff coverage bench bench-compare crash fuzz verify release generate generate-config features clean packages

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t12

up: build ## Install what is missing, build bin/coracle and run a cluster here.
	$(BIN) up $(ARGS)

# Real nodes run on Linux alone.
build: $(if $(filter linux,$(GOOS)),packages $(CARRIED)) ## Build bin/coracle with everything a node needs inside.
	$(GO) build $(if $(filter linux,$(GOOS)),-tags carry) -ldflags "-s -w $(KUBECTL)" -o $(BIN) ./cmd/coracle

packages: # Debian packages that nodes and the build of runc need.
	@hack/packages.sh

# Node programs come from the module proxy, as tools of go.mod.
$(NODEBIN)/containerd $(NODEBIN)/containerd-shim-runc-v2: go.mod go.sum
	@mkdir -p $(NODEBIN)
	$(GO) build -ldflags "-s -w" -o $@ github.com/containerd/containerd/v2/cmd/$(notdir $@)
$(NODEBIN)/bridge $(NODEBIN)/loopback: go.mod go.sum
	@mkdir -p $(NODEBIN)
	$(GO) build -ldflags "-s -w" -o $@ github.com/containernetworking/plugins/plugins/main/$(notdir $@)
$(NODEBIN)/host-local: go.mod go.sum
	@mkdir -p $(NODEBIN)
	$(GO) build -ldflags "-s -w" -o $@ github.com/containernetworking/plugins/plugins/ipam/host-local
$(NODEBIN)/portmap: go.mod go.sum
	@mkdir -p $(NODEBIN)
	$(GO) build -ldflags "-s -w" -o $@ github.com/containernetworking/plugins/plugins/meta/portmap
# Without seccomp runc refuses every sandbox.
$(NODEBIN)/runc: go.mod go.sum | packages
	@mkdir -p $(NODEBIN)
	CGO_ENABLED=1 $(GO) build -tags "seccomp netgo osusergo" -ldflags "-s -w -linkmode external -extldflags -static" -o $@ github.com/opencontainers/runc
$(NODEBIN)/pause $(NODEBIN)/sample: $(NODEBIN)/%: $(wildcard cmd/pause/*.go cmd/sample/*.go)
	@mkdir -p $(NODEBIN)
	$(GO) build -ldflags "-s -w" -o $@ ./cmd/$*

carried/bin/%.gz: $(NODEBIN)/%
	@mkdir -p carried/bin
	gzip -9nc $< > $@

# make lint vets all (golangci-lint's govet), so go test need not.
test: build ## Run every test, as root with real containers.
	$(GO) test -vet=off -timeout $(TIMEOUT) ./...
	$(MAKE) race

race: ## Run the tests of the parts that share memory under the race detector.
	CGO_ENABLED=1 $(GO) test -race -vet=off -timeout $(TIMEOUT) $(RACE)

lint: ## Check format, imports between parts, other systems' types, that nothing is dead, and the stable API.
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "run gofmt"; exit 1; }
	$(GO) run ./hack/typecheck ./cmd/coracle
	hack/deadcode.sh $(DEADCODE)
	GO="$(GO)" hack/apidiff.sh $(APIDIFF)
	$(GO) run $(LINT) run

apidiff: ## Compare the API of the stable Go packages with the last tag's (docs/api.md).
	GO="$(GO)" hack/apidiff.sh $(APIDIFF)

bench: build ## Measure start, memory, throughput; JSON lines.
	$(GO) run ./test/bench $(ARGS)

bench-compare: build ## Measure bin/coracle and another binary in turn, and print ratios: OLD=path ARGS="-run start".
	$(GO) run ./test/bench -with $(OLD) $(ARGS)

coverage: ## Measure how much of each part the tests run, and write it into docs/testing.md.
	GO="$(GO)" hack/coverage.sh

crash: ## Kill the process at random points of everything and compare the end: ROUNDS=50 PAIRS=0 SEED=0 (by the time).
	$(GO) test -count 1 -timeout 0 ./test/crash -args -rounds $(ROUNDS) -pairs $(PAIRS) -seed $(SEED)

fuzz: ## Fuzz every decoder, parser and validator in turn; go test runs the kept inputs: TIME=30s (for each) ONLY=regex.
	GO="$(GO)" hack/fuzz.sh $(TIME) '$(ONLY)'

generate: generate-config ## Render the OpenAPI documents again, and what follows from the configuration's types.
	hack/generate-openapi.sh

generate-config: ## Write the configuration's deep copies, document and sample again.
	GO="$(GO)" hack/generate-config.sh $(DEEPCOPYGEN)

features: ## List Kubernetes' feature gates and kube-apiserver's flags again, and write docs/features.md and docs/kube-apiserver.md.
	cd test/conformance && $(GO) run ./features $(CURDIR)/apis/config/features/gates.csv
	$(GO) run ./test/features docs/features.md
	cd test/conformance && $(GO) run ./flags $(CURDIR)/cmd/coracle/kubeapiserver/flags.csv
	$(GO) run ./test/flags docs/kube-apiserver.md

include test/conformance/conformance.mk test/differential/differential.mk

release: ## Build the archives of a release into build/release: linux amd64 and arm64, darwin arm64, SBOMs, checksums.
	GO="$(GO)" hack/release.sh $(SBOM)

verify: test conformance-ci differential lint ## What CI runs.

clean: ## Remove what was built.
	rm -rf bin build carried/bin

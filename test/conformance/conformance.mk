# Kubernetes' own conformance suite, built from a Go module of its own so that
# nothing else depends on k8s.io/kubernetes. See test/conformance/README.md.
CONFORMANCE := build/conformance
SUITE       := test/conformance
SUITEMOD    := $(SUITE)/go.mod $(SUITE)/go.sum
SUITEGO     := cd $(SUITE) && $(GO)
SUITEVER    := $(shell sed -n 's|^\tk8s.io/kubernetes \(v[0-9.]*\)$$|\1|p' $(SUITE)/go.mod)
# Specs ask for the Pod Security fixtures of their own version, which they read from the last two.
SUITELD     := -s -w -X k8s.io/component-base/version.gitVersion=$(SUITEVER) \
	-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(word 2,$(subst ., ,$(SUITEVER)))
# Programs of the suite's images, and where their packages are.
SUITEBIN    := $(CONFORMANCE)/programs
PKG_agnhost          := k8s.io/kubernetes/test/images/agnhost
PKG_nnp              := k8s.io/kubernetes/test/images/nonewprivs
PKG_sample-apiserver := k8s.io/sample-apiserver
PKG_etcd             := go.etcd.io/etcd/server/v3
IMAGEPROGRAMS := $(addprefix $(SUITEBIN)/,agnhost busybox nnp sample-apiserver etcd pause)
# FOCUS and SKIP are regular expressions of specs, PROCS how many run at once,
# NODES=simulated needs no root, INSTANCE (0 to 15) keeps runs on one machine
# apart, KEEP=1 leaves the cluster up, CORACLE is the binary to test.
PROCS    ?= 4
INSTANCE ?= 0
CORACLE  ?= $(BIN)
RUNFLAGS  = -coracle $(CORACLE) -focus '$(FOCUS)' -skip '$(SKIP)' -procs $(PROCS) -instance $(INSTANCE) \
	$(if $(filter simulated,$(NODES)),-simulated) $(if $(KEEP),-keep)

.PHONY: conformance conformance-ci conformance-build conformance-docs conformance-test

conformance: build conformance-build ## Run Kubernetes' conformance specs: FOCUS='regex' [SKIP=] [PROCS=] [NODES=simulated] [INSTANCE=] [KEEP=1].
	$(CONFORMANCE)/run $(RUNFLAGS)

conformance-ci: build conformance-build conformance-test ## Run the conformance specs of test/conformance/ci.txt, as CI does.
	$(CONFORMANCE)/run -coracle $(CORACLE) -specs $(SUITE)/ci.txt -procs $(PROCS) -instance $(INSTANCE) -timeout 10m

conformance-docs: $(CONFORMANCE)/run ## Bring the results of runs into docs/conformance.md.
	$(CONFORMANCE)/run -docs

conformance-test: ## Test the harness itself.
	cd $(SUITE) && $(GO) vet ./... && $(GO) test ./...

conformance-build: $(CONFORMANCE)/e2e.test $(CONFORMANCE)/ginkgo $(CONFORMANCE)/run $(CONFORMANCE)/images.tar

$(CONFORMANCE)/e2e.test: $(SUITEMOD) $(SUITE)/conformance.mk
	@mkdir -p $(@D)
	$(SUITEGO) test -c -vet=off -ldflags "$(SUITELD)" -o $(CURDIR)/$@ k8s.io/kubernetes/test/e2e

$(CONFORMANCE)/ginkgo: $(SUITEMOD)
	@mkdir -p $(@D)
	$(SUITEGO) build -ldflags "-s -w" -o $(CURDIR)/$@ github.com/onsi/ginkgo/v2/ginkgo

$(CONFORMANCE)/run: $(SUITEMOD) $(wildcard $(SUITE)/run/*.go $(SUITE)/results/*.go)
	@mkdir -p $(@D)
	$(SUITEGO) build -o $(CURDIR)/$@ ./run

$(SUITEBIN)/pause: $(NODEBIN)/pause
	@mkdir -p $(@D)
	cp $< $@

$(SUITEBIN)/busybox: $(SUITE)/images/busybox.sh
	$< $@

$(SUITEBIN)/%: $(SUITEMOD)
	@mkdir -p $(@D)
	$(SUITEGO) build -ldflags "-s -w" -o $(CURDIR)/$@ $(PKG_$*)

$(CONFORMANCE)/images.tar: $(IMAGEPROGRAMS) $(wildcard $(SUITE)/images/*.go)
	cd $(SUITE) && $(GO) run ./images -programs $(CURDIR)/$(SUITEBIN) -packages $(CURDIR)/$(CONFORMANCE)/packages \
		-sources "$$($(GO) list -m -f '{{.Dir}}' k8s.io/kubernetes)/test/images" -o $(CURDIR)/$@

# Upstream's programs beside ours: kube-apiserver and kube-controller-manager come
# from the suite's module like everything of k8s.io/kubernetes. See docs/differential.md.
# N is how many requests or scripts, 20000 or 200 by default.
DIFFSEED  = $(if $(filter-out 0,$(SEED)),$(SEED),1)
UPSTREAM  = $(CONFORMANCE)/kube-apiserver $(CONFORMANCE)/kube-controller-manager

.PHONY: differential differential-controllers

differential: $(CONFORMANCE)/kube-apiserver $(SUITEBIN)/etcd ## Send random requests to upstream's API server and to ours, and compare: N=20000 SEED=1 [ARGS='-replay W:FROM-TO'].
	$(GO) build -o $(CONFORMANCE)/coracle ./cmd/coracle
	$(GO) run ./test/differential -n $(or $(N),20000) -seed $(DIFFSEED) -upstream $(CONFORMANCE)/kube-apiserver -etcd $(SUITEBIN)/etcd -coracle $(CONFORMANCE)/coracle $(ARGS)

differential-controllers: $(UPSTREAM) $(SUITEBIN)/etcd ## Play random scripts on upstream's controllers and ours, and compare at rest: N=200 SEED=1.
	cp $(SUITEBIN)/etcd $(CONFORMANCE)/etcd
	$(GO) build -o $(CONFORMANCE)/coracle ./cmd/coracle
	$(GO) run ./test/differential/controllers -n $(or $(N),200) -seed $(DIFFSEED) -programs $(CONFORMANCE) -coracle $(CONFORMANCE)/coracle $(ARGS)

$(UPSTREAM): $(CONFORMANCE)/%: $(SUITEMOD)
	@mkdir -p $(@D)
	$(SUITEGO) build -ldflags "$(SUITELD)" -o $(CURDIR)/$@ k8s.io/kubernetes/cmd/$*

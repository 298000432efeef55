# Our API server beside upstream's kube-apiserver, which comes from the suite's
# module like everything of k8s.io/kubernetes. See docs/differential.md.
N        ?= 20000
DIFFSEED  = $(if $(filter-out 0,$(SEED)),$(SEED),1)
DIFFER    = -n $(N) -seed $(DIFFSEED) -upstream $(CONFORMANCE)/kube-apiserver -etcd $(SUITEBIN)/etcd -coracle $(CONFORMANCE)/coracle

.PHONY: differential

differential: $(CONFORMANCE)/kube-apiserver $(SUITEBIN)/etcd ## Send random requests to upstream's API server and to ours, and compare: N=20000 SEED=1 [ARGS='-replay W:FROM-TO'].
	$(GO) build -o $(CONFORMANCE)/coracle ./cmd/coracle
	$(GO) run ./test/differential $(DIFFER) $(ARGS)

$(CONFORMANCE)/kube-apiserver: $(SUITEMOD)
	@mkdir -p $(@D)
	$(SUITEGO) build -ldflags "$(SUITELD)" -o $(CURDIR)/$@ k8s.io/kubernetes/cmd/kube-apiserver

package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/controllers/bootstrap"
	"github.com/coracle-k8s/coracle/controllers/certificates"
	"github.com/coracle-k8s/coracle/controllers/clusterauthentication"
	"github.com/coracle-k8s/coracle/controllers/clusterroleaggregation"
	"github.com/coracle-k8s/coracle/controllers/clustertrustbundle"
	"github.com/coracle-k8s/coracle/controllers/cronjob"
	"github.com/coracle-k8s/coracle/controllers/daemonset"
	"github.com/coracle-k8s/coracle/controllers/deployment"
	"github.com/coracle-k8s/coracle/controllers/devicetainteviction"
	"github.com/coracle-k8s/coracle/controllers/disruption"
	"github.com/coracle-k8s/coracle/controllers/endpoints"
	"github.com/coracle-k8s/coracle/controllers/endpointslice"
	"github.com/coracle-k8s/coracle/controllers/endpointslicemirroring"
	"github.com/coracle-k8s/coracle/controllers/garbagecollector"
	"github.com/coracle-k8s/coracle/controllers/horizontalpodautoscaler"
	"github.com/coracle-k8s/coracle/controllers/job"
	"github.com/coracle-k8s/coracle/controllers/namespace"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
	"github.com/coracle-k8s/coracle/controllers/nodelifecycle"
	"github.com/coracle-k8s/coracle/controllers/nodettl"
	"github.com/coracle-k8s/coracle/controllers/podgc"
	"github.com/coracle-k8s/coracle/controllers/replicaset"
	"github.com/coracle-k8s/coracle/controllers/replication"
	"github.com/coracle-k8s/coracle/controllers/resourceclaim"
	"github.com/coracle-k8s/coracle/controllers/resourcequota"
	"github.com/coracle-k8s/coracle/controllers/rootca"
	"github.com/coracle-k8s/coracle/controllers/serviceaccount"
	"github.com/coracle-k8s/coracle/controllers/serviceaccount/legacytokens"
	"github.com/coracle-k8s/coracle/controllers/serviceaccount/tokens"
	"github.com/coracle-k8s/coracle/controllers/statefulset"
	"github.com/coracle-k8s/coracle/controllers/storageversionmigration"
	"github.com/coracle-k8s/coracle/controllers/tainteviction"
	"github.com/coracle-k8s/coracle/controllers/ttlafterfinished"
)

// Retries of a failed reconcile start at 5 ms and double up to half a minute.
const minRetry, maxRetry = 5 * time.Millisecond, 30 * time.Second

type setup interface {
	SetupWithManager(manager.Manager, controller.Options) error
}

// measured is a controller with metrics of its own, under upstream's names.
type measured interface {
	Collectors() []prometheus.Collector
}

var _ = []measured{(*podgc.Reconciler)(nil), (*nodelifecycle.Reconciler)(nil), (*tainteviction.Reconciler)(nil), (*nodeipam.Reconciler)(nil)}

func (c *Cluster) addControllers(mgr *term) error {
	meta, err := metadata.NewForConfig(c.server.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a metadata client: %w", err)
	}
	metrics, err := c.metricsAPI(mgr)
	if err != nil {
		return err
	}
	kube, clk, recorder := mgr.GetClient(), c.options.clock, mgr.GetEventRecorderFor
	parts := map[string]setup{
		"deployment":              deployment.New(kube, clk, recorder("deployment-controller")),
		"replicaset":              replicaset.New(kube, clk, recorder("replicaset-controller")),
		"replication controller":  replication.New(kube, clk, recorder("replication-controller")),
		"daemonset":               daemonset.New(kube, clk, recorder("daemonset-controller")),
		"endpointslice mirroring": endpointslicemirroring.New(kube, clk, recorder("endpoint-slice-mirroring-controller")),
		"node IPAM":               c.nodeIPAM(mgr),
		"node TTL":                nodettl.New(kube),
		"bootstrap signer":        bootstrap.NewSigner(kube, clk),
		"token cleaner":           bootstrap.NewCleaner(kube, clk),
		"horizontal pod autoscaler": horizontalpodautoscaler.New(horizontalpodautoscaler.Config{
			Client: kube, Clock: clk, Recorder: recorder("horizontal-pod-autoscaler"), Metrics: metrics,
		}),
		"disruption":    disruption.New(kube, clk, recorder("controllermanager")),
		"statefulset":   statefulset.New(kube, clk, recorder("statefulset-controller")),
		"endpointslice": endpointslice.New(endpointslice.Config{Client: kube, Clock: clk, Recorder: recorder("endpoint-slice-controller")}),
		"endpoints":     endpoints.New(kube, clk, recorder("endpoint-controller")),
		"node lifecycle": nodelifecycle.New(kube, clk, recorder("node-controller"),
			nodelifecycle.Config{GracePeriod: c.config.Controllers.NodeMonitorGracePeriod.Duration, Live: mgr.GetAPIReader()}),
		"taint eviction":        tainteviction.New(kube, clk, recorder("taint-eviction-controller")),
		"pod GC":                podgc.New(kube, clk, int(c.config.Controllers.TerminatedPodThreshold)),
		"device taint eviction": devicetainteviction.New(kube, clk, recorder(devicetainteviction.Name)),
		"resource claim":        resourceclaim.New(kube, mgr.GetAPIReader(), recorder("resource_claim")),
		"job":                   job.New(kube, clk, recorder("job-controller")),
		"cronjob":               cronjob.New(kube, clk, recorder("cronjob-controller")),
		"TTL after finished":    ttlafterfinished.New(kube, clk),
		"resource quota":        resourcequota.New(kube, clk),
		"namespace":             namespace.New(namespace.Config{Client: kube, Metadata: meta, Resources: deletable{c.server}, Clock: clk}),
		"service account":       serviceaccount.New(kube),
		"service account token": tokens.New(tokens.Config{Client: kube, Live: mgr.GetAPIReader(), Tokens: legacyTokens{c.server}, CA: func() []byte { return c.serverCA }}),
		"root CA":               rootca.New(kube, rootca.Config{CA: func() []byte { return c.serverCA }}),
		"legacy token tracking": legacytokens.NewTracker(kube, clk),
		"legacy token cleaner":  legacytokens.NewCleaner(kube, clk, legacytokens.DefaultPeriod),
		"authentication config": clusterauthentication.New(kube, func() map[string]string { return c.proxyAuthentication }),
		"serving trust bundle":  clustertrustbundle.New(kube, clustertrustbundle.KubeAPIServerServing, func() []byte { return c.serverCA }),
		"CSR approving":         certificates.NewApprover(kube, clk),
		"CSR signing":           certificates.NewSigner(kube, clk, certificates.Authorities{Clients: c.pki, KubeletServing: c.nodeCA}),
		"CSR cleaning":          certificates.NewCleaner(kube, clk),
		"storage migration":     storageversionmigration.New(kube, meta, clk),
		"role aggregation":      clusterroleaggregation.New(kube),
		"garbage collector": garbagecollector.New(garbagecollector.Config{
			Client: kube, Live: mgr.GetAPIReader(), Cache: mgr.GetCache(), Recorder: recorder("garbage-collector-controller"),
			Resources: collectable{c.server}, NewQueue: newQueue[garbagecollector.Work](mgr.states),
		}),
	}
	maps.Copy(parts, c.networkControllers(mgr))
	volumes, err := c.volumeControllers(mgr)
	if err != nil {
		return err
	}
	maps.Copy(parts, volumes)
	for name, part := range parts {
		options := controller.Options{
			MaxConcurrentReconciles: int(c.config.Controllers.Concurrency),
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minRetry, maxRetry),
			NewQueue:                newQueue[reconcile.Request](mgr.states),
		}
		if err := part.SetupWithManager(mgr, options); err != nil {
			return fmt.Errorf("setting up the %s controller: %w", name, err)
		}
		if m, ok := part.(measured); ok {
			for _, collector := range m.Collectors() {
				if err := mgr.metrics.Register(collector); err != nil {
					return fmt.Errorf("registering metrics of the %s controller: %w", name, err)
				}
			}
		}
	}
	return nil
}

// legacyTokens signs for the token controller.
type legacyTokens struct{ server *apiserver.Server }

// Generate implements tokens.TokenGenerator.
func (l legacyTokens) Generate(sa *corev1.ServiceAccount, secret *corev1.Secret) (string, error) {
	return l.server.LegacyToken(sa, secret)
}

// deletable are the namespaced resources that a namespace's end deletes.
type deletable struct{ server *apiserver.Server }

// Resources implements namespace.Discoverer.
func (d deletable) Resources(context.Context) ([]namespace.Resource, error) {
	var list []namespace.Resource
	for _, r := range d.server.Served() {
		if r.Namespaced && !r.Alternative && !r.Unused && slices.Contains(r.Verbs, "delete") && slices.Contains(r.Verbs, "list") {
			list = append(list, namespace.Resource{GroupVersionResource: r.GVK.GroupVersion().WithResource(r.Plural), Collection: slices.Contains(r.Verbs, "deletecollection")})
		}
	}
	failed := map[schema.GroupVersion]error{}
	for _, gv := range d.server.Unreachable() {
		failed[gv] = fmt.Errorf("stale GroupVersion discovery: %v", gv)
	}
	if len(failed) > 0 {
		return list, &discovery.ErrGroupDiscoveryFailed{Groups: failed}
	}
	return list, nil
}

// collectable are the kinds that may own or be owned.
type collectable struct{ server *apiserver.Server }

// Kinds implements garbagecollector.Resources.
func (c collectable) Kinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for _, r := range c.server.Served() {
		event := r.GVK.Group == "" && r.GVK.Kind == "Event"
		if !event && !r.Alternative && !r.Unused && slices.Contains(r.Verbs, "delete") && slices.Contains(r.Verbs, "watch") {
			kinds = append(kinds, r.GVK)
		}
	}
	return kinds
}

// Changed implements garbagecollector.Resources.
func (c collectable) Changed() <-chan struct{} { return c.server.ServedChanged() }

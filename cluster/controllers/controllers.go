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
	// By the names of v1alpha1.ControllerNames, which configurations use.
	parts := map[string]setup{
		"deployment-controller":              deployment.New(kube, clk, recorder("deployment-controller")),
		"replicaset-controller":              replicaset.New(kube, clk, recorder("replicaset-controller")),
		"replicationcontroller-controller":   replication.New(kube, clk, recorder("replication-controller")),
		"daemonset-controller":               daemonset.New(kube, clk, recorder("daemonset-controller")),
		"endpointslice-mirroring-controller": endpointslicemirroring.New(kube, clk, recorder("endpoint-slice-mirroring-controller")),
		"node-ipam-controller":               c.nodeIPAM(mgr),
		"ttl-controller":                     nodettl.New(kube),
		"bootstrap-signer-controller":        bootstrap.NewSigner(kube, clk),
		"token-cleaner-controller":           bootstrap.NewCleaner(kube, clk),
		"horizontal-pod-autoscaler-controller": horizontalpodautoscaler.New(horizontalpodautoscaler.Config{
			Client: kube, Clock: clk, Recorder: recorder("horizontal-pod-autoscaler"), Metrics: metrics,
		}),
		"disruption-controller":    disruption.New(kube, clk, recorder("controllermanager")),
		"statefulset-controller":   statefulset.New(kube, clk, recorder("statefulset-controller")),
		"endpointslice-controller": endpointslice.New(endpointslice.Config{Client: kube, Clock: clk, Recorder: recorder("endpoint-slice-controller")}),
		"endpoints-controller":     endpoints.New(kube, clk, recorder("endpoint-controller")),
		"node-lifecycle-controller": nodelifecycle.New(kube, clk, recorder("node-controller"),
			nodelifecycle.Config{GracePeriod: c.config.Controllers.NodeMonitorGracePeriod.Duration, Live: mgr.GetAPIReader()}),
		"taint-eviction-controller":                                      tainteviction.New(kube, clk, recorder("taint-eviction-controller")),
		"pod-garbage-collector-controller":                               podgc.New(kube, clk, int(c.config.Controllers.TerminatedPodThreshold)),
		"device-taint-eviction-controller":                               devicetainteviction.New(kube, clk, recorder(devicetainteviction.Name)),
		"resourceclaim-controller":                                       resourceclaim.New(kube, mgr.GetAPIReader(), recorder("resource_claim")),
		"job-controller":                                                 job.New(kube, clk, recorder("job-controller")),
		"cronjob-controller":                                             cronjob.New(kube, clk, recorder("cronjob-controller")),
		"ttl-after-finished-controller":                                  ttlafterfinished.New(kube, clk),
		"resourcequota-controller":                                       resourcequota.New(kube, clk),
		"namespace-controller":                                           namespace.New(namespace.Config{Client: kube, Metadata: meta, Resources: deletable{c.server}, Clock: clk}),
		"serviceaccount-controller":                                      serviceaccount.New(kube),
		"serviceaccount-token-controller":                                tokens.New(tokens.Config{Client: kube, Live: mgr.GetAPIReader(), Tokens: legacyTokens{c.server}, CA: func() []byte { return c.serverCA }}),
		"root-ca-certificate-publisher-controller":                       rootca.New(kube, rootca.Config{CA: func() []byte { return c.serverCA }}),
		"legacy-serviceaccount-token-cleaner-controller":                 legacytokens.NewCleaner(kube, clk, legacytokens.DefaultPeriod),
		"kube-apiserver-serving-clustertrustbundle-publisher-controller": clustertrustbundle.New(kube, clustertrustbundle.KubeAPIServerServing, func() []byte { return c.serverCA }),
		"certificatesigningrequest-approving-controller":                 certificates.NewApprover(kube, clk),
		"certificatesigningrequest-signing-controller":                   certificates.NewSigner(kube, clk, certificates.Authorities{Clients: c.pki, KubeletServing: c.nodeCA}),
		"certificatesigningrequest-cleaner-controller":                   certificates.NewCleaner(kube, clk),
		"storage-version-migrator-controller":                            storageversionmigration.New(kube, meta, clk),
		"clusterrole-aggregation-controller":                             clusterroleaggregation.New(kube),
		"garbage-collector-controller": garbagecollector.New(garbagecollector.Config{
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
	maps.DeleteFunc(parts, func(name string, _ setup) bool { return !c.config.Controllers.Runs(name) })
	maps.Copy(parts, c.serverControllers(mgr))
	for name, part := range parts {
		options := controller.Options{
			MaxConcurrentReconciles: int(c.config.Controllers.Concurrency),
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minRetry, maxRetry),
			NewQueue:                newQueue[reconcile.Request](mgr.states),
		}
		if err := part.SetupWithManager(mgr, options); err != nil {
			return fmt.Errorf("setting up %s: %w", name, err)
		}
		if m, ok := part.(measured); ok {
			for _, collector := range m.Collectors() {
				if err := mgr.metrics.Register(collector); err != nil {
					return fmt.Errorf("registering metrics of %s: %w", name, err)
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

package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster/leader"
	base "github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
	"github.com/coracle-k8s/coracle/controllers/nodelifecycle"
	"github.com/coracle-k8s/coracle/controllers/podgc"
	"github.com/coracle-k8s/coracle/controllers/tainteviction"
)

// Retries of a failed reconcile start at 5 ms and double up to half a minute.
const minRetry, maxRetry = 5 * time.Millisecond, 30 * time.Second

// Config holds what the controllers need of their cluster. All fields are required but Cloud.
type Config struct {
	// Cluster is the configuration in force. It selects the controllers.
	Cluster *v1alpha1.Cluster
	Server  *apiserver.Server
	// Authority signs the certificates of clients, NodeAuthority those that nodes serve with.
	Authority, NodeAuthority *pki.Authority
	// ServerCA has the certificates, as PEM, that clients verify the server with.
	ServerCA []byte
	// Authentication has the data of the ConfigMap extension-apiserver-authentication.
	Authentication map[string]string
	// PodRanges has the nodes' ranges of pod addresses. ReserveJoined adds those of agents
	// that have joined and not registered yet.
	PodRanges     *nodeipam.Ranges
	ReserveJoined func(context.Context) error
	// Cloud makes the load balancers of Services if it has any; nil without a cloud.
	Cloud cloudprovider.Interface
	// Port is the API server's, which load balancers leave alone.
	Port uint16
	// OwnNode reports whether a real node is this process's own.
	OwnNode func(name string) bool
}

// setup is a controller. Its SetupWithManager adds it to a manager, with what triggers it.
type setup interface {
	SetupWithManager(manager.Manager, controller.Options) error
}

// measured is a controller with metrics of its own, under upstream's names.
type measured interface {
	Collectors() []prometheus.Collector
}

var _ = []measured{(*podgc.Reconciler)(nil), (*nodelifecycle.Reconciler)(nil), (*tainteviction.Reconciler)(nil), (*nodeipam.Reconciler)(nil)}

// entry is a controller of the list. Configurations turn it on or off by its name, which is
// in v1alpha1.ControllerNames.
type entry struct {
	name  string
	setup setup
}

// term holds what the controllers of a term are made with.
type term struct {
	Config
	*leader.Term
	deps     base.Deps
	metadata metadata.Interface
}

func newDeps(mgr manager.Manager, clk clock.WithTicker) base.Deps {
	return base.Deps{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: clk, Recorder: mgr.GetEventRecorderFor,
		Events: func(reporter string) events.EventRecorder { return mgr.GetEventRecorder(reporter) },
	}
}

// AddTo adds the controllers to a term, in the order of the list.
func (c Config) AddTo(to *leader.Term) error {
	meta, err := metadata.NewForConfig(c.Server.RESTConfig())
	if err != nil {
		return fmt.Errorf("making a metadata client: %w", err)
	}
	t := &term{Config: c, Term: to, metadata: meta, deps: newDeps(to, to.Clock())}
	entries, err := t.selected()
	if err != nil {
		return err
	}
	for _, e := range append(entries, t.ofServer()...) {
		if err := t.add(e); err != nil {
			return err
		}
	}
	return nil
}

// selected returns the controllers that the configuration turns on.
func (t *term) selected() ([]entry, error) {
	volumes, err := t.ofVolumes()
	if err != nil {
		return nil, err
	}
	workloads, err := t.ofWorkloads()
	if err != nil {
		return nil, err
	}
	var on []entry
	for _, group := range [][]entry{t.ofObjects(), t.ofAccounts(), t.ofNodes(), workloads, t.ofServices(), volumes} {
		for _, e := range group {
			if t.Cluster.Controllers.Runs(e.name) {
				on = append(on, e)
			}
		}
	}
	return on, nil
}

func (t *term) add(e entry) error {
	options := controller.Options{
		MaxConcurrentReconciles: int(t.Cluster.Controllers.Concurrency),
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minRetry, maxRetry),
		NewQueue:                leader.NewQueue[reconcile.Request](t.Term),
	}
	if err := e.setup.SetupWithManager(t.Term, options); err != nil {
		return fmt.Errorf("setting up %s: %w", e.name, err)
	}
	if m, ok := e.setup.(measured); ok {
		for _, collector := range m.Collectors() {
			if err := t.Metrics().Register(collector); err != nil {
				return fmt.Errorf("registering metrics of %s: %w", e.name, err)
			}
		}
	}
	return nil
}

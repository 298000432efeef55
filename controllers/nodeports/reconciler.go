package nodeports

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, and that of its Events' source, as upstream's.
const Name = "portallocator-repair-controller"

// Reconciler looks at all Services at once: one request stands for all.
type Reconciler struct {
	client   client.Client
	recorder events.EventRecorder
	within   Range
	errors   *prometheus.CounterVec
	told     map[wrong]bool // by the one worker alone
}

// New returns a Reconciler.
func New(d controllers.Deps, within Range) *Reconciler {
	return &Reconciler{client: d.Client, recorder: d.Events(Name), within: within, told: map[wrong]bool{}, errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "apiserver", Subsystem: "nodeport_repair", Name: "port_errors_total",
		Help: "[ALPHA] Number of errors detected on ports by the repair loop broken down by type of error: leak, repair, full, outOfRange, duplicate, unknown",
	}, []string{"type"})}
}

// Collectors returns the metrics, to be registered with the registry of the
// cluster.
func (r *Reconciler) Collectors() []prometheus.Collector { return []prometheus.Collector{r.errors} }

func portsChange() predicate.Predicate {
	of := func(o client.Object) []int32 {
		s, ok := o.(*corev1.Service)
		if !ok {
			return nil
		}
		return ports(s)
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return len(of(e.Object)) > 0 },
		UpdateFunc: func(e event.UpdateEvent) bool { return !slices.Equal(of(e.ObjectOld), of(e.ObjectNew)) },
		DeleteFunc: func(e event.DeleteEvent) bool { return len(of(e.Object)) > 0 },
	}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	var services corev1.ServiceList
	if err := r.client.List(ctx, &services, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing services: %w", err)
	}
	now := map[wrong]bool{}
	for _, f := range plan(services.Items, r.within) {
		now[f.wrong] = true
		if r.told[f.wrong] {
			continue
		}
		r.errors.WithLabelValues(f.kind).Inc()
		r.recorder.Eventf(f.of, nil, corev1.EventTypeWarning, f.reason, "PortAllocation", "%s", f.message)
	}
	r.told = now
	return reconcile.Result{}, nil
}

package serviceloadbalancer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	cloudprovider "k8s.io/cloud-provider"
	cloudapi "k8s.io/cloud-provider/api"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "service-lb-controller"

// DefaultClusterName is upstream's default of --cluster-name, an argument of balancers.
const DefaultClusterName = "kubernetes"

// Follower is a balancer whose answer for a Service may change without the
// Service or the set of nodes changing.
type Follower interface {
	cloudprovider.LoadBalancer
	// Sources wake the Services to look at again.
	Sources() []source.Source
	// Stale reports whether the balancer would answer differently from the Service's status.
	Stale(ctx context.Context, service *corev1.Service, nodes []*corev1.Node) (bool, error)
}

// Config holds the dependencies and settings of a Reconciler.
type Config struct {
	// Balancer makes load balancers; it may be a Follower. Required.
	Balancer cloudprovider.LoadBalancer
	// ClusterName is passed to Balancer. Default DefaultClusterName.
	ClusterName string
}

// Reconciler keeps the load balancer of one Service. A request names a Service.
type Reconciler struct {
	config   Config
	client   client.Client
	clock    clock.PassiveClock
	recorder record.EventRecorder
	metrics  metrics

	mu      sync.Mutex
	records map[types.NamespacedName]*memory
}

// New returns a Reconciler.
func New(d controllers.Deps, c Config) *Reconciler {
	if c.ClusterName == "" {
		c.ClusterName = DefaultClusterName
	}
	return &Reconciler{config: c, client: d.Client, clock: d.Clock, recorder: d.Recorder("service-controller"), metrics: newMetrics(), records: map[types.NamespacedName]*memory{}}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	o, err := r.observe(ctx, req.NamespacedName)
	if err != nil {
		return reconcile.Result{}, err
	}
	for _, s := range plan(o) {
		if err = r.apply(ctx, req.NamespacedName, s, o.nodes); err != nil {
			break
		}
	}
	var again *cloudapi.RetryError
	if errors.As(err, &again) {
		return reconcile.Result{RequeueAfter: again.RetryAfter()}, nil
	}
	return reconcile.Result{}, err
}

func (r *Reconciler) observe(ctx context.Context, key types.NamespacedName) (observed, error) {
	o := observed{service: &corev1.Service{}, last: r.known(key)}
	err := r.client.Get(ctx, key, o.service)
	if apierrors.IsNotFound(err) {
		o.service = nil
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("getting service %s: %w", key, err)
	}
	if !wants(o.service) {
		return o, nil
	}
	var nodes corev1.NodeList
	if err := r.client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("listing nodes: %w", err)
	}
	for i := range nodes.Items {
		if takesTraffic(&nodes.Items[i]) {
			o.nodes = append(o.nodes, &nodes.Items[i])
		}
	}
	if f, ok := r.config.Balancer.(Follower); ok {
		if o.stale, err = f.Stale(ctx, o.service, o.nodes); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (r *Reconciler) known(key types.NamespacedName) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[key]
}

// note replaces what is known of a Service; nil forgets it.
func (r *Reconciler) note(key types.NamespacedName, rec *memory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec == nil {
		delete(r.records, key)
		return
	}
	r.records[key] = rec
}

func (r *Reconciler) apply(ctx context.Context, key types.NamespacedName, s step, nodes []*corev1.Node) error {
	switch s.action {
	case ensure:
		return r.ensure(ctx, key, s.service, nodes)
	case updateHosts:
		return r.updateHosts(ctx, key, s.service, nodes)
	case remove:
		return r.remove(ctx, key, s.service)
	case discard:
		return r.discard(ctx, key, s.service)
	}
	return nil
}

func (r *Reconciler) ensure(ctx context.Context, key types.NamespacedName, svc *corev1.Service, nodes []*corev1.Node) error {
	r.metrics.syncs.Inc()
	r.recorder.Event(svc, corev1.EventTypeNormal, reasonEnsuring, messageEnsuring)
	rec := &memory{service: svc.DeepCopy(), nodes: identities(nodes)}
	r.note(key, rec)
	if err := r.setFinalizer(ctx, svc, controllerutil.AddFinalizer); err != nil {
		return r.failed(svc, fmt.Errorf("failed to add load balancer cleanup finalizer: %w", err))
	}
	if len(nodes) == 0 {
		r.recorder.Event(svc, corev1.EventTypeWarning, reasonUnavailable, messageUnavailable)
	}
	status, err := r.config.Balancer.EnsureLoadBalancer(ctx, r.config.ClusterName, svc, nodes)
	switch {
	case errors.Is(err, cloudprovider.ImplementedElsewhere):
		r.note(key, &memory{service: rec.service, nodes: rec.nodes, ensured: true})
		return nil
	case err != nil:
		// Without its load balancer a Service must not name one. Only a
		// follower's error means that there is none.
		if _, ok := r.config.Balancer.(Follower); ok {
			err = errors.Join(err, r.setStatus(ctx, svc, &corev1.LoadBalancerStatus{}))
		}
		return r.failed(svc, fmt.Errorf("failed to ensure load balancer: %w", err))
	case status == nil:
		return r.failed(svc, errors.New("service status returned by EnsureLoadBalancer is nil"))
	}
	r.recorder.Event(svc, corev1.EventTypeNormal, reasonEnsured, messageEnsured)
	if err := r.setStatus(ctx, svc, status); err != nil {
		return r.failed(svc, err)
	}
	r.note(key, &memory{service: rec.service, nodes: rec.nodes, ensured: true})
	return nil
}

func (r *Reconciler) failed(svc *corev1.Service, err error) error {
	r.recorder.Eventf(svc, corev1.EventTypeWarning, reasonSyncFailed, "Error syncing load balancer: %v", err)
	return fmt.Errorf("syncing the load balancer of service %s/%s: %w", svc.Namespace, svc.Name, err)
}

func (r *Reconciler) updateHosts(ctx context.Context, key types.NamespacedName, svc *corev1.Service, nodes []*corev1.Node) error {
	r.metrics.syncs.Inc()
	start := r.clock.Now()
	err := r.config.Balancer.UpdateLoadBalancer(ctx, r.config.ClusterName, svc, nodes)
	r.metrics.update.Observe(r.clock.Since(start).Seconds())
	// After a failure the balancer is ensured again.
	done := &memory{service: svc.DeepCopy(), nodes: identities(nodes), ensured: err == nil || errors.Is(err, cloudprovider.ImplementedElsewhere)}
	switch {
	case err == nil && len(nodes) == 0:
		r.recorder.Event(svc, corev1.EventTypeWarning, reasonUnavailable, messageUnavailable)
	case err == nil:
		r.recorder.Event(svc, corev1.EventTypeNormal, reasonUpdated, messageUpdated)
	case !done.ensured:
		_, exists, failure := r.config.Balancer.GetLoadBalancer(ctx, r.config.ClusterName, svc)
		if failure == nil && !exists {
			return nil
		}
		r.note(key, done)
		r.metrics.nodeErrors.Inc()
		r.recorder.Eventf(svc, corev1.EventTypeWarning, reasonUpdateFailed,
			"Error updating load balancer with new hosts %v [node names limited, total number of nodes: %d], error: %v", namesForEvent(nodes), len(nodes), err)
		return fmt.Errorf("updating the hosts of the load balancer of service %s: %w", key, err)
	}
	r.note(key, done)
	return nil
}

// discard takes back the load balancer of a Service that is gone.
func (r *Reconciler) discard(ctx context.Context, key types.NamespacedName, svc *corev1.Service) error {
	r.metrics.syncs.Inc()
	r.recorder.Event(svc, corev1.EventTypeNormal, reasonDeleting, messageDeleting)
	if err := r.config.Balancer.EnsureLoadBalancerDeleted(ctx, r.config.ClusterName, svc); err != nil && !errors.Is(err, cloudprovider.ImplementedElsewhere) {
		r.recorder.Eventf(svc, corev1.EventTypeWarning, reasonDeleteFailed, "Error deleting load balancer: %v", err)
		return fmt.Errorf("deleting the load balancer of service %s: %w", key, err)
	}
	r.recorder.Event(svc, corev1.EventTypeNormal, reasonDeleted, messageDeleted)
	r.note(key, nil)
	return nil
}

// remove takes back the load balancer of a Service that no longer wants it or is
// being deleted.
func (r *Reconciler) remove(ctx context.Context, key types.NamespacedName, svc *corev1.Service) error {
	r.metrics.syncs.Inc()
	_, exists, err := r.config.Balancer.GetLoadBalancer(ctx, r.config.ClusterName, svc)
	if err != nil {
		return r.failed(svc, fmt.Errorf("failed to check if load balancer exists before cleanup: %w", err))
	}
	if exists {
		r.recorder.Event(svc, corev1.EventTypeNormal, reasonDeleting, messageDeleting)
		err := r.config.Balancer.EnsureLoadBalancerDeleted(ctx, r.config.ClusterName, svc)
		if err != nil && !errors.Is(err, cloudprovider.ImplementedElsewhere) {
			return r.failed(svc, fmt.Errorf("failed to delete load balancer: %w", err))
		}
	}
	if err := client.IgnoreNotFound(r.setFinalizer(ctx, svc, controllerutil.RemoveFinalizer)); err != nil {
		return r.failed(svc, fmt.Errorf("failed to remove load balancer cleanup finalizer: %w", err))
	}
	r.recorder.Event(svc, corev1.EventTypeNormal, reasonDeleted, messageDeleted)
	if err := client.IgnoreNotFound(r.setStatus(ctx, svc, &corev1.LoadBalancerStatus{})); err != nil {
		return r.failed(svc, err)
	}
	r.note(key, nil)
	return nil
}

// setFinalizer adds or removes the finalizer; svc becomes what was written.
func (r *Reconciler) setFinalizer(ctx context.Context, svc *corev1.Service, change func(client.Object, string) bool) error {
	before := svc.DeepCopy()
	if !change(svc, Finalizer) {
		return nil
	}
	return r.client.Patch(ctx, svc, client.StrategicMergeFrom(before))
}

func (r *Reconciler) setStatus(ctx context.Context, svc *corev1.Service, status *corev1.LoadBalancerStatus) error {
	if equality.Semantic.DeepEqual(svc.Status.LoadBalancer.Ingress, status.Ingress) {
		return nil
	}
	before := svc.DeepCopy()
	svc.Status.LoadBalancer = *status
	if err := r.client.Status().Patch(ctx, svc, client.StrategicMergeFrom(before)); err != nil {
		return fmt.Errorf("failed to update load balancer status: %w", err)
	}
	return nil
}

// Package fairness puts Kubernetes' API priority and fairness before the server,
// once a request can be held back.
//
// The stock implementation watches two resources, keeps queues and rebalances
// them every ten seconds. None of that exists until the first request that a
// flow schema would hold back, which is one of a user outside system:masters, or
// the first about flow schemas and priority levels themselves. Requests of the
// parts of this process never pass here.
//
// See https://kubernetes.io/docs/concepts/cluster-administration/flow-control/.
//
// The API of this package is not stable: see docs/api.md.
package fairness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/metrics"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericapiserver "k8s.io/apiserver/pkg/server"
	genericfilters "k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/flowcontrol"
	fcmetrics "k8s.io/apiserver/pkg/util/flowcontrol/metrics"
	fcrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// Filter holds requests back and keeps the objects of priority and fairness.
// Wrap first, then Run.
type Filter struct {
	client *rest.Config
	size   func(resource string) (storage.Stats, error)
	next   http.Handler
	config *genericapiserver.Config

	// demanded is closed by the first request that wants fairness.
	demanded chan struct{}
	once     sync.Once
	// fair handles requests once there are queues.
	fair atomic.Pointer[http.Handler]
	// ensured is closed when the objects every server has are stored.
	ensured     chan struct{}
	ensuredOnce sync.Once
}

// New makes a Filter that reads and writes its objects through client, whose
// requests it must not see itself. size estimates what is stored of a resource,
// named as schema.GroupResource is printed: the work of a list.
func New(client *rest.Config, size func(resource string) (storage.Stats, error)) *Filter {
	return &Filter{client: client, size: size, demanded: make(chan struct{}), ensured: make(chan struct{})}
}

// Wrap puts the filter before next. c has the limits of requests in flight.
func (f *Filter) Wrap(next http.Handler, c *genericapiserver.Config) http.Handler {
	f.next, f.config = next, c
	return f
}

// ServeHTTP implements http.Handler.
func (f *Filter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if fair := f.fair.Load(); fair != nil {
		(*fair).ServeHTTP(w, r)
		return
	}
	about := concerns(r.Context())
	if !about && exempt(r.Context()) {
		f.next.ServeHTTP(w, r)
		return
	}
	f.once.Do(func() { close(f.demanded) })
	if about {
		select {
		case <-f.ensured:
		case <-r.Context().Done():
		}
	}
	if fair := f.fair.Load(); fair != nil {
		(*fair).ServeHTTP(w, r)
		return
	}
	// The queues are being made; this takes milliseconds.
	f.next.ServeHTTP(w, r)
}

// Ready fails while the objects that every server has are wanted and not stored.
func (f *Filter) Ready() error {
	select {
	case <-f.demanded:
	default:
		return nil
	}
	select {
	case <-f.ensured:
		return nil
	default:
		return errors.New("not finished")
	}
}

// exempt reports that the flow schemas named exempt and probes let a request
// through.
func exempt(ctx context.Context) bool {
	if info, ok := request.RequestInfoFrom(ctx); ok && !info.IsResourceRequest && slices.Contains([]string{"/healthz", "/livez", "/readyz"}, info.Path) {
		return true
	}
	u, ok := request.UserFrom(ctx)
	return ok && slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup)
}

// concerns reports that a request is about the objects of this package.
func concerns(ctx context.Context) bool {
	info, ok := request.RequestInfoFrom(ctx)
	return ok && info.IsResourceRequest && info.APIGroup == flowcontrolv1.GroupName
}

// Run waits for the first request that wants fairness and keeps it going until
// ctx is done.
func (f *Filter) Run(ctx context.Context) error {
	// Dashboards ask for these; until the queues are made nothing is in them.
	for _, phase := range []string{metrics.WaitingPhase, metrics.ExecutingPhase} {
		metrics.UpdateInflightRequestMetrics(phase, 0, 0)
	}
	select {
	case <-f.demanded:
	case <-ctx.Done():
		return nil
	}
	client, err := kubernetes.NewForConfig(f.client)
	if err != nil {
		return fmt.Errorf("making a client for API priority and fairness: %w", err)
	}
	fcmetrics.Register()
	factory := informers.NewSharedInformerFactory(client, 0)
	defer factory.Shutdown()
	objects := factory.Flowcontrol().V1()
	keeper := newKeeper(client.FlowcontrolV1(), objects)
	for _, informer := range []cache.SharedIndexInformer{objects.FlowSchemas().Informer(), objects.PriorityLevelConfigurations().Informer()} {
		if _, err := informer.AddEventHandler(keeper.handler()); err != nil {
			return fmt.Errorf("watching the objects of API priority and fairness: %w", err)
		}
	}
	control := flowcontrol.New(factory, client.FlowcontrolV1(), f.config.MaxRequestsInFlight+f.config.MaxMutatingRequestsInFlight)
	estimate := fcrequest.NewWorkEstimator(f.size, control.GetInterestedWatchCount, fcrequest.DefaultWorkEstimatorConfig(), control.GetMaxSeats)
	wait := f.config.RequestTimeout / 4
	fair := f.inTurns(genericfilters.WithPriorityAndFairness(f.next, f.config.LongRunningFunc, control, estimate, wait), wait)
	factory.StartWithContext(ctx)
	genericfilters.StartPriorityAndFairnessWatermarkMaintenance(ctx.Done())
	f.fair.Store(&fair)

	var parts sync.WaitGroup
	parts.Go(func() { keeper.run(ctx, func() { f.ensuredOnce.Do(func() { close(f.ensured) }) }) })
	err = control.Run(ctx.Done())
	parts.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

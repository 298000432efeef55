package leader

import (
	"context"
	"errors"
	"sync"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/cluster/queue"
)

// Term is the time for which this server does a duty, and the manager of the parts that do
// it. Those parts end with their term, while the manager's cache, client and other runnables
// go on. A server alone has one term; a leader of several carries nothing into its next.
type Term struct {
	manager.Manager
	logger  logr.Logger
	cache   cache.Cache
	metrics *prometheus.Registry
	states  *states

	mu    sync.Mutex
	parts []manager.Runnable
	began bool
}

// newTerm prepares for a duty.
func newTerm(c Config, d *duty) (*Term, error) {
	t := &Term{Manager: c.Manager, cache: c.Manager.GetCache(), metrics: prometheus.NewRegistry(), states: newStates(c.Clock, c.QueueName)}
	t.logger = t.states.logger(c.Logger)
	if d.election != nil {
		t.cache = &termCache{Cache: t.cache}
	}
	t.metrics.MustRegister(t.states)
	if err := d.Begin(t); err != nil {
		return nil, err
	}
	return t, nil
}

// Add implements manager.Manager.
func (t *Term) Add(r manager.Runnable) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began {
		return errors.New("adding a part to a term that has begun")
	}
	t.parts = append(t.parts, r)
	return nil
}

// GetCache implements manager.Manager.
func (t *Term) GetCache() cache.Cache { return t.cache }

// GetLogger implements manager.Manager.
func (t *Term) GetLogger() logr.Logger { return t.logger }

// GetControllerOptions implements manager.Manager.
func (t *Term) GetControllerOptions() config.Controller {
	options := t.Manager.GetControllerOptions()
	options.Logger = t.logger
	return options
}

// Clock returns the clock of the term's parts.
func (t *Term) Clock() clock.WithTicker { return t.states.clock }

// Metrics has the metrics of the term's parts, which are gone with the term.
func (t *Term) Metrics() prometheus.Registerer { return t.metrics }

// NewQueue makes the queues of a term's controllers, see controller.TypedOptions.NewQueue. They
// go by the term's clock, and the term's status and metrics include them.
func NewQueue[T comparable](t *Term) func(string, workqueue.TypedRateLimiter[T]) workqueue.TypedRateLimitingInterface[T] {
	return newQueue[T](t.states)
}

// Report adds a part with a queue of its own kind to the term's status. The part has its own
// metrics for its queue.
func (t *Term) Report(name string, numbers func() queue.Numbers) { t.states.report(name, numbers) }

// run does the duty until ctx is done or a part fails, and returns when all
// parts have ended.
func (t *Term) run(ctx context.Context) error {
	t.mu.Lock()
	t.began = true
	t.mu.Unlock()
	parts, ctx := errgroup.WithContext(ctx)
	for _, p := range t.parts {
		parts.Go(func() error { return p.Start(ctx) })
	}
	err := parts.Wait()
	if c, ok := t.cache.(*termCache); ok {
		return errors.Join(err, c.removeHandlers())
	}
	return err
}

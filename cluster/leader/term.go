package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// duty is work that one server of a cluster does for all: that of the
// controllers, or of the scheduler.
type duty struct {
	// lease is the Lease of the server that does it, component the source of its events.
	lease, component string
	// begin sets the parts up, on a term of their own.
	begin func(*term) error
	// current is the term that runs here, if any.
	current atomic.Pointer[term]
	// election elects the server that does it; nil without other servers.
	election *candidate
}

// term is the time for which this server does a duty, and the manager of the parts that do
// it. Those parts end with their term, while the manager's cache, client and other runnables
// go on. A server alone has one term; a leader of several carries nothing into its next.
type term struct {
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
func (c *Cluster) newTerm(d *duty, mgr manager.Manager) (*term, error) {
	t := &term{Manager: mgr, cache: mgr.GetCache(), metrics: prometheus.NewRegistry(), states: newStates(c.options.clock)}
	t.logger = t.states.logger(c.options.logger)
	if d.election != nil {
		t.cache = &lentCache{Cache: t.cache}
	}
	t.metrics.MustRegister(t.states)
	if err := d.begin(t); err != nil {
		return nil, err
	}
	return t, nil
}

// Add implements manager.Manager.
func (t *term) Add(r manager.Runnable) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began {
		return errors.New("adding a part to a term that has begun")
	}
	t.parts = append(t.parts, r)
	return nil
}

// GetCache implements manager.Manager.
func (t *term) GetCache() cache.Cache { return t.cache }

// GetLogger implements manager.Manager.
func (t *term) GetLogger() logr.Logger { return t.logger }

// GetControllerOptions implements manager.Manager.
func (t *term) GetControllerOptions() config.Controller {
	options := t.Manager.GetControllerOptions()
	options.Logger = t.logger
	return options
}

// run does the duty until ctx is done or a part fails, and returns when all
// parts have ended.
func (t *term) run(ctx context.Context) error {
	t.mu.Lock()
	t.began = true
	t.mu.Unlock()
	parts, ctx := errgroup.WithContext(ctx)
	for _, p := range t.parts {
		parts.Go(func() error { return p.Start(ctx) })
	}
	err := parts.Wait()
	if lent, ok := t.cache.(*lentCache); ok {
		return errors.Join(err, lent.giveBack())
	}
	return err
}

// lentCache takes its handlers back: controllers leave them with the informers,
// which outlive them.
type lentCache struct {
	cache.Cache

	mu   sync.Mutex
	lent []lentHandler
	over bool
}

type lentHandler struct {
	informer     cache.Informer
	registration toolscache.ResourceEventHandlerRegistration
}

// GetInformer implements cache.Informers.
func (c *lentCache) GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	i, err := c.Cache.GetInformer(ctx, obj, opts...)
	if err != nil {
		return nil, err
	}
	return lentInformer{i, c}, nil
}

func (c *lentCache) note(i cache.Informer, r toolscache.ResourceEventHandlerRegistration, err error) (toolscache.ResourceEventHandlerRegistration, error) {
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over { // it comes late: its controller has ended
		return r, i.RemoveEventHandler(r)
	}
	c.lent = append(c.lent, lentHandler{i, r})
	return r, nil
}

func (c *lentCache) giveBack() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	var errs []error
	for _, l := range c.lent {
		errs = append(errs, l.informer.RemoveEventHandler(l.registration))
	}
	c.lent = nil
	return errors.Join(errs...)
}

type lentInformer struct {
	cache.Informer
	cache *lentCache
}

func (i lentInformer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	r, err := i.Informer.AddEventHandler(h)
	return i.cache.note(i.Informer, r, err)
}

func (i lentInformer) AddEventHandlerWithResyncPeriod(h toolscache.ResourceEventHandler, resync time.Duration) (toolscache.ResourceEventHandlerRegistration, error) {
	r, err := i.Informer.AddEventHandlerWithResyncPeriod(h, resync)
	return i.cache.note(i.Informer, r, err)
}

func (i lentInformer) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, options toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	r, err := i.Informer.AddEventHandlerWithOptions(h, options)
	return i.cache.note(i.Informer, r, err)
}

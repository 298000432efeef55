package leader

import (
	"context"
	"errors"
	"sync"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// termCache is the manager's cache for the time of one term. It removes the event handlers
// that were added through it when the term is over: controllers never do, and the informers
// live longer than a term.
type termCache struct {
	cache.Cache

	mu       sync.Mutex
	handlers []addedHandler
	over     bool
}

type addedHandler struct {
	informer     cache.Informer
	registration toolscache.ResourceEventHandlerRegistration
}

// GetInformer implements cache.Informers.
func (c *termCache) GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	i, err := c.Cache.GetInformer(ctx, obj, opts...)
	if err != nil {
		return nil, err
	}
	return termInformer{i, c}, nil
}

// added remembers a handler. One that is added after the term, by a controller that is about
// to end, is removed at once.
func (c *termCache) added(i cache.Informer, r toolscache.ResourceEventHandlerRegistration, err error) (toolscache.ResourceEventHandlerRegistration, error) {
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return r, i.RemoveEventHandler(r)
	}
	c.handlers = append(c.handlers, addedHandler{i, r})
	return r, nil
}

func (c *termCache) removeHandlers() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	var errs []error
	for _, h := range c.handlers {
		errs = append(errs, h.informer.RemoveEventHandler(h.registration))
	}
	c.handlers = nil
	return errors.Join(errs...)
}

type termInformer struct {
	cache.Informer
	cache *termCache
}

// AddEventHandler implements cache.Informer.
func (i termInformer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	r, err := i.Informer.AddEventHandler(h)
	return i.cache.added(i.Informer, r, err)
}

// AddEventHandlerWithResyncPeriod implements cache.Informer.
func (i termInformer) AddEventHandlerWithResyncPeriod(h toolscache.ResourceEventHandler, resync time.Duration) (toolscache.ResourceEventHandlerRegistration, error) {
	r, err := i.Informer.AddEventHandlerWithResyncPeriod(h, resync)
	return i.cache.added(i.Informer, r, err)
}

// AddEventHandlerWithOptions implements cache.Informer.
func (i termInformer) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, options toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	r, err := i.Informer.AddEventHandlerWithOptions(h, options)
	return i.cache.added(i.Informer, r, err)
}

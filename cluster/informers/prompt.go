package informers

import (
	"context"
	"sync"
	"time"

	"github.com/coracle-k8s/coracle/apis/listwatch"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// promptCache is the manager's cache with prompt notice of informers that have synced.
//
// controller-runtime looks every 100 ms, at three places one after the other: the cache's
// start, a source's informer, a source's handler. Here everything has synced within a few
// milliseconds, so that looking was most of the time to the first reconcile.
type promptCache struct {
	cache.Cache

	mu        sync.Mutex
	informers map[toolscache.SharedIndexInformer]bool
	started   chan struct{}
	once      sync.Once
}

// Sharing makes the source of an informer's objects one that shares the server's.
type Sharing func(example runtime.Object, otherwise toolscache.ListerWatcherWithContext) toolscache.ListerWatcherWithContext

func newPromptCache(config *rest.Config, options cache.Options, share Sharing) (*promptCache, error) {
	options.NewInformer = share.newInformer
	inner, err := cache.New(config, options)
	if err != nil {
		return nil, err
	}
	return &promptCache{Cache: inner, informers: map[toolscache.SharedIndexInformer]bool{}, started: make(chan struct{})}, nil
}

// newInformer makes an informer that begins with a list of what the
// server's watch cache has, and not with a stream of it. Such a stream is
// consistent with etcd, which costs up to 100 ms when a watch cache was just
// opened, and is sent object by object; an informer needs neither.
func (s Sharing) newInformer(lw toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	source := s(example, draining{toolscache.ToListerWatcherWithContext(lw)})
	return toolscache.NewSharedIndexInformer(listwatch.Listing(source), example, resync, indexers)
}

// Start implements cache.Informers.
func (c *promptCache) Start(ctx context.Context) error {
	c.once.Do(func() { close(c.started) })
	return c.Cache.Start(ctx)
}

// WaitForCacheSync implements cache.Informers.
func (c *promptCache) WaitForCacheSync(ctx context.Context) bool {
	select {
	case <-c.started:
	case <-ctx.Done():
		return false
	}
	c.mu.Lock()
	var informers []toolscache.SharedIndexInformer
	for i := range c.informers {
		informers = append(informers, i)
	}
	c.mu.Unlock()
	for _, i := range informers {
		if !synced(ctx, i) {
			return false
		}
	}
	// Informers that came some other way were made by reads, which wait for them.
	return true
}

func synced(ctx context.Context, i toolscache.SharedIndexInformer) bool {
	select {
	case <-i.HasSyncedChecker().Done():
		return true
	case <-ctx.Done():
		return false
	}
}

// GetInformer implements cache.Informers.
func (c *promptCache) GetInformer(ctx context.Context, obj client.Object, opts ...cache.InformerGetOption) (cache.Informer, error) {
	var options cache.InformerGetOptions
	for _, o := range opts {
		o(&options)
	}
	informer, err := c.Cache.GetInformer(ctx, obj, append(opts, cache.BlockUntilSynced(false))...)
	if err != nil {
		return nil, err
	}
	shared, ok := informer.(toolscache.SharedIndexInformer)
	if !ok {
		return c.Cache.GetInformer(ctx, obj, opts...)
	}
	c.mu.Lock()
	c.informers[shared] = true
	c.mu.Unlock()
	if options.BlockUntilSynced == nil || *options.BlockUntilSynced {
		select {
		case <-c.started:
			if !synced(ctx, shared) {
				// The inner cache returns the error in its own words.
				return c.Cache.GetInformer(ctx, obj, opts...)
			}
		default:
		}
	}
	return promptInformer{shared}, nil
}

// IndexField implements client.FieldIndexer.
func (c *promptCache) IndexField(ctx context.Context, obj client.Object, field string, values client.IndexerFunc) error {
	// The inner cache makes the informer without asking this one.
	if _, err := c.GetInformer(ctx, obj, cache.BlockUntilSynced(false)); err != nil {
		return err
	}
	return c.Cache.IndexField(ctx, obj, field, values)
}

// RemoveInformer implements cache.Informers.
func (c *promptCache) RemoveInformer(ctx context.Context, obj client.Object) error {
	if informer, err := c.Cache.GetInformer(ctx, obj, cache.BlockUntilSynced(false)); err == nil {
		if shared, ok := informer.(toolscache.SharedIndexInformer); ok {
			c.mu.Lock()
			delete(c.informers, shared)
			c.mu.Unlock()
		}
	}
	return c.Cache.RemoveInformer(ctx, obj)
}

// promptInformer hands out prompt registrations.
type promptInformer struct{ toolscache.SharedIndexInformer }

func (i promptInformer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	return prompt(i.SharedIndexInformer.AddEventHandler(h))
}

func (i promptInformer) AddEventHandlerWithResyncPeriod(h toolscache.ResourceEventHandler, resync time.Duration) (toolscache.ResourceEventHandlerRegistration, error) {
	return prompt(i.SharedIndexInformer.AddEventHandlerWithResyncPeriod(h, resync))
}

func (i promptInformer) AddEventHandlerWithOptions(h toolscache.ResourceEventHandler, options toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	return prompt(i.SharedIndexInformer.AddEventHandlerWithOptions(h, options))
}

func (i promptInformer) RemoveEventHandler(r toolscache.ResourceEventHandlerRegistration) error {
	if p, ok := r.(promptRegistration); ok {
		r = p.ResourceEventHandlerRegistration
	}
	return i.SharedIndexInformer.RemoveEventHandler(r)
}

// promptRegistration makes a loop that polls HasSynced end when it has synced.
type promptRegistration struct {
	toolscache.ResourceEventHandlerRegistration
}

func prompt(r toolscache.ResourceEventHandlerRegistration, err error) (toolscache.ResourceEventHandlerRegistration, error) {
	if err != nil {
		return nil, err
	}
	return promptRegistration{r}, nil
}

// pollPeriod is how often client-go looks at HasSynced.
const pollPeriod = 100 * time.Millisecond

// HasSynced waits for the answer to become yes, as long as a poll would.
func (r promptRegistration) HasSynced() bool {
	timer := time.NewTimer(pollPeriod)
	defer timer.Stop()
	select {
	case <-r.HasSyncedChecker().Done():
		return true
	case <-timer.C:
		return r.ResourceEventHandlerRegistration.HasSynced()
	}
}

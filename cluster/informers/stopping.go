package informers

import (
	"context"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// UntilStopped makes newCache's caches count as synchronized once ctx ends.
//
// A manager that is stopped while its caches are not yet synchronized waits until
// they are, however long that takes, and spins meanwhile (controller-runtime
// v0.25.2, pkg/manager/runnable_group.go:203). A server that does not answer, or
// cannot read what it stores, would keep a process from ending. ctx is the one
// that the manager runs with, so all that starts after the caches ends at once.
func UntilStopped(ctx context.Context, newCache cache.NewCacheFunc) cache.NewCacheFunc {
	return func(c *rest.Config, options cache.Options) (cache.Cache, error) {
		inner, err := newCache(c, options)
		if err != nil {
			return nil, err
		}
		return untilStopped{inner, ctx}, nil
	}
}

type untilStopped struct {
	cache.Cache
	stopped context.Context
}

// WaitForCacheSync implements cache.Informers.
func (u untilStopped) WaitForCacheSync(ctx context.Context) bool {
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(u.stopped, cancel)()
	return u.Cache.WaitForCacheSync(either) || u.stopped.Err() != nil
}

package garbagecollector

import (
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// SetupWithManager adds the collector to mgr. Of opts it takes everything but
// what is typed by request: it has its own rate limiter and queue.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	concurrency := opts.MaxConcurrentReconciles
	if concurrency == 0 {
		concurrency = DefaultConcurrency
	}
	c, err := controller.NewTyped(Name, mgr, controller.TypedOptions[work]{
		SkipNameValidation:      opts.SkipNameValidation,
		MaxConcurrentReconciles: concurrency,
		CacheSyncTimeout:        opts.CacheSyncTimeout,
		RecoverPanic:            opts.RecoverPanic,
		NeedLeaderElection:      opts.NeedLeaderElection,
		Reconciler:              r,
		NewQueue:                r.config.NewQueue,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[work](5*time.Millisecond, time.Minute),
		UsePriorityQueue:        opts.UsePriorityQueue,
		Logger:                  opts.Logger,
		EnableWarmup:            opts.EnableWarmup,
		ReconciliationTimeout:   opts.ReconciliationTimeout,
	})
	if err != nil {
		return fmt.Errorf("creating controller %s: %w", Name, err)
	}
	if err := c.Watch(&graphSource{r}); err != nil {
		return fmt.Errorf("watching for controller %s: %w", Name, err)
	}
	return nil
}

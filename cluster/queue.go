package cluster

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// queueByClock makes the controllers' queues go by a clock that was given to
// the cluster: what asks to be looked at in ten minutes is, when that clock has
// moved by ten minutes. Retries of what failed and pauses stay in real time.
func queueByClock(options *controller.Options, clk clock.WithTicker) {
	if _, ok := clk.(clock.RealClock); ok {
		return // controller-runtime's own queue has priorities, and no clock
	}
	options.NewQueue = func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
		base := workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{Name: name})
		retries := workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Name: name, Queue: base})
		return &clockQueue{
			TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{DelayingQueue: retries}),
			delayed:                    workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{Queue: base, Clock: clk}),
		}
	}
}

// clockQueue adds what was asked for at a time by another clock; both feed one queue.
type clockQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	delayed workqueue.TypedDelayingInterface[reconcile.Request]
}

// shortest is the unit of all durations in the API. A shorter delay is a pause
// of the controller itself, to see several changes at once.
const shortest = time.Second

// AddAfter implements workqueue.TypedDelayingInterface.
func (q *clockQueue) AddAfter(item reconcile.Request, d time.Duration) {
	if d < shortest {
		q.TypedRateLimitingInterface.AddAfter(item, d)
		return
	}
	q.delayed.AddAfter(item, d)
}

// ShutDown implements workqueue.TypedInterface.
func (q *clockQueue) ShutDown() {
	q.delayed.ShutDown()
	q.TypedRateLimitingInterface.ShutDown()
}

package volumes

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// queue holds the pods whose contents are to be refreshed and when. It starts
// nothing: one goroutine drains it with run.
type queue struct {
	clock clock.WithTicker
	wake  chan struct{}

	mu  sync.Mutex
	due map[types.UID]time.Time
}

func newQueue(c clock.WithTicker) *queue {
	return &queue{clock: c, wake: make(chan struct{}, 1), due: map[types.UID]time.Time{}}
}

// at asks for a refresh at the time given or sooner if one is due sooner.
func (q *queue) at(uid types.UID, when time.Time) {
	q.mu.Lock()
	if old, ok := q.due[uid]; !ok || when.Before(old) {
		q.due[uid] = when
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) now(uid types.UID) { q.at(uid, q.clock.Now()) }

func (q *queue) forget(uid types.UID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.due, uid)
}

// take removes and returns what is due, and the time until the next; wait is
// negative if there is none.
func (q *queue) take() (ready []types.UID, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	wait = -1
	for uid, when := range q.due {
		if left := when.Sub(now); left <= 0 {
			ready = append(ready, uid)
			delete(q.due, uid)
		} else if wait < 0 || left < wait {
			wait = left
		}
	}
	return ready, wait
}

// run calls fn for each pod as it comes due, until stop closes.
func (q *queue) run(stop <-chan struct{}, fn func(types.UID)) {
	for {
		ready, wait := q.take()
		for _, uid := range ready {
			fn(uid)
		}
		if len(ready) > 0 {
			select {
			case <-stop:
				return
			default:
				continue
			}
		}
		var timer clock.Timer
		var rings <-chan time.Time
		if wait >= 0 {
			timer = q.clock.NewTimer(wait)
			rings = timer.C()
		}
		select {
		case <-stop:
		case <-rings:
		case <-q.wake:
		}
		if timer != nil {
			timer.Stop()
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

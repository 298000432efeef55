// Package pace spaces out the reconciles that a stream of events asks for: the
// first event after a pause is answered at once, those that follow wait so
// that many of them end in one reconcile and one status write.
//
// The API of this package is not stable: see docs/api.md.
package pace

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Pacer remembers when each object was last reconciled. All methods may be
// called concurrently.
type Pacer struct {
	clock    clock.PassiveClock
	interval time.Duration

	mu   sync.Mutex
	last map[reconcile.Request]mark
}

type mark struct {
	at       time.Time
	interval time.Duration
}

// New returns a Pacer that lets events of one object start a reconcile at most
// once per interval.
func New(clk clock.PassiveClock, interval time.Duration) *Pacer {
	return &Pacer{clock: clk, interval: interval, last: map[reconcile.Request]mark{}}
}

// Mark notes that req is being reconciled now.
func (p *Pacer) Mark(req reconcile.Request) { p.MarkFor(req, p.interval) }

// MarkFor is Mark for an object that takes so long that it should have another
// interval.
func (p *Pacer) MarkFor(req reconcile.Request, interval time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[req] = mark{p.clock.Now(), interval}
}

// Forget drops what is known of an object that is gone.
func (p *Pacer) Forget(req reconcile.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, req)
}

// Delay returns how long an event for req should wait, 0 when it need not.
func (p *Pacer) Delay(req reconcile.Request) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, ok := p.last[req]
	if !ok {
		return 0
	}
	return min(max(0, last.interval-p.clock.Since(last.at)), last.interval)
}

// Enqueue adds req to q, now or after its Delay. Both kinds of queue keep the
// earliest of several times for one request.
func (p *Pacer) Enqueue(q workqueue.TypedRateLimitingInterface[reconcile.Request], req reconcile.Request) {
	if d := p.Delay(req); d > 0 {
		q.AddAfter(req, d)
		return
	}
	q.Add(req)
}

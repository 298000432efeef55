package daemonset

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A pod that failed is deleted at once, the next one on its node a second later,
// then two, and so on up to a quarter of an hour. The delays begin again after
// twice that long without a failure, and when the set is changed.
const firstDelay, longestDelay = time.Second, 15 * time.Minute

// backoff remembers the failures of pods.
type backoff struct {
	mu  sync.Mutex
	set map[types.UID]*failures
}

type failures struct {
	generation int64
	node       map[string]failure
}

type failure struct {
	at    time.Time
	delay time.Duration
}

func newBackoff() *backoff { return &backoff{set: map[types.UID]*failures{}} }

// notBefore returns when the next failed pod may be deleted, by node.
func (b *backoff) notBefore(set types.UID, generation int64, now time.Time) map[string]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.set[set]
	if f == nil {
		return nil
	}
	out := make(map[string]time.Time, len(f.node))
	for node, last := range f.node {
		if f.generation != generation || now.Sub(last.at) > 2*longestDelay {
			delete(f.node, node)
			continue
		}
		out[node] = last.at.Add(last.delay)
	}
	return out
}

// failed notes that a failed pod was deleted on the node.
func (b *backoff) failed(set types.UID, generation int64, node string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.set[set]
	if f == nil || f.generation != generation {
		f = &failures{generation: generation, node: map[string]failure{}}
		b.set[set] = f
	}
	f.node[node] = failure{now, min(max(firstDelay, 2*f.node[node].delay), longestDelay)}
}

func (b *backoff) forget(set types.UID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.set, set)
}

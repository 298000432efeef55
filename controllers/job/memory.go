package job

import (
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// memory holds the controller's state of Jobs beyond the cache: the writes that
// the cache does not show yet, and the backoff. It is safe for concurrent use.
type memory struct {
	mu   sync.Mutex
	jobs map[types.UID]*known
}

type known struct {
	written    string              // resource version of the last status written
	untracking sets.Set[types.UID] // pods whose finalizer was removed
	backoff    Backoff
}

func newMemory() *memory { return &memory{jobs: map[types.UID]*known{}} }

func (m *memory) of(job types.UID) *known {
	r := m.jobs[job]
	if r == nil {
		r = &known{untracking: sets.New[types.UID]()}
		m.jobs[job] = r
	}
	return r
}

// current reports whether a Job read at version, and the pods read after it,
// show all that was written.
func (m *memory) current(job types.UID, version string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.jobs[job]
	return r == nil || r.untracking.Len() == 0 && !older(version, r.written)
}

// older compares resource versions, which are numbers without leading zeros.
func older(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return strings.Compare(a, b) < 0
}

func (m *memory) wrote(job types.UID, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(job).written = version
}

func (m *memory) untrack(job types.UID, pods ...types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(job).untracking.Insert(pods...)
}

// untracked records that the pod was seen without finalizer, or will not be.
func (m *memory) untracked(job, pod types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.jobs[job]; r != nil {
		r.untracking.Delete(pod)
	}
}

func (m *memory) backoff(job types.UID) Backoff {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.jobs[job]; r != nil {
		return r.backoff
	}
	return Backoff{}
}

func (m *memory) setBackoff(job types.UID, b Backoff) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.jobs[job] != nil || b != (Backoff{}) {
		m.of(job).backoff = b
	}
}

func (m *memory) forget(job types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.jobs, job)
}

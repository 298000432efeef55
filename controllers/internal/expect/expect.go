// Package expect remembers what a controller has asked of the API server and
// not yet seen in its cache, so that it never acts twice on a stale view and
// never sleeps to read its own writes.
//
// Creations are counted, because the cache may show an object before the
// create call has returned its UID; deletions are remembered by UID, because
// an object may be updated any number of times between the call and its end.
//
// The API of this package is not stable: see docs/api.md.
package expect

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
)

// Timeout is how long an expectation may stay unmet before the controller acts
// on what it sees: a lost watch event then costs time and not correctness.
const Timeout = 5 * time.Minute

// Tracker holds the expectations of one controller, keyed by the UID of the
// object that owns what is created and deleted. The zero value is not usable;
// use New. All methods may be called concurrently.
type Tracker struct {
	clock clock.PassiveClock

	mu      sync.Mutex
	byOwner map[types.UID]*expectation
}

type expectation struct {
	creations int
	deletions sets.Set[types.UID]
	since     time.Time
}

// New returns an empty Tracker.
func New(clk clock.PassiveClock) *Tracker {
	return &Tracker{clock: clk, byOwner: map[types.UID]*expectation{}}
}

// ExpectCreations records that n objects are about to be created for owner. It
// must precede the creations.
func (t *Tracker) ExpectCreations(owner types.UID, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renew(owner).creations += n
}

// ExpectDeletions records that the objects with these UIDs are about to be
// deleted for owner. It must precede the deletions.
func (t *Tracker) ExpectDeletions(owner types.UID, uids ...types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renew(owner).deletions.Insert(uids...)
}

func (t *Tracker) renew(owner types.UID) *expectation {
	e := t.byOwner[owner]
	if e == nil || t.expired(e) {
		e = &expectation{deletions: sets.New[types.UID]()}
		t.byOwner[owner] = e
	}
	e.since = t.clock.Now()
	return e
}

// CreationsObserved takes back n expected creations: they were seen in the
// cache, or they failed.
func (t *Tracker) CreationsObserved(owner types.UID, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byOwner[owner]; e != nil {
		e.creations = max(0, e.creations-n)
		t.forgetIfMet(owner, e)
	}
}

// DeletionObserved takes back an expected deletion: the object was seen
// terminating or gone, or deleting it failed.
func (t *Tracker) DeletionObserved(owner, uid types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.byOwner[owner]; e != nil {
		e.deletions.Delete(uid)
		t.forgetIfMet(owner, e)
	}
}

func (t *Tracker) forgetIfMet(owner types.UID, e *expectation) {
	if e.met() {
		delete(t.byOwner, owner)
	}
}

// Satisfied reports whether the cache shows everything that was asked for
// owner, or waiting for it has lasted longer than Timeout.
func (t *Tracker) Satisfied(owner types.UID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byOwner[owner]
	return e == nil || e.met() || t.expired(e)
}

// Forget drops what was expected for an owner that is gone.
func (t *Tracker) Forget(owner types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byOwner, owner)
}

func (e *expectation) met() bool { return e.creations == 0 && e.deletions.Len() == 0 }

func (t *Tracker) expired(e *expectation) bool { return t.clock.Since(e.since) > Timeout }

package storage

import (
	"context"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/storage"
	fcrequest "k8s.io/apiserver/pkg/util/flowcontrol/request"
	"k8s.io/utils/clock"
)

const (
	// sizeAge limits the age of an estimate. Upstream polls every storage once a minute. Here
	// the next list renews the estimate, so that kinds that are never listed cost nothing.
	sizeAge = 10 * time.Second
	// sizePatience bounds the count of a storage without a watch cache.
	sizePatience = time.Second
)

// statser is the part of storage.Interface that estimates.
type statser interface {
	Stats(context.Context) (storage.Stats, error)
}

// sizes estimates the size of the open storages, from which priority and
// fairness computes the work of a list.
type sizes struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	of    map[string]*size
}

// size is the estimate of one storage.
type size struct {
	storage statser

	refresh sync.Mutex // held by the request that asks the storage
	mu      sync.Mutex
	at      time.Time
	stats   storage.Stats
	known   bool
}

func newSizes(c clock.PassiveClock) *sizes { return &sizes{clock: c, of: map[string]*size{}} }

// add estimates a resource's storage until remove. Where there are several, as of
// the versions of a custom resource, the one that was opened last is asked.
func (s *sizes) add(resource string, of statser) (remove func()) {
	added := &size{storage: of}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[resource] = added
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.of[resource] == added {
			delete(s.of, resource)
		}
	}
}

// get returns the estimate of a resource. Requests do not wait for one that
// another request refreshes.
func (s *sizes) get(resource string) (storage.Stats, error) {
	s.mu.Lock()
	z := s.of[resource]
	s.mu.Unlock()
	if z == nil {
		return storage.Stats{}, fcrequest.ObjectCountNotFoundErr
	}
	if now := s.clock.Now(); z.older(now.Add(-sizeAge)) && z.refresh.TryLock() {
		defer z.refresh.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), sizePatience)
		defer cancel()
		stats, err := z.storage.Stats(ctx)
		z.set(now, stats, err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if !z.known {
		return storage.Stats{}, fcrequest.ObjectCountNotFoundErr
	}
	return z.stats, nil
}

func (z *size) older(than time.Time) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.at.Before(than)
}

// set keeps the last estimate if there is no new one, as when a watch cache is
// not filled yet.
func (z *size) set(at time.Time, stats storage.Stats, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.at = at
	if err == nil {
		z.stats, z.known = stats, true
	}
}

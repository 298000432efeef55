// Package slowstart runs many calls of one kind without flooding a server that
// refuses them: first one, then twice as many after each batch that succeeded.
//
// The API of this package is not stable: see docs/api.md.
package slowstart

import (
	"sync"
)

// Width is how many calls of one batch run at the same time. In process a call
// is a few hundred microseconds of CPU and an fsync that etcd shares among
// concurrent writers, so more than this gains nothing.
const Width = 64

// Run calls fn n times in batches of 1, 2, 4 and so on, the calls of a batch
// concurrently, and stops after the first batch in which one failed. It
// returns how many calls were made, how many of them succeeded, and the first
// error. fn gets the number of its call, from 0.
func Run(n int, fn func(i int) error) (called, succeeded int, err error) {
	for size := 1; called < n; size *= 2 {
		size = min(size, n-called)
		ok, batchErr := batch(called, size, fn)
		called += size
		succeeded += ok
		if batchErr != nil {
			return called, succeeded, batchErr
		}
	}
	return called, succeeded, nil
}

// All calls fn n times, at most Width at a time, whatever fails. It returns
// how many calls succeeded and the first error.
func All(n int, fn func(i int) error) (succeeded int, err error) {
	return batch(0, n, fn)
}

func batch(from, size int, fn func(i int) error) (succeeded int, first error) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next = from
	)
	work := func() {
		for {
			mu.Lock()
			i := next
			next++
			mu.Unlock()
			if i >= from+size {
				return
			}
			err := fn(i)
			mu.Lock()
			if err == nil {
				succeeded++
			} else if first == nil {
				first = err
			}
			mu.Unlock()
		}
	}
	for range min(size, Width) {
		wg.Go(work)
	}
	wg.Wait()
	return succeeded, first
}

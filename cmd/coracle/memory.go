package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// startPercent is the garbage collector's percentage while starting: off. A
	// start allocates much and keeps most of it.
	startPercent = -1
	// runPercent is the percentage afterwards. Much of what a request
	// allocates is dropped with it: a lower one costs a quarter of the CPU time.
	runPercent = 150
	// look is how often a running process looks at itself.
	look = 5 * time.Second
	// quietBelow is how much a process that has nothing to do allocates between
	// two looks, and worthwhile how much garbage is worth collecting for. Both
	// grow with what is in use, by these shares of it: thousands of nodes renew
	// their leases, and a collection takes time for every object in use.
	quietBelow, worthwhile           = 4 << 20, 6 << 20
	quietBelowShare, worthwhileShare = 4, 2
)

// tendMemory runs until ctx is done. The collector lets the heap grow to a
// multiple of what is used, which is right for a process that works; one that
// went quiet gives what it does not use back to the system.
func tendMemory(ctx context.Context) {
	debug.SetGCPercent(runPercent)
	tick := time.NewTicker(look)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	var last, trimmed uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(sample)
		now, live := sample[0].Value.Uint64(), sample[1].Value.Uint64()
		if now-last < max(quietBelow, live/quietBelowShare) && now-trimmed >= max(worthwhile, live/worthwhileShare) {
			debug.FreeOSMemory()
			dropText()
			trimmed = now
		}
		last = now
	}
}

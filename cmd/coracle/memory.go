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
	// quietPercent is that of a process that uses more than large, and allocates
	// little of that between two looks: collections are rare then, and what they
	// leave uncollected is hundreds of megabytes.
	quietPercent      = 60
	large, quietShare = 256 << 20, 6
	// look is how often a running process looks at itself.
	look = 5 * time.Second
	// quietBelow is how much a process that has nothing to do allocates between
	// two looks, and worthwhile how much garbage is worth collecting for.
	quietBelow, worthwhile = 4 << 20, 6 << 20
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
	percent := runPercent
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(sample)
		now, live := sample[0].Value.Uint64(), sample[1].Value.Uint64()
		wanted := runPercent
		if live > large && now-last < live/quietShare {
			wanted = quietPercent
		}
		calmed := wanted < percent
		if wanted != percent {
			percent = wanted
			debug.SetGCPercent(percent)
		}
		if calmed || now-last < quietBelow && now-trimmed >= worthwhile {
			debug.FreeOSMemory()
			dropText()
			trimmed = now
		}
		last = now
	}
}

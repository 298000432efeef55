package storage

import (
	"time"

	"k8s.io/utils/clock"
)

const (
	// progressPeriod is the interval at which a watch cache requests etcd's
	// progress while a consistent read waits for it: k8s.io/apiserver's constant.
	progressPeriod = 100 * time.Millisecond
	// eagerPeriod replaces it. Asking an etcd in this process is a function
	// call, and every consistent list after another kind's write waits for it.
	eagerPeriod = 2 * time.Millisecond
)

// eager is the clock of watch caches: it shortens the one timer that they set
// for progressPeriod, which runs only while a read waits.
type eager struct{ clock.WithTicker }

// NewTimer implements clock.Clock.
func (e eager) NewTimer(d time.Duration) clock.Timer {
	if d != progressPeriod {
		return e.WithTicker.NewTimer(d)
	}
	return eagerTimer{e.WithTicker.NewTimer(eagerPeriod)}
}

type eagerTimer struct{ clock.Timer }

// Reset implements clock.Timer; a reset to nothing stays one.
func (t eagerTimer) Reset(d time.Duration) bool { return t.Timer.Reset(min(d, eagerPeriod)) }

package pod

import (
	"math"
	"testing"
	"time"
)

func TestSeconds(t *testing.T) {
	const longest = math.MaxInt64 / time.Second * time.Second
	for n, want := range map[int64]time.Duration{
		0: 0, 30: 30 * time.Second, -1: -time.Second, math.MaxInt32: math.MaxInt32 * time.Second,
		1e10: longest, math.MaxInt64: longest, math.MinInt64: -longest,
	} {
		if got := Seconds(n); got != want {
			t.Errorf("%d seconds are %v, not %v", n, got, want)
		}
	}
}

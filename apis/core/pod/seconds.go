package pod

import (
	"math"
	"time"
)

// Seconds returns n seconds. More than a Duration holds, 292 years, is the longest
// Duration, and not one that is over: a field of seconds may have any number.
func Seconds(n int64) time.Duration {
	const most = int64(math.MaxInt64 / time.Second)
	return time.Duration(min(max(n, -most), most)) * time.Second
}

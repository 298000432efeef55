package apiserver

import (
	"testing"
	"time"
)

func TestWithinLeavesWhatHangs(t *testing.T) {
	if !within(time.Hour, func() {}) {
		t.Error("what ends at once has not ended within an hour")
	}
	hangs, ended := make(chan struct{}), make(chan struct{})
	if within(10*time.Millisecond, func() { <-hangs; close(ended) }) {
		t.Error("what hangs has ended")
	}
	close(hangs)
	<-ended
}

package slowstart

import (
	"errors"
	"sync/atomic"
	"testing"
)

func TestRunStopsAfterTheFirstFailingBatch(t *testing.T) {
	boom := errors.New("boom")
	for _, tc := range []struct {
		name              string
		n                 int
		failFrom          int
		called, succeeded int
		wantErr           bool
	}{
		{"nothing", 0, 0, 0, 0, false},
		{"all succeed", 1000, 1000, 1000, 1000, false},
		{"the first fails", 1000, 0, 1, 0, true},
		{"the second batch fails", 1000, 2, 3, 2, true},
		{"the last batch is short", 5, 4, 5, 4, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var calls atomic.Int64
			called, succeeded, err := Run(tc.n, func(i int) error {
				calls.Add(1)
				if i >= tc.failFrom {
					return boom
				}
				return nil
			})
			if called != tc.called || succeeded != tc.succeeded || (err != nil) != tc.wantErr {
				t.Errorf("got called %d, succeeded %d, err %v; want %d, %d, %v", called, succeeded, err, tc.called, tc.succeeded, tc.wantErr)
			}
			if int(calls.Load()) != called {
				t.Errorf("%d calls were made, %d reported", calls.Load(), called)
			}
		})
	}
}

func TestAllCallsEveryIndexOnce(t *testing.T) {
	var seen [200]atomic.Int32
	n, err := All(len(seen), func(i int) error {
		seen[i].Add(1)
		if i%2 == 1 {
			return errors.New("odd")
		}
		return nil
	})
	if n != 100 || err == nil {
		t.Errorf("got %d, %v; want 100 successes and an error", n, err)
	}
	for i := range seen {
		if seen[i].Load() != 1 {
			t.Errorf("index %d called %d times", i, seen[i].Load())
		}
	}
}

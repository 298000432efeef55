package storageversionmigration

import (
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	storagemigrationv1 "k8s.io/api/storagemigration/v1"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// The conditions of migrations that go on and end at random.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for n := range 6 {
		m := &storagemigrationv1.StorageVersionMigration{}
		at := time.Unix(1_700_000_000, 0).UTC()
		r.Say("%d", n)
		for total := r.IntN(50); !ended(m); at = at.Add(time.Second) {
			switch r.IntN(5) {
			case 0:
				succeeded(m, at)
			case 1:
				failed(m, at, errors.New("no"))
			case 2:
				running(m, r.IntN(total+1), total, at, errors.New("try later"))
			default:
				running(m, r.IntN(total+1), total, at, nil)
			}
			for _, c := range m.Status.Conditions {
				r.Say("  %s", fmt.Sprintf("%s=%s since %s %s: %s", c.Type, c.Status, c.LastTransitionTime.Format("05"), c.Reason, c.Message))
			}
			r.Say("  --")
		}
	}
	golden.Check(t, *rewrite, "conditions", r.String())
}

// An object is old if its version, as a number, is not after the beginning.
func TestOldAgainstNumbers(t *testing.T) {
	r := golden.NewRandom(2)
	for range 500 {
		a, b := 1+r.IntN(2000), 1+r.IntN(2000)
		got, err := old(fmt.Sprint(a), fmt.Sprint(b))
		if err != nil || got != (a <= b) {
			t.Errorf("%d and %d: %t, %v", a, b, got, err)
		}
	}
	if _, err := old("x", "1"); err == nil {
		t.Error("a version that is no number compares")
	}
}

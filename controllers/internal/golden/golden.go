// Package golden compares transcripts with those that were reviewed. Tests
// alone use it. A package's tests declare
//
//	var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")
//
// and `go test -rewrite` writes what there is now, for the diff to be reviewed.
//
// The API of this package is not stable: see docs/api.md.
package golden

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Check compares got with testdata/name.golden, which it writes first if rewrite is set.
func Check(t *testing.T, rewrite bool, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if rewrite {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("transcript differs (-want +got); after a review run with -rewrite:\n%s", diff)
	}
}

// Random is a source of inputs, and the transcript of what comes of them.
type Random struct {
	*rand.Rand
	log strings.Builder
}

// NewRandom returns the source of a seed; equal seeds give equal inputs.
func NewRandom(seed uint64) *Random { return &Random{Rand: rand.New(rand.NewPCG(seed, seed))} } //nolint:gosec // the same worlds each time

// Say adds a line to the transcript.
func (r *Random) Say(format string, args ...any) { fmt.Fprintf(&r.log, format+"\n", args...) }

// String returns the transcript.
func (r *Random) String() string { return r.log.String() }

// Chance is true once in n times.
func (r *Random) Chance(n int) bool { return r.IntN(n) == 0 }

// Pick returns one of its arguments.
func Pick[T any](r *Random, of ...T) T { return of[r.IntN(len(of))] }

// Maybe returns a pointer to v half of the time, else nil.
func Maybe[T any](r *Random, v T) *T {
	if r.Chance(2) {
		return nil
	}
	return &v
}

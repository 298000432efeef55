package job

import (
	"math/rand"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/utils/ptr"
)

// TestIndexesAgainstSets compares with a plain set of integers.
func TestIndexesAgainstSets(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	const completions = 40
	some := func() (Indexes, map[int]bool) {
		set := map[int]bool{}
		for range random.Intn(25) {
			set[random.Intn(completions)] = true
		}
		var list []int
		for i := range set {
			list = append(list, i)
		}
		return Indexes(nil).With(list), set
	}
	for range 500 {
		x, a := some()
		y, b := some()
		common, union := 0, x.Union(y)
		var missing []int
		for i := range completions {
			if a[i] && b[i] {
				common++
			}
			if union.Has(i) != (a[i] || b[i]) {
				t.Fatalf("union of %q and %q is %q: wrong about %d", x, y, union, i)
			}
			if !a[i] && len(missing) < 7 {
				missing = append(missing, i)
			}
		}
		if x.Common(y) != common || x.Len() != len(a) {
			t.Fatalf("%q and %q: %d in common, want %d; %d in the first, want %d", x, y, x.Common(y), common, x.Len(), len(a))
		}
		if got := x.FirstMissing(7, completions); !slices.Equal(got, missing) {
			t.Fatalf("%q misses %v, want %v", x, got, missing)
		}
		if again := ParseIndexes(x.String(), completions); !slices.Equal(again, x) && len(x) > 0 {
			t.Fatalf("%q read again is %q", x, again)
		}
	}
}

func TestParseIndexes(t *testing.T) {
	for text, want := range map[string]string{"": "", "1,2,3": "1-3", "1-3,5": "1-3,5", "x,4": "4", "8-20": "8,9", "12": "", "0,1": "0,1"} {
		if got := ParseIndexes(text, 10).String(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestSuccessMet(t *testing.T) {
	policy := &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{
		{SucceededIndexes: ptr.To("0,5-9"), SucceededCount: ptr.To(int32(3))}, {SucceededIndexes: ptr.To("1-2")}, {SucceededCount: ptr.To(int32(8))}}}
	for done, want := range map[string]string{"": "", "0,5": "", "0,5,7": "Matched rules at index 0", "1-2,9": "Matched rules at index 1", "1,3-4": "", "0-7": "Matched rules at index 0"} {
		if got, _ := successMet(policy, 10, ParseIndexes(done, 10)); got != want {
			t.Errorf("%q: got %q, want %q", done, got, want)
		}
	}
}

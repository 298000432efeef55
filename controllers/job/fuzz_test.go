package job

import (
	"slices"
	"testing"
)

// FuzzParseIndexes reads sets of completion indexes of a status and compares them
// with plain lists of numbers.
func FuzzParseIndexes(f *testing.F) {
	for _, text := range []string{"", "1,3-5,7,8", "5-3", "3,1", "-1", "1--3", "1-99999999999", "99999999999", "a,2", "2,2-3,3", "+1", "0-9"} {
		f.Add(text, "2-4", 10)
		f.Add(text, "", 0)
	}
	f.Fuzz(func(t *testing.T, one, two string, completions int) {
		if completions < 0 || completions > 200 {
			return
		}
		x, y := ParseIndexes(one, completions), ParseIndexes(two, completions)
		list := func(x Indexes) (out []int) {
			for i := range completions {
				if x.Has(i) {
					out = append(out, i)
				}
			}
			return out
		}
		a, b := list(x), list(y)
		if x.Len() != len(a) {
			t.Fatalf("%q of %d has %d indexes: %v", one, completions, x.Len(), a)
		}
		if same := ParseIndexes(x.String(), completions); same.String() != x.String() {
			t.Errorf("%q reads %v, then %v", one, x, same)
		}
		both := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(a), b...))))
		if got := list(x.Union(y)); !slices.Equal(got, both) {
			t.Errorf("the union of %v and %v is %v", a, b, got)
		}
		if got := x.Common(y); got != len(a)+len(b)-len(both) {
			t.Errorf("%v and %v have %d in common", a, b, got)
		}
		if got := x.FirstMissing(completions+1, completions); len(got)+len(a) != completions {
			t.Errorf("%v lack %v of %d", a, got, completions)
		}
	})
}

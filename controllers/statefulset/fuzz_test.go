package statefulset

import (
	"fmt"
	"testing"
)

// FuzzParse takes names of pods apart.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"", "-", "a-0", "a-b-12", "a--1", "a-01", "a-2147483648", "a-99999999999999999999", "a-+1", "-7", "a-\u0661"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		set, ordinal := parse(name)
		if ordinal < -1 {
			t.Errorf("%q has ordinal %d", name, ordinal)
		}
		if ordinal < 0 {
			return
		}
		if again, same := parse(fmt.Sprintf("%s-%d", set, ordinal)); again != set || same != ordinal {
			t.Errorf("%q is %d of %q, then %d of %q", name, ordinal, set, same, again)
		}
	})
}

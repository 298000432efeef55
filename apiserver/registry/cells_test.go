package registry

import "testing"

func TestFirstOf(t *testing.T) {
	for _, c := range []struct {
		items []string
		want  string
	}{
		{nil, "<unset>"}, {[]string{""}, "<unset>"}, {[]string{"a"}, "a"}, {[]string{"a", "b", "c"}, "a,b,c"}, {[]string{"a", "b", "c", "d", "e"}, "a,b,c + 2 more..."},
	} {
		if got := FirstOf(c.items, "<unset>"); got != c.want {
			t.Errorf("%q: %q, want %q", c.items, got, c.want)
		}
	}
}

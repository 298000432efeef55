package slicecount

import (
	"slices"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// slice has a name, a port and endpoints: those with a mark are not ready.
func slice(name string, port int32, addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, Ports: []discoveryv1.EndpointPort{{Port: &port}}}
	for _, a := range addresses {
		ready := a[0] != '!'
		if !ready {
			a = a[1:]
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(ready)}})
	}
	return s
}

func TestMoves(t *testing.T) {
	type list = []*discoveryv1.EndpointSlice
	for name, c := range map[string]struct {
		before, after list
		want          [3]int
	}{
		"nothing":           {},
		"new":               {nil, list{slice("a", 80, "1", "2")}, [3]int{2, 0, 0}},
		"gone":              {list{slice("a", 80, "1", "2")}, nil, [3]int{0, 0, 2}},
		"as it was":         {list{slice("a", 80, "1")}, list{slice("a", 80, "1")}, [3]int{}},
		"no longer ready":   {list{slice("a", 80, "1", "2")}, list{slice("a", 80, "1", "!2")}, [3]int{0, 1, 0}},
		"to another slice":  {list{slice("a", 80, "1"), slice("b", 80, "2")}, list{slice("b", 80, "1", "2")}, [3]int{}},
		"another port":      {list{slice("a", 80, "1")}, list{slice("a", 81, "1")}, [3]int{1, 0, 1}},
		"one for the other": {list{slice("a", 80, "1")}, list{slice("a", 80, "2")}, [3]int{1, 0, 1}},
	} {
		added, updated, removed := Moves(c.before, c.after)
		if got := [3]int{added, updated, removed}; got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestFewest(t *testing.T) {
	k := Kept{PerSlice: 2}
	of := func(all ...*discoveryv1.EndpointSlice) (n int) {
		var list []discoveryv1.EndpointSlice
		for _, s := range all {
			list = append(list, *s)
		}
		return k.fewest(list)
	}
	for _, c := range []struct{ got, want int }{
		{of(), 0},
		{of(slice("a", 80)), 1},
		{of(slice("a", 80, "1"), slice("b", 80, "2")), 1},
		{of(slice("a", 80, "1", "2"), slice("b", 80, "3")), 2},
		{of(slice("a", 80, "1"), slice("b", 81, "2")), 2},
	} {
		if c.got != c.want {
			t.Errorf("%d, want %d", c.got, c.want)
		}
	}
}

func TestRewritten(t *testing.T) {
	a, b, c := slice("a", 1), slice("b", 1), slice("c", 1)
	have := []*discoveryv1.EndpointSlice{a, b, c}
	if got := Rewritten(have, []*discoveryv1.EndpointSlice{c}, []*discoveryv1.EndpointSlice{slice("a", 2), slice("d", 2)}); !slices.Equal(got, []*discoveryv1.EndpointSlice{a, c}) {
		t.Errorf("%v", got)
	}
}

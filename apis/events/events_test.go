package events

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/randfill"
)

// TestRoundTrip loses nothing either way.
func TestRoundTrip(t *testing.T) {
	s := runtime.NewScheme()
	if err := Install(s); err != nil {
		t.Fatal(err)
	}
	fill := randfill.NewWithSeed(1).NilChance(0.2).MaxDepth(6)
	for range 200 {
		var in corev1.EventList
		fill.Fill(&in.Items)
		var newer eventsv1.EventList
		var out corev1.EventList
		if err := s.Convert(&in, &newer, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Convert(&newer, &out, nil); err != nil {
			t.Fatal(err)
		}
		if in.Items == nil {
			in.Items = []corev1.Event{}
		}
		for i := range in.Items {
			in.Items[i].TypeMeta = out.Items[i].TypeMeta
		}
		if diff := cmp.Diff(in, out); diff != "" {
			t.Fatal(diff)
		}
	}
}

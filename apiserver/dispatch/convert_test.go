package dispatch

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis"
)

// TestConvert asks for what webhooks do: an object in its own version, and in
// another group's.
func TestConvert(t *testing.T) {
	c := convertor{apis.NewScheme()}
	in := &corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}, ObjectMeta: metav1.ObjectMeta{Name: "e"}, Message: "m"}
	same := &corev1.Event{}
	if err := c.Convert(in, same, nil); err != nil || same.Message != "m" || same.Kind != "" {
		t.Errorf("to itself: %v, %v", same, err)
	}
	other := &eventsv1.Event{}
	if err := c.Convert(in, other, nil); err != nil || other.Note != "m" {
		t.Errorf("to another group: %v, %v", other, err)
	}
	if err := c.Convert(in, &corev1.Pod{}, nil); err == nil {
		t.Error("an event became a pod")
	}
}

package dispatch

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
)

// TestOwnTypes checks that an Event is registered only under the group that serves it.
func TestOwnTypes(t *testing.T) {
	core := &corev1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Event"}}
	events := &eventsv1.Event{TypeMeta: metav1.TypeMeta{APIVersion: "events.k8s.io/v1", Kind: "Event"}}
	pod := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}}
	types := ownTypes{managedfields.NewDeducedTypeConverter(), eventsv1.SchemeGroupVersion.WithKind("Event")}
	for obj, known := range map[runtime.Object]bool{core: false, events: true, pod: true} {
		if _, err := types.ObjectToTyped(obj); (err == nil) != known || !known && !runtime.IsNotRegisteredError(err) {
			t.Errorf("%s: %v", obj.GetObjectKind().GroupVersionKind(), err)
		}
	}
}

package hub_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/hub"
)

func TestAdd(t *testing.T) {
	s := runtime.NewScheme()
	if err := corev1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := hub.Add(s, corev1.SchemeGroupVersion); err != nil {
			t.Fatal(err)
		}
	}
	internal := schema.GroupVersion{Version: runtime.APIVersionInternal}
	if !s.Recognizes(internal.WithKind("Pod")) || !s.Recognizes(internal.WithKind("PodList")) {
		t.Error("the hub does not know Pod and PodList")
	}
	for _, kind := range []string{"ListOptions", "DeleteOptions", "Status"} {
		if s.Recognizes(internal.WithKind(kind)) {
			t.Errorf("the hub knows %s, a kind of apimachinery", kind)
		}
	}
	pod := &corev1.Pod{}
	out, err := s.UnsafeConvertToVersion(pod, internal)
	if err != nil {
		t.Fatal(err)
	}
	if out != runtime.Object(pod) {
		t.Error("converting to the hub copied the object")
	}
}

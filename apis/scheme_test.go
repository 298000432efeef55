package apis_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis"
)

func TestNewScheme(t *testing.T) {
	s := apis.NewScheme()
	for _, gvk := range []schema.GroupVersionKind{
		{Version: "v1", Kind: "Pod"}, {Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "autoscaling", Version: "v1", Kind: "Scale"},
		{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"}, {Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"},
		{Group: "policy", Version: "v1", Kind: "Eviction"}, {Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "Role"},
		{Group: "authentication.k8s.io", Version: "v1", Kind: "TokenRequest"}, {Group: "authorization.k8s.io", Version: "v1", Kind: "SubjectAccessReview"},
		{Group: "events.k8s.io", Version: "v1", Kind: "Event"},
	} {
		if !s.Recognizes(gvk) {
			t.Errorf("%s is not in the scheme", gvk)
		}
		gvk.Version = runtime.APIVersionInternal
		if !s.Recognizes(gvk) {
			t.Errorf("%s is not in the scheme", gvk)
		}
	}
	pod := &corev1.Pod{}
	s.Default(pod)
	if pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		t.Error("pods are not defaulted")
	}
}

// Start-up pays this once.
func BenchmarkNewScheme(b *testing.B) {
	for b.Loop() {
		apis.NewScheme()
	}
}

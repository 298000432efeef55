package extendedresource_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
)

func TestIs(t *testing.T) {
	for name, want := range map[corev1.ResourceName]bool{
		"cpu": false, "hugepages-2Mi": false, "kubernetes.io/batch": false, "sub.kubernetes.io/x": false,
		"example.com/gpu": true, "scheduling.k8s.io/foo": true, "requests.example.com/gpu": false,
		"deviceclass.resource.kubernetes.io/gpu":                      false,
		corev1.ResourceName("example.com/" + strings.Repeat("a", 64)): false,
	} {
		if got := extendedresource.Is(name); got != want {
			t.Errorf("Is(%s) = %t", name, got)
		}
	}
}

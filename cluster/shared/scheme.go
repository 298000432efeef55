package shared

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// NewScheme returns a scheme with the types of the resources, as clients send and get them.
// wire is the server's scheme.
func NewScheme(wire *runtime.Scheme, resources []*registry.Resource) (*runtime.Scheme, error) {
	s := apis.NewClientScheme()
	for _, r := range resources {
		for _, kind := range []string{r.GVK.Kind, r.GVK.Kind + "List"} {
			gvk := r.GVK.GroupVersion().WithKind(kind)
			if r.Hidden || s.Recognizes(gvk) || !wire.Recognizes(gvk) {
				continue
			}
			obj, err := wire.New(gvk)
			if err != nil {
				return nil, fmt.Errorf("making the scheme of clients: %w", err)
			}
			s.AddKnownTypeWithName(gvk, obj)
			metav1.AddToGroupVersion(s, gvk.GroupVersion())
		}
	}
	return s, nil
}

package dispatch

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// ownTypes does not know a kind under the name of another group, as Events are in
// two. Upstream's handlers of core/v1 have the types of that group only, and so
// drop managers of fields that wrote through events.k8s.io/v1, and the reverse.
type ownTypes struct {
	managedfields.TypeConverter
	kind schema.GroupVersionKind
}

// ObjectToTyped implements managedfields.TypeConverter.
func (t ownTypes) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if gvk.Kind == t.kind.Kind && gvk.Group != t.kind.Group {
		return nil, runtime.NewNotRegisteredErrForKind("managed fields of "+t.kind.Group, gvk)
	}
	return t.TypeConverter.ObjectToTyped(obj, opts...)
}

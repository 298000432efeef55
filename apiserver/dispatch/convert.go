package dispatch

import (
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// convertor converts objects of one Go type to that type too, which schemes
// refuse: the hub's types are the wire's, and webhooks and policies want
// objects of requests in a version of their own.
type convertor struct{ runtime.ObjectConvertor }

// Convert implements runtime.ObjectConvertor. As with conversions of schemes,
// the copy shares its parts with the original and has no kind.
func (c convertor) Convert(in, out, context any) error {
	from, to := reflect.ValueOf(in), reflect.ValueOf(out)
	if from.Kind() != reflect.Pointer || from.Type() != to.Type() || from.Elem().Kind() != reflect.Struct {
		return c.ObjectConvertor.Convert(in, out, context)
	}
	obj, ok := out.(runtime.Object)
	if _, custom := out.(runtime.Unstructured); custom || !ok {
		return c.ObjectConvertor.Convert(in, out, context)
	}
	to.Elem().Set(from.Elem())
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return nil
}

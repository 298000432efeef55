package dispatch

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// unsafeConvertor converts objects for patches and for the bookkeeping of fields: what
// it returns shares its parts with the original. It leaves that one as it is, where
// schemes would write into an object of the hub which kind it has in a version: a
// write that changes nothing must find both objects alike.
//
// What was applied or merged strategically no decoder has seen; see carried.
type unsafeConvertor struct{ runtime.ObjectConvertor }

// ConvertToVersion implements runtime.ObjectConvertor.
func (c unsafeConvertor) ConvertToVersion(obj runtime.Object, gv runtime.GroupVersioner) (runtime.Object, error) {
	if from := reflect.ValueOf(obj); from.Kind() == reflect.Pointer && from.Elem().Kind() == reflect.Struct {
		same := reflect.New(from.Type().Elem())
		same.Elem().Set(from.Elem())
		obj = same.Interface().(runtime.Object)
	}
	// One without a name stands for what is not there yet, and stays empty.
	if o, ok := obj.(metav1.Object); ok && o.GetName()+o.GetGenerateName() != "" {
		if err := carried(obj); err != nil {
			return nil, err
		}
	}
	return c.ObjectConvertor.ConvertToVersion(obj, gv) //nolint:wrapcheck // a wrapper
}

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

package dispatch

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis"
)

// TestCarriedNumbers refuses annotations that stand for numbers and are none, both
// when an object is decoded and when what was applied is converted.
func TestCarriedNumbers(t *testing.T) {
	scheme := apis.NewScheme()
	for _, c := range []struct {
		key, value string
		obj        metav1.Object
		fine       bool
	}{
		{appsv1.DeprecatedTemplateGeneration, "5", &appsv1.DaemonSet{}, true},
		{appsv1.DeprecatedTemplateGeneration, "x", &appsv1.DaemonSet{}, false},
		{appsv1.DeprecatedTemplateGeneration, "", &appsv1.DaemonSet{}, false},
		{appsv1.DeprecatedTemplateGeneration, "x", &appsv1.StatefulSet{}, true},
		{appsv1.DeprecatedRollbackTo, "5", &appsv1.Deployment{}, true},
		{appsv1.DeprecatedRollbackTo, "x", &appsv1.Deployment{}, false},
		{appsv1.DeprecatedRollbackTo, "", &appsv1.Deployment{}, true},
	} {
		c.obj.SetName("a")
		c.obj.SetAnnotations(map[string]string{c.key: c.value})
		obj := c.obj.(runtime.Object)
		_, err := unsafeConvertor{scheme}.ConvertToVersion(obj, appsv1.SchemeGroupVersion)
		if (err == nil) != c.fine || (carried(obj) == nil) != c.fine {
			t.Errorf("%T with %s=%q: %v, %v", c.obj, c.key, c.value, err, carried(obj))
		}
	}
}

// TestCarriedGeneration sets a count that a strategic merge patch removed, in the
// converted object and not in the one it was made from.
func TestCarriedGeneration(t *testing.T) {
	before := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "d", Annotations: map[string]string{"a": "b"}}}
	obj, err := unsafeConvertor{apis.NewScheme()}.ConvertToVersion(before, appsv1.SchemeGroupVersion)
	if err != nil {
		t.Fatal(err)
	}
	after := obj.(*appsv1.DaemonSet)
	if after.Annotations[appsv1.DeprecatedTemplateGeneration] != "0" || after.Annotations["a"] != "b" || len(before.Annotations) != 1 {
		t.Errorf("before %v, after %v", before.Annotations, after.Annotations)
	}
	if obj, err = (unsafeConvertor{apis.NewScheme()}).ConvertToVersion(&appsv1.DaemonSet{}, appsv1.SchemeGroupVersion); err != nil || len(obj.(*appsv1.DaemonSet).Annotations) > 0 {
		t.Errorf("of nothing: %v, %v", obj, err)
	}
}

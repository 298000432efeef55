package dispatch

import (
	"fmt"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// carried returns what is wrong with annotations that stand for fields of versions
// before apps/v1. Upstream reads the fields out of them while it decodes or converts
// an object, so one that is no number is a bad request rather than invalid, and one
// that is missing is set before the bookkeeping of fields looks. The map of
// annotations is replaced, not changed: another object may share it.
func carried(obj runtime.Object) error {
	if o, ok := obj.(*appsv1.DaemonSet); ok {
		if _, ok := o.Annotations[appsv1.DeprecatedTemplateGeneration]; !ok {
			o.Annotations = maps.Clone(o.Annotations)
			metav1.SetMetaDataAnnotation(&o.ObjectMeta, appsv1.DeprecatedTemplateGeneration, "0")
		}
	}
	switch o := obj.(type) {
	case *appsv1.Deployment:
		text := o.Annotations[appsv1.DeprecatedRollbackTo]
		if text == "" {
			return nil
		}
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return fmt.Errorf("failed to parse annotation[%s]=%s as int64: %w", appsv1.DeprecatedRollbackTo, text, err)
		}
	case *appsv1.DaemonSet:
		if text, ok := o.Annotations[appsv1.DeprecatedTemplateGeneration]; ok {
			_, err := strconv.ParseInt(text, 10, 64)
			return err //nolint:wrapcheck // upstream's words
		}
	}
	return nil
}

package quota

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/utils/clock"
)

// List returns the objects of a resource in a namespace, which is empty for
// cluster-scoped ones. The objects are shared and must not be changed. A nil List
// has no objects: without DeviceClasses no claim is charged for extended resources.
type List func(resource schema.GroupVersionResource, namespace string) ([]runtime.Object, error)

// NewRegistry returns the evaluators of the built-in resources. Others, which
// only count/<resource>.<group> limits, are made with NewCount as they are met.
func NewRegistry(list List, clk clock.PassiveClock) quotav1.Registry {
	return generic.NewRegistry(Evaluators(list, clk))
}

// NewConfiguration returns the same evaluators for k8s.io/apiserver's generic
// ResourceQuota admission plugin. Events are not charged: they are bookkeeping
// of components, not objects that users ask for.
func NewConfiguration(list List, clk clock.PassiveClock) quotav1.Configuration {
	ignored := map[schema.GroupResource]struct{}{
		{Group: "", Resource: "events"}:              {},
		{Group: "events.k8s.io", Resource: "events"}: {},
	}
	return generic.NewConfiguration(Evaluators(list, clk), ignored)
}

// Evaluators returns the evaluators of the built-in resources.
func Evaluators(list List, clk clock.PassiveClock) []quotav1.Evaluator {
	out := []quotav1.Evaluator{
		newPods(list, clk),
		newServices(list),
		newClaims(list),
		newResourceClaims(list, clk),
	}
	// Resources that could be counted under their bare name before there was
	// count/<resource>, and still can.
	for _, r := range []corev1.ResourceName{
		corev1.ResourceConfigMaps, corev1.ResourceQuotas, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
	} {
		gvr := corev1.SchemeGroupVersion.WithResource(string(r))
		out = append(out, generic.NewObjectCountEvaluator(gvr.GroupResource(), list.of(gvr), r))
	}
	return out
}

// NewCount returns an evaluator that counts the objects of a resource.
func NewCount(list List, gvr schema.GroupVersionResource) quotav1.Evaluator {
	return generic.NewObjectCountEvaluator(gvr.GroupResource(), list.of(gvr), "")
}

func (l List) of(gvr schema.GroupVersionResource) generic.ListFuncByNamespace {
	return func(namespace string) ([]runtime.Object, error) {
		if l == nil {
			return nil, nil
		}
		return l(gvr, namespace)
	}
}

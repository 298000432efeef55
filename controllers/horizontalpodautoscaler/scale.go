package horizontalpodautoscaler

import (
	"context"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// target is the object that an autoscaler scales, of any kind, and its scale.
type target struct {
	object, subresource *unstructured.Unstructured
}

func (t *target) scale() Scale {
	number := func(path ...string) int32 {
		// The server has checked the type; what is missing is zero.
		n, _, err := unstructured.NestedInt64(t.subresource.Object, path...)
		if err != nil {
			return 0
		}
		return int32(n)
	}
	selector, _, err := unstructured.NestedString(t.subresource.Object, "status", "selector")
	return Scale{Replicas: number("spec", "replicas"), StatusReplicas: number("status", "replicas"), Selector: selector, SelectorError: err}
}

// scale reads the target's scale, in the first version that has one.
func (r *Reconciler) scale(ctx context.Context, a *autoscalingv2.HorizontalPodAutoscaler) (*target, error) {
	ref := a.Spec.ScaleTargetRef
	group, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, specError{fmt.Errorf("invalid API version in scale target reference: %w", err)}
	}
	kind := schema.GroupKind{Group: group.Group, Kind: ref.Kind}
	mappings, err := r.client.RESTMapper().RESTMappings(kind, group.Version)
	if meta.IsNoMatchError(err) {
		// The version is one of old; any other will do.
		mappings, err = r.client.RESTMapper().RESTMappings(kind)
	}
	if err != nil {
		return nil, err
	}
	var first error
	for _, m := range mappings {
		t := &target{&unstructured.Unstructured{}, newScale()}
		t.object.SetGroupVersionKind(m.GroupVersionKind)
		t.object.SetNamespace(a.Namespace)
		t.object.SetName(ref.Name)
		err := r.client.SubResource("scale").Get(ctx, t.object, t.subresource)
		if err == nil {
			return t, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("unrecognized resource")
	}
	return nil, first
}

func newScale() *unstructured.Unstructured {
	s := &unstructured.Unstructured{}
	s.SetAPIVersion("autoscaling/v1")
	s.SetKind("Scale")
	return s
}

// rescale sets the number of replicas. Changes of the target's status meanwhile
// do not matter, so one conflict is retried.
func (r *Reconciler) rescale(ctx context.Context, t *target, replicas int32) error {
	for attempt := 0; ; attempt++ {
		if err := unstructured.SetNestedField(t.subresource.Object, int64(replicas), "spec", "replicas"); err != nil {
			return fmt.Errorf("writing scale: %w", err)
		}
		err := r.client.SubResource("scale").Update(ctx, t.object, client.WithSubResourceBody(t.subresource))
		if !apierrors.IsConflict(err) || attempt == 5 {
			return err
		}
		t.subresource = newScale()
		if err := r.client.SubResource("scale").Get(ctx, t.object, t.subresource); err != nil {
			return err
		}
	}
}

package disruption

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// scales finds the scale of each pod's controller. Controllers that are gone are left out.
func (r *Reconciler) scales(ctx context.Context, namespace string, pods []*corev1.Pod) (map[types.UID]Scale, error) {
	found := map[types.UID]Scale{}
	looked := map[types.UID]bool{}
	for _, pod := range pods {
		ref := metav1.GetControllerOfNoCopy(pod)
		if ref == nil || looked[ref.UID] {
			continue
		}
		looked[ref.UID] = true
		scale, err := r.scaleOf(ctx, namespace, ref)
		if err != nil {
			return nil, err
		}
		if scale != nil {
			found[ref.UID] = *scale
		}
	}
	return found, nil
}

func (r *Reconciler) scaleOf(ctx context.Context, namespace string, ref *metav1.OwnerReference) (*Scale, error) {
	key := client.ObjectKey{Namespace: namespace, Name: ref.Name}
	group, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("reading owner of kind %s: %w", ref.Kind, err)
	}
	switch (schema.GroupKind{Group: group.Group, Kind: ref.Kind}) {
	case schema.GroupKind{Kind: "ReplicationController"}:
		rc := &corev1.ReplicationController{}
		ok, err := r.read(ctx, key, rc, ref.UID)
		return scaleIf(ok, ref.UID, rc.Spec.Replicas), err
	case schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		set := &appsv1.StatefulSet{}
		ok, err := r.read(ctx, key, set, ref.UID)
		return scaleIf(ok, ref.UID, set.Spec.Replicas), err
	case schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}:
		return r.scaleOfReplicaSet(ctx, key, ref)
	}
	return r.scaleOfAny(ctx, key, group.WithKind(ref.Kind), ref.UID)
}

// scaleOfReplicaSet returns the scale of the Deployment that owns it, if one
// does: during a rollout its ReplicaSets together have more or fewer.
func (r *Reconciler) scaleOfReplicaSet(ctx context.Context, key client.ObjectKey, ref *metav1.OwnerReference) (*Scale, error) {
	set := &appsv1.ReplicaSet{}
	ok, err := r.read(ctx, key, set, ref.UID)
	if !ok || err != nil {
		return nil, err
	}
	owner := metav1.GetControllerOfNoCopy(set)
	if owner == nil || owner.Kind != "Deployment" {
		return scaleIf(true, ref.UID, set.Spec.Replicas), nil
	}
	d := &appsv1.Deployment{}
	ok, err = r.read(ctx, client.ObjectKey{Namespace: key.Namespace, Name: owner.Name}, d, owner.UID)
	if err != nil {
		return nil, err
	}
	// A set whose Deployment is gone is about to go as well.
	return scaleIf(ok, owner.UID, d.Spec.Replicas), nil
}

func scaleIf(ok bool, owner types.UID, replicas *int32) *Scale {
	if !ok {
		return nil
	}
	return &Scale{Owner: owner, Replicas: ptr.Deref(replicas, 1)}
}

// read reports whether the object exists under that UID.
func (r *Reconciler) read(ctx context.Context, key client.ObjectKey, obj client.Object, uid types.UID) (bool, error) {
	if err := r.client.Get(ctx, key, obj); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return obj.GetUID() == uid, nil
}

// scaleOfAny asks the server, for there is no cache of scales.
func (r *Reconciler) scaleOfAny(ctx context.Context, key client.ObjectKey, gvk schema.GroupVersionKind, uid types.UID) (*Scale, error) {
	mapping, err := r.client.RESTMapper().RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	owner, scale := &unstructured.Unstructured{}, &unstructured.Unstructured{}
	owner.SetGroupVersionKind(gvk)
	owner.SetNamespace(key.Namespace)
	owner.SetName(key.Name)
	scale.SetAPIVersion("autoscaling/v1")
	scale.SetKind("Scale")
	err = r.client.SubResource("scale").Get(ctx, owner, scale)
	switch {
	case err == nil && scale.GetUID() != uid:
		return nil, nil
	case err == nil:
		n, _, err := unstructured.NestedInt64(scale.Object, "spec", "replicas")
		if err != nil {
			return nil, fmt.Errorf("reading scale of %s %s: %w", gvk.Kind, key.Name, err)
		}
		return &Scale{Owner: uid, Replicas: int32(n)}, nil
	case !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("reading scale of %s %s: %w", gvk.Kind, key.Name, err)
	}
	// Either it is gone, or its kind has no scale.
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(gvk)
	if ok, err := r.read(ctx, key, object, uid); !ok || err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s does not implement the scale subresource", mapping.Resource.GroupResource())
}

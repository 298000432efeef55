package statefulset

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
)

const (
	retain = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
	remove = appsv1.DeletePersistentVolumeClaimRetentionPolicyType
)

var podKind = corev1.SchemeGroupVersion.WithKind("Pod")

func retention(set *appsv1.StatefulSet) appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy {
	if p := set.Spec.PersistentVolumeClaimRetentionPolicy; p != nil {
		return *p
	}
	return appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: retain, WhenScaled: retain}
}

// owners returns the owner references that a claim should have for the retention policy.
// conflicting is set if something else manages the claim, so that the policy cannot be kept.
//
// The set owns the claims that go with it, and a pod that goes because the set
// shrinks owns those that go with the pod. A claim that an earlier set or pod of
// the same name owns is left alone: the garbage collector is about to delete it.
func owners(claim *corev1.PersistentVolumeClaim, set *appsv1.StatefulSet, pod *corev1.Pod) (refs []metav1.OwnerReference, conflicting bool) {
	have := claim.OwnerReferences
	policy := retention(set)
	keeps := policy.WhenScaled != remove && policy.WhenDeleted != remove
	stale := ownedByNamesake(claim, set, kind) || ownedByNamesake(claim, pod, podKind)
	if !keeps {
		conflicting = stale || slices.ContainsFunc(have, func(r metav1.OwnerReference) bool {
			return ptr.Deref(r.Controller, false) && !refersTo(r, set, kind) && !refersTo(r, pod, podKind)
		})
	}
	if stale {
		return have, conflicting
	}
	for _, r := range have {
		if !refersTo(r, set, kind) && !refersTo(r, pod, podKind) {
			refs = append(refs, r)
		}
	}
	if conflicting {
		return refs, true
	}
	scaledDown := !wanted(set, ordinalOf(pod))
	switch {
	case policy.WhenScaled == remove && scaledDown:
		refs = append(refs, *metav1.NewControllerRef(pod, podKind))
	case policy.WhenDeleted == remove:
		refs = append(refs, *metav1.NewControllerRef(set, kind))
	}
	if sameOwners(have, refs) {
		return have, false
	}
	return refs, false
}

// sameOwners compares owners whatever their order, and of each only its
// identity and whether it controls.
func sameOwners(a, b []metav1.OwnerReference) bool {
	if len(a) != len(b) {
		return false
	}
	for _, r := range a {
		if !slices.ContainsFunc(b, func(o metav1.OwnerReference) bool {
			return o.UID == r.UID && ptr.Deref(o.Controller, false) == ptr.Deref(r.Controller, false)
		}) {
			return false
		}
	}
	return true
}

func refersTo(r metav1.OwnerReference, obj metav1.Object, gvk schema.GroupVersionKind) bool {
	return r.APIVersion == gvk.GroupVersion().String() && r.Kind == gvk.Kind && r.Name == obj.GetName()
}

// ownedByNamesake reports whether the claim belongs to an object of the same
// kind and name that is not this one.
func ownedByNamesake(claim *corev1.PersistentVolumeClaim, obj metav1.Object, gvk schema.GroupVersionKind) bool {
	return slices.ContainsFunc(claim.OwnerReferences, func(r metav1.OwnerReference) bool {
		return refersTo(r, obj, gvk) && r.UID != obj.GetUID()
	})
}

func ownersChanged(claim *corev1.PersistentVolumeClaim, refs []metav1.OwnerReference) bool {
	return !apiequality.Semantic.DeepEqual(claim.OwnerReferences, refs)
}

// discard finds claims that go when the set shrinks, but whose pods were never
// created: a crash, or a refusal, came between the two and then the set shrank.
// Upstream leaves them. A claim that the set does not control may be the user's.
func (p *planner) discard() {
	if retention(p.Set).WhenScaled != remove {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(p.Claims)) {
		c := p.Claims[name]
		n := claimOrdinal(p.Set, c)
		lonely := !slices.ContainsFunc(p.condemned, func(r replica) bool { return r.ordinal == n })
		if n >= 0 && !wanted(p.Set, n) && lonely && metav1.IsControlledBy(c, p.Set) && c.DeletionTimestamp == nil {
			p.plan.Discard = append(p.plan.Discard, c)
		}
	}
}

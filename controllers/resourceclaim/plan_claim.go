package resourceclaim

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// claimActions are done in this order.
type claimActions struct {
	// status is the claim with its new status; nil if it is right.
	status *resourcev1.ResourceClaim
	// unprotect takes the finalizer away.
	unprotect bool
	// remove deletes the claim.
	remove bool
}

// isPod reports whether a consumer is a pod. Others are not judged.
func isPod(c resourcev1.ResourceClaimConsumerReference) bool {
	return c.APIGroup == "" && c.Resource == "pods"
}

// planClaim plans the writes of a claim. stale holds the consumers that need it no
// more, named the pod that has the name of the one it was made for, if that is known.
//
// A claim loses its allocation when its last consumer leaves, not because it has
// none: an allocator need not add a consumer at once.
func planClaim(claim *resourcev1.ResourceClaim, stale map[types.UID]bool, named *corev1.Pod) claimActions {
	var a claimActions
	remaining := make([]resourcev1.ResourceClaimConsumerReference, 0, len(claim.Status.ReservedFor))
	for _, c := range claim.Status.ReservedFor {
		if !isPod(c) || !stale[c.UID] {
			remaining = append(remaining, c)
		}
	}
	protected := slices.Contains(claim.Finalizers, resourcev1.Finalizer)
	free := protected && len(remaining) == 0
	left := len(remaining) < len(claim.Status.ReservedFor)
	deleted := claim.DeletionTimestamp != nil
	if left || free && deleted && claim.Status.Allocation != nil {
		a.status = claim.DeepCopy()
		a.status.Status.ReservedFor = remaining
		if free {
			a.status.Status.Allocation, a.status.Status.Devices = nil, nil
		}
	}
	a.unprotect = free && (left || deleted)
	if owner := owningPod(claim); len(remaining) == 0 && !deleted && owner != nil && named != nil {
		a.remove = named.UID != owner.UID || done(named)
	}
	return a
}

// owningPod returns the pod that the claim was made for, or nil.
func owningPod(claim *resourcev1.ResourceClaim) *metav1.OwnerReference {
	owner := metav1.GetControllerOfNoCopy(claim)
	if owner == nil || owner.APIVersion != "v1" || owner.Kind != "Pod" {
		return nil
	}
	return owner
}

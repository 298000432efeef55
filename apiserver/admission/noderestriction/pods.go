package noderestriction

import (
	"context"
	"fmt"
	"maps"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// mirrorPod refuses pods that are not mirror pods of the node, and those that
// refer to objects of the API: they would give the node access.
func (p *Plugin) mirrorPod(ctx context.Context, r *request, mirror *corev1.Pod) error {
	if _, ok := mirror.Annotations[corev1.MirrorPodAnnotationKey]; !ok {
		return r.forbid("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, r.node)
	}
	if mirror.Spec.NodeName != r.node {
		return r.forbid("node %q can only create pods with spec.nodeName set to itself", r.node)
	}
	if err := p.ownedByNode(ctx, r, mirror); err != nil {
		return err
	}
	referenced, err := references(mirror)
	if err != nil {
		return r.forbid("error checking mirror pod for API references: %w", err)
	}
	if referenced != "" {
		return r.forbid("node %q can not create pods that reference %s", r.node, referenced)
	}
	return nil
}

func (p *Plugin) ownedByNode(ctx context.Context, r *request, pod *corev1.Pod) error {
	switch len(pod.OwnerReferences) {
	case 0:
		return r.forbid("node %q can only create pods with an owner reference set to itself", r.node)
	case 1:
	default:
		return r.forbid("node %q can only create pods with a single owner reference set to itself", r.node)
	}
	owner := pod.OwnerReferences[0]
	if owner.APIVersion != "v1" || owner.Kind != "Node" || owner.Name != r.node {
		return r.forbid("node %q can only create pods with an owner reference set to itself", r.node)
	}
	if !ptr.Deref(owner.Controller, false) {
		return r.forbid("node %q can only create pods with a controller owner reference set to itself", r.node)
	}
	if ptr.Deref(owner.BlockOwnerDeletion, false) {
		return r.forbid("node %q must not set blockOwnerDeletion on an owner reference", r.node)
	}
	node, err := p.objects.LiveNode(ctx, r.node)
	if apierrors.IsNotFound(err) {
		return err
	}
	if err != nil {
		return r.forbid("error looking up node %s to verify uid: %w", r.node, err)
	}
	if owner.UID != node.UID {
		return r.forbid("node %s UID mismatch: expected %s got %s", r.node, owner.UID, node.UID)
	}
	return nil
}

// references returns upstream's words for the first kind of objects that the pod
// refers to, empty if there is none. A volume of an unknown kind is an error.
func references(p *corev1.Pod) (string, error) {
	for _, kind := range []pod.Kind{pod.ServiceAccounts, pod.Secrets, pod.ConfigMaps} {
		for range pod.Names(p, kind) {
			return string(kind), nil
		}
	}
	if len(p.Spec.ResourceClaims) > 0 {
		return string(pod.ResourceClaims), nil
	}
	for r := range pod.References(p) {
		if words := inVolume(r); words != "" {
			return words, nil
		}
	}
	return "", unknownVolume(p)
}

// inVolume returns upstream's words for a reference of a volume, empty if it does
// not count without a name, which is so for secrets of storage systems.
func inVolume(r pod.Reference) string {
	switch r.Volume {
	case "configMap":
		return "configmaps (via configmap volumes)"
	case "secret":
		return "secrets (via secret volumes)"
	case "csi":
		return "csidrivers (via CSI volumes)"
	case "glusterfs":
		return "endpoints (via glusterFS volumes)"
	case "persistentVolumeClaim":
		return "persistentvolumeclaims"
	case "ephemeral":
		return "persistentvolumeclaims (via ephemeral volumes)"
	case "azureFile":
		return "secrets (via azureFile volumes)"
	case "projected":
		switch r.Kind {
		case pod.ConfigMaps, pod.Secrets, pod.ServiceAccounts:
			return string(r.Kind) + " (via projected volumes)"
		}
		return string(r.Kind)
	}
	return ""
}

// unknownVolume returns an error for a volume of a kind that this server does not
// know.
func unknownVolume(p *corev1.Pod) error {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if v.VolumeSource == (corev1.VolumeSource{}) {
			return fmt.Errorf("unknown volume type for volume  %q", v.Name) // upstream's words, spaces too
		}
		if v.Projected != nil && slices.Contains(v.Projected.Sources, corev1.VolumeProjection{}) {
			return fmt.Errorf("unknown source for projected volume %q", v.Name)
		}
	}
	return nil
}

// podStatus refuses reports on pods of other nodes, and changes of what else
// depends on a status: an agent could read any claim that it adds.
func podStatus(r *request) error {
	if r.GetOperation() != admission.Update {
		return r.forbid("unexpected operation %q", r.GetOperation())
	}
	old, ok := r.GetOldObject().(*corev1.Pod)
	if !ok {
		return r.forbid("unexpected type %T", r.GetOldObject())
	}
	if old.Spec.NodeName != r.node {
		return r.forbid("node %q can only update pod status for pods with spec.nodeName set to itself", r.node)
	}
	p, ok := r.GetObject().(*corev1.Pod)
	if !ok {
		return r.forbid("unexpected type %T", r.GetObject())
	}
	if !maps.Equal(old.Labels, p.Labels) {
		return r.forbid("node %q cannot update labels through pod status", r.node)
	}
	before, after := &old.Status, &p.Status
	if !equality.Semantic.DeepEqual(before.ResourceClaimStatuses, after.ResourceClaimStatuses) {
		return r.forbid("node %q cannot update resource claim statues", r.node) // upstream's spelling
	}
	if !equality.Semantic.DeepEqual(before.ExtendedResourceClaimStatus, after.ExtendedResourceClaimStatus) {
		return r.forbid("node %q cannot update extended resource claim status", r.node)
	}
	if !equality.Semantic.DeepEqual(before.NodeAllocatableResourceClaimStatuses, after.NodeAllocatableResourceClaimStatuses) {
		return r.forbid("node %q cannot update node allocatable resource claim statuses", r.node)
	}
	return nil
}

// token checks that a token is for a pod of this node, and bound to it.
func (p *Plugin) token(ctx context.Context, r *request) error {
	if r.GetOperation() != admission.Create {
		return nil
	}
	tr, ok := r.GetObject().(*authenticationv1.TokenRequest)
	if !ok {
		return r.forbid("unexpected type %T", r.GetObject())
	}
	ref := tr.Spec.BoundObjectRef
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return r.forbid("node requested token not bound to a pod")
	}
	if ref.UID == "" {
		return r.forbid("node requested token with a pod binding without a uid")
	}
	pod, err := p.objects.LivePod(ctx, r.GetNamespace(), ref.Name)
	if err != nil {
		return unlessNotFound(r, err)
	}
	if ref.UID != pod.UID {
		return r.forbid("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	}
	if pod.Spec.NodeName != r.node {
		return r.forbid("node requested token bound to a pod scheduled on a different node")
	}
	return p.audience(ctx, r, tr, pod)
}

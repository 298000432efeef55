// Package index names the field indexes that cluster/ registers on the shared
// cache, so that every part asks for the same ones and none scans a list.
//
// The API of this package is not stable: see docs/api.md.
package index

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

const (
	// PodNode indexes Pods by spec.nodeName; pods that are not bound have no entry.
	PodNode = "spec.nodeName"
	// Owner indexes Pods, ReplicaSets, ControllerRevisions and Jobs by the UID of their controlling owner.
	Owner = "controller-uid"
	// PodOrphan indexes those of them that no controller owns under "true",
	// for controllers that look for objects to adopt.
	PodOrphan = "orphan"
	// PodClaim indexes Pods by the names of the ResourceClaims they use.
	PodClaim = "resource-claim"
	// PodClaimTemplate indexes Pods by the names of the ResourceClaimTemplates they use.
	PodClaimTemplate = "resource-claim-template"
	// PodVolumeClaim indexes Pods by the names of the PersistentVolumeClaims of their
	// volumes, those that are made for them included.
	PodVolumeClaim = "volume-claim"
	// AttachmentNode indexes VolumeAttachments by spec.nodeName.
	AttachmentNode = "spec.nodeName"
	// AttachmentVolume indexes VolumeAttachments by the names of their PersistentVolumes.
	AttachmentVolume = "spec.source.persistentVolumeName"
)

// ByVolumeClaim is the IndexerFunc of PodVolumeClaim.
func ByVolumeClaim(o client.Object) []string { return named(o, pod.PersistentVolumeClaims) }

// ByAttachmentNode is the IndexerFunc of AttachmentNode.
func ByAttachmentNode(o client.Object) []string {
	if a, ok := o.(*storagev1.VolumeAttachment); ok {
		return []string{a.Spec.NodeName}
	}
	return nil
}

// ByAttachmentVolume is the IndexerFunc of AttachmentVolume.
func ByAttachmentVolume(o client.Object) []string {
	if a, ok := o.(*storagev1.VolumeAttachment); ok && a.Spec.Source.PersistentVolumeName != nil {
		return []string{*a.Spec.Source.PersistentVolumeName}
	}
	return nil
}

// ByNode is the IndexerFunc of PodNode.
func ByNode(o client.Object) []string {
	if p, ok := o.(*corev1.Pod); ok && p.Spec.NodeName != "" {
		return []string{p.Spec.NodeName}
	}
	return nil
}

// ByOwner is the IndexerFunc of Owner.
func ByOwner(o client.Object) []string {
	if ref := metav1.GetControllerOfNoCopy(o); ref != nil {
		return []string{string(ref.UID)}
	}
	return nil
}

// ByOrphan is the IndexerFunc of PodOrphan.
func ByOrphan(o client.Object) []string {
	if metav1.GetControllerOfNoCopy(o) == nil {
		return []string{"true"}
	}
	return nil
}

// ByClaim is the IndexerFunc of PodClaim. A claim made from a template is used
// once the pod's status names it, and so is one for extended resources.
func ByClaim(o client.Object) []string { return named(o, pod.ResourceClaims) }

// ByClaimTemplate is the IndexerFunc of PodClaimTemplate.
func ByClaimTemplate(o client.Object) []string { return named(o, pod.ResourceClaimTemplates) }

func named(o client.Object, kind pod.Kind) []string {
	if p, ok := o.(*corev1.Pod); ok {
		return slices.Collect(pod.Names(p, kind))
	}
	return nil
}

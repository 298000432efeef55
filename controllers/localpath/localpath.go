// Package localpath is the built-in provisioner of volumes: a directory of the
// node that the first pod of the claim is on, as the provisioner that k3s and
// kind bring along does it.
//
// It wakes on claims, on pods that come to a node, on its classes, and on volumes
// that are released. It makes the StorageClass local-path, the default one, when it
// starts.
//
// Invariants:
//
//  1. A volume is made only for a claim that the binder has asked it for, on the
//     node that the claim names; it is named after the claim's UID, so that it
//     is made once.
//  2. A claim of its class that a scheduled pod uses, and that no scheduler has
//     given a node, gets the pod's node.
//  3. A volume that it made goes with its data when it is released and its
//     policy is Delete, whichever server made it. Data on a node of another
//     server are removed there, by a Remover. Data on an agent's node are not
//     reached: the volume becomes Failed, with a message where they are.
//  4. A claim whose class allows it grows by asking for more, while it is in use.
//
// The API of this package is not stable: see docs/api.md.
package localpath

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	volumes "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/storage"
)

// Provisioner and Class are the names in storage classes and claims of volumes from here.
const (
	Provisioner = "coracle.dev/local-path"
	Class       = "local-path"
)

// defaultClass returns the class made at the start.
func defaultClass() *storagev1.StorageClass {
	return &storagev1.StorageClass{
		ObjectMeta:        metav1.ObjectMeta{Name: Class, Annotations: map[string]string{storage.DefaultClassAnnotation: "true"}},
		Provisioner:       Provisioner,
		ReclaimPolicy:     ptr.To(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
		// A directory has no size of its own.
		AllowVolumeExpansion: ptr.To(true),
	}
}

// mine reports whether a claim is not bound and waits for this provisioner.
func mine(c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass) bool {
	return c.Spec.VolumeName == "" && c.DeletionTimestamp == nil && class != nil && class.Provisioner == Provisioner
}

// consumer returns the node of a pod that uses the claim, "" if none is on a node.
func consumer(pods []corev1.Pod) string {
	for i := range pods {
		if pod := &pods[i]; pod.Spec.NodeName != "" && pod.DeletionTimestamp == nil {
			return pod.Spec.NodeName
		}
	}
	return ""
}

// refusal returns why a claim cannot have a directory, "" if it can.
func refusal(c *corev1.PersistentVolumeClaim) string {
	if ptr.Deref(c.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) == corev1.PersistentVolumeBlock {
		return "a directory is no block device"
	}
	if c.Spec.DataSource != nil || c.Spec.DataSourceRef != nil {
		return "a directory cannot be made of another volume"
	}
	if c.Spec.Selector != nil {
		return "claim Selector is not supported"
	}
	return ""
}

// volume returns the claim's volume on node, in a directory below dir.
func volume(c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, node *corev1.Node, dir string) *corev1.PersistentVolume {
	name := "pvc-" + string(c.UID)
	host := node.Labels[corev1.LabelHostname]
	if host == "" {
		host = node.Name
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{
			volumes.AnnDynamicallyProvisioned: Provisioner, volumes.AnnSelectedNode: node.Name,
		}},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: c.Spec.AccessModes, StorageClassName: class.Name, MountOptions: class.MountOptions,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: c.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeReclaimPolicy: ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete),
			VolumeMode:                    ptr.To(corev1.PersistentVolumeFilesystem),
			ClaimRef: &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name,
				UID: c.UID, ResourceVersion: c.ResourceVersion},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{
				Path: path.Join(dir, directory(name, c.Namespace, c.Name)), Type: ptr.To(corev1.HostPathDirectoryOrCreate),
			}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{host}}},
			}}}},
		},
	}
}

// directory returns the last element of a volume's path.
func directory(volume, namespace, claim string) string {
	return strings.Join([]string{volume, namespace, claim}, "_")
}

// released reports whether a volume was made by a provisioner of this kind and is to
// be removed. One whose removal failed may be within reach now. Its path is checked
// closely: a user who writes volumes must not be able to remove anything else.
func released(pv *corev1.PersistentVolume) bool {
	if pv.Spec.HostPath == nil || pv.Spec.ClaimRef == nil || pv.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		return false
	}
	parent, last := path.Split(pv.Spec.HostPath.Path)
	return pv.Annotations[volumes.AnnDynamicallyProvisioned] == Provisioner && pv.DeletionTimestamp == nil &&
		(pv.Status.Phase == corev1.VolumeReleased || pv.Status.Phase == corev1.VolumeFailed) &&
		path.Base(parent) == Class && path.IsAbs(parent) && last == directory(pv.Name, pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name)
}

// onServer reports whether a node is in a server's process: agents answer at a port.
func onServer(node *corev1.Node) bool { return node.Status.DaemonEndpoints.KubeletEndpoint.Port == 0 }

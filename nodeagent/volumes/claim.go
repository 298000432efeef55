//go:build linux

package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent/host"
)

// errUnbound is waited out: the volume controller binds claims.
var errUnbound = errors.New("PVC is not bound")

// claimError is the error of a claim that does not lead to a volume that could
// be mounted. The words are the kubelet's.
type claimError struct {
	claim client.ObjectKey
	err   error
}

func (e *claimError) Error() string {
	return fmt.Sprintf("error processing PVC %s: %v", e.claim, e.err)
}
func (e *claimError) Unwrap() error { return e.err }

// protection is on claims that stay until the last pod is gone.
const protection = "kubernetes.io/pvc-protection"

// gidAnnotation is a group that a persistent volume lends to pods.
const gidAnnotation = "pv.beta.kubernetes.io/gid"

// setUpClaim finds the persistent volume behind a claim and makes it available.
// owner is the pod that an ephemeral claim must belong to, else nil.
func (m *Manager) setUpClaim(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, name string, readOnly bool, owner *corev1.Pod) (host.Volume, error) {
	key := client.ObjectKey{Namespace: pod.Namespace, Name: name}
	pv, err := m.claimed(ctx, key, owner)
	if err != nil {
		return host.Volume{}, &claimError{key, err}
	}
	if err := usedAs(pod, v.Name, pv); err != nil {
		return host.Volume{}, &claimError{key, err}
	}
	return setUpPersistent(pod, pv, readOnly)
}

// claimed returns the volume that a claim is bound to.
func (m *Manager) claimed(ctx context.Context, key client.ObjectKey, owner *corev1.Pod) (*corev1.PersistentVolume, error) {
	claim := &corev1.PersistentVolumeClaim{}
	if err := m.cfg.Client.Get(ctx, key, claim); err != nil {
		return nil, fmt.Errorf("failed to fetch PVC from API server: %w", err)
	}
	switch {
	case claim.DeletionTimestamp != nil && !slices.Contains(claim.Finalizers, protection):
		return nil, errors.New("PVC is being deleted")
	case claim.Status.Phase != corev1.ClaimBound:
		return nil, errUnbound
	case claim.Spec.VolumeName == "":
		return nil, errors.New("PVC has empty pvc.Spec.VolumeName")
	case owner != nil && !metav1.IsControlledBy(claim, owner):
		return nil, fmt.Errorf("PVC %s was not created for pod %s/%s (pod is not owner)", key, owner.Namespace, owner.Name)
	}
	pv := &corev1.PersistentVolume{}
	if err := m.cfg.Client.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, pv); err != nil {
		return nil, fmt.Errorf("failed to fetch PV %s from API server: %w", claim.Spec.VolumeName, err)
	}
	if pv.Spec.ClaimRef == nil {
		return nil, fmt.Errorf("found PV object %s but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim", pv.Name)
	}
	if pv.Spec.ClaimRef.UID != claim.UID {
		return nil, fmt.Errorf("found PV object %s but its pv.Spec.ClaimRef.UID %s does not point to claim.UID %s", pv.Name, pv.Spec.ClaimRef.UID, claim.UID)
	}
	return pv, nil
}

// usedAs refuses devices that are to be mounted and file systems that are to be
// devices.
func usedAs(pod *corev1.Pod, volume string, pv *corev1.PersistentVolume) error {
	mode := corev1.PersistentVolumeFilesystem
	if pv.Spec.VolumeMode != nil {
		mode = *pv.Spec.VolumeMode
	}
	for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			c := &containers[i]
			if mode != corev1.PersistentVolumeFilesystem && slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == volume }) {
				return fmt.Errorf("volume %s has volumeMode %s, but is specified in volumeMounts", volume, mode)
			}
			if mode != corev1.PersistentVolumeBlock && slices.ContainsFunc(c.VolumeDevices, func(d corev1.VolumeDevice) bool { return d.Name == volume }) {
				return fmt.Errorf("volume %s has volumeMode %s, but is specified in volumeDevices", volume, mode)
			}
		}
	}
	return nil
}

func setUpPersistent(pod *corev1.Pod, pv *corev1.PersistentVolume, readOnly bool) (host.Volume, error) {
	v := host.Volume{ReadOnly: readOnly}
	v.Block = pv.Spec.VolumeMode != nil && *pv.Spec.VolumeMode == corev1.PersistentVolumeBlock
	if gid, err := strconv.ParseInt(pv.Annotations[gidAnnotation], 10, 64); err == nil && gid >= 0 {
		v.SupplementalGroups = []int64{gid}
	}
	switch {
	case pv.Spec.HostPath != nil:
		v.Path = pv.Spec.HostPath.Path
		return v, checkHostPath(pv.Spec.HostPath)
	case pv.Spec.Local != nil:
		v.Path = pv.Spec.Local.Path
		info, err := os.Stat(v.Path)
		if err != nil {
			return v, fmt.Errorf("path %q does not exist: %w", v.Path, err)
		}
		if group := fsGroup(pod); group != nil && info.IsDir() && !readOnly {
			return v, ownTree(v.Path, *group, false, changePolicyOf(pod))
		}
		return v, nil
	}
	return v, fmt.Errorf("persistent volume %s: %w", pv.Name, ErrUnsupported)
}

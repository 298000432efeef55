//go:build linux

package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent"
)

// errUnbound is waited out: the volume controller binds claims.
var errUnbound = errors.New("PersistentVolumeClaim is not bound")

// gidAnnotation is a group that a persistent volume lends to pods.
const gidAnnotation = "pv.beta.kubernetes.io/gid"

// setUpClaim finds the persistent volume behind a claim. owner is the pod that
// an ephemeral claim must belong to, else nil.
func (m *Manager) setUpClaim(ctx context.Context, pod *corev1.Pod, name string, readOnly bool, owner *corev1.Pod) (nodeagent.HostVolume, error) {
	claim := &corev1.PersistentVolumeClaim{}
	if err := m.cfg.Client.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: name}, claim); err != nil {
		if apierrors.IsNotFound(err) {
			return nodeagent.HostVolume{}, fmt.Errorf("persistentvolumeclaim %q not found: %w", name, err)
		}
		return nodeagent.HostVolume{}, fmt.Errorf("reading claim %s: %w", name, err)
	}
	if owner != nil && !metav1.IsControlledBy(claim, owner) {
		return nodeagent.HostVolume{}, fmt.Errorf("PVC %s/%s was not created for pod %s/%s (pod is not owner)", claim.Namespace, name, owner.Namespace, owner.Name)
	}
	if claim.Status.Phase != corev1.ClaimBound || claim.Spec.VolumeName == "" {
		return nodeagent.HostVolume{}, fmt.Errorf("claim %s: %w", name, errUnbound)
	}
	pv := &corev1.PersistentVolume{}
	if err := m.cfg.Client.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, pv); err != nil {
		return nodeagent.HostVolume{}, fmt.Errorf("reading persistent volume %s: %w", claim.Spec.VolumeName, err)
	}
	if ref := pv.Spec.ClaimRef; ref == nil || ref.UID != claim.UID {
		return nodeagent.HostVolume{}, fmt.Errorf("persistent volume %s belongs to another claim: %w", pv.Name, errUnbound)
	}
	return setUpPersistent(pod, pv, readOnly)
}

func setUpPersistent(pod *corev1.Pod, pv *corev1.PersistentVolume, readOnly bool) (nodeagent.HostVolume, error) {
	host := nodeagent.HostVolume{ReadOnly: readOnly}
	host.Block = pv.Spec.VolumeMode != nil && *pv.Spec.VolumeMode == corev1.PersistentVolumeBlock
	if gid, err := strconv.ParseInt(pv.Annotations[gidAnnotation], 10, 64); err == nil && gid >= 0 {
		host.SupplementalGroups = []int64{gid}
	}
	switch {
	case pv.Spec.HostPath != nil:
		host.Path = pv.Spec.HostPath.Path
		return host, checkHostPath(pv.Spec.HostPath)
	case pv.Spec.Local != nil:
		host.Path = pv.Spec.Local.Path
		info, err := os.Stat(host.Path)
		if err != nil {
			return host, fmt.Errorf("path %q does not exist: %w", host.Path, err)
		}
		if group := fsGroup(pod); group != nil && info.IsDir() && !readOnly {
			return host, ownTree(host.Path, *group, false, changePolicyOf(pod))
		}
		return host, nil
	}
	return host, fmt.Errorf("persistent volume %s: %w", pv.Name, ErrUnsupported)
}

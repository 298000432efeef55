package volumes

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/storage/ephemeral"
	helpers "k8s.io/component-helpers/storage/volume"
)

// result returns obj, or NotFound in the words of Kubernetes' listers.
func result[T any](obj T, ok bool, group, resource, name string) (T, error) {
	if ok {
		return obj, nil
	}
	var none T
	return none, apierrors.NewNotFound(schema.GroupResource{Group: group, Resource: resource}, name)
}

// Claim returns a claim as assumed, or as the API has it.
func (s *Store) Claim(key types.NamespacedName) (*v1.PersistentVolumeClaim, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.claims.get(key)
	return result(c, ok, "", "persistentvolumeclaim", key.Name)
}

// WrittenClaim returns a claim as the API has it, whatever is assumed.
func (s *Store) WrittenClaim(key types.NamespacedName) (*v1.PersistentVolumeClaim, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.claims.api[key]
	return result(c, ok, "", "persistentvolumeclaim", key.Name)
}

// Volume returns a volume as assumed, or as the API has it.
func (s *Store) Volume(name string) (*v1.PersistentVolume, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	pv, ok := s.volumes.get(name)
	return result(pv, ok, "", "persistentvolume", name)
}

// WrittenVolume returns a volume as the API has it, whatever is assumed.
func (s *Store) WrittenVolume(name string) (*v1.PersistentVolume, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	pv, ok := s.volumes.api[name]
	return result(pv, ok, "", "persistentvolume", name)
}

// VolumesOf returns the volumes of a class, as assumed.
func (s *Store) VolumesOf(class string) []*v1.PersistentVolume {
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := make([]*v1.PersistentVolume, 0, len(s.ofClass[class]))
	for name := range s.ofClass[class] {
		if pv, ok := s.volumes.get(name); ok {
			list = append(list, pv)
		}
	}
	return list
}

// Class returns a storage class.
func (s *Store) Class(name string) (*storagev1.StorageClass, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.classes[name]
	return result(c, ok, storagev1.GroupName, "storageclass", name)
}

// Delayed reports whether a claim waits for its first pod before it is bound.
func (s *Store) Delayed(c *v1.PersistentVolumeClaim) (bool, error) {
	name := helpers.GetPersistentVolumeClaimClass(c)
	if name == "" {
		return false, nil
	}
	class, err := s.Class(name)
	if err != nil {
		return false, nil // a claim of no class known is bound like one of none
	}
	if class.VolumeBindingMode == nil {
		return false, fmt.Errorf("VolumeBindingMode not set for StorageClass %q", name)
	}
	return *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer, nil
}

// CSINode returns what drivers are on a node, nil if that is not known.
func (s *Store) CSINode(name string) *storagev1.CSINode {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nodes[name]
}

// CSIDriver returns a driver, nil if there is none of that name.
func (s *Store) CSIDriver(name string) *storagev1.CSIDriver {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.drivers[name]
}

// Capacities visits the capacities of a class until visit returns false.
func (s *Store) Capacities(class string, visit func(*storagev1.CSIStorageCapacity) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.capacities[class] {
		if !visit(c) {
			return
		}
	}
}

// Attachments visits what is attached, or being attached, to a node.
func (s *Store) Attachments(node string, visit func(*storagev1.VolumeAttachment)) {
	s.mu.RLock()
	list := make([]*storagev1.VolumeAttachment, 0, len(s.attachments[node]))
	for _, a := range s.attachments[node] {
		list = append(list, a)
	}
	s.mu.RUnlock()
	for _, a := range list {
		visit(a)
	}
}

// ClaimName returns the name of the claim that a pod's volume is of, "" if it is
// of none, and whether the claim is made for the pod.
func ClaimName(pod *v1.Pod, v *v1.Volume) (name string, forPod bool) {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName, false
	case v.Ephemeral != nil:
		return ephemeral.VolumeClaimName(pod, v), true
	}
	return "", false
}

// Uses reports whether a pod has a volume of the claim.
func Uses(pod *v1.Pod, c *v1.PersistentVolumeClaim) bool {
	if pod.Namespace != c.Namespace {
		return false
	}
	for i := range pod.Spec.Volumes {
		if name, _ := ClaimName(pod, &pod.Spec.Volumes[i]); name == c.Name {
			return true
		}
	}
	return false
}

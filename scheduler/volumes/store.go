package volumes

import (
	"sync"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	helpers "k8s.io/component-helpers/storage/volume"
)

// Store is safe for concurrent use. Make it with New.
type Store struct {
	mu          sync.RWMutex
	claims      assumable[types.NamespacedName, *v1.PersistentVolumeClaim]
	volumes     assumable[string, *v1.PersistentVolume]
	ofClass     map[string]map[string]struct{} // class: names of volumes
	classes     map[string]*storagev1.StorageClass
	nodes       map[string]*storagev1.CSINode
	drivers     map[string]*storagev1.CSIDriver
	capacities  map[string]map[types.NamespacedName]*storagev1.CSIStorageCapacity // class, key
	attachments map[string]map[string]*storagev1.VolumeAttachment                 // node, name
	waiters     map[topic]map[chan struct{}]struct{}
}

// New returns an empty Store.
func New() *Store {
	return &Store{
		claims:      newAssumable[types.NamespacedName, *v1.PersistentVolumeClaim](),
		volumes:     newAssumable[string, *v1.PersistentVolume](),
		ofClass:     map[string]map[string]struct{}{},
		classes:     map[string]*storagev1.StorageClass{},
		nodes:       map[string]*storagev1.CSINode{},
		drivers:     map[string]*storagev1.CSIDriver{},
		capacities:  map[string]map[types.NamespacedName]*storagev1.CSIStorageCapacity{},
		attachments: map[string]map[string]*storagev1.VolumeAttachment{},
		waiters:     map[topic]map[chan struct{}]struct{}{},
	}
}

// assumable are objects as the API has them, and newer versions of some that
// are about to be written.
type assumable[K comparable, T metav1.Object] struct{ api, assumed map[K]T }

func newAssumable[K comparable, T metav1.Object]() assumable[K, T] {
	return assumable[K, T]{api: map[K]T{}, assumed: map[K]T{}}
}

// set takes a version from the API. A newer one than what an assumption was
// made from ends the assumption: it was written, or it is void.
func (a *assumable[K, T]) set(key K, obj T) {
	a.api[key] = obj
	if assumed, ok := a.assumed[key]; ok && !sameVersion(obj, assumed) {
		delete(a.assumed, key)
	}
}

func (a *assumable[K, T]) remove(key K) {
	delete(a.api, key)
	delete(a.assumed, key)
}

func (a *assumable[K, T]) get(key K) (T, bool) {
	if obj, ok := a.assumed[key]; ok {
		return obj, true
	}
	obj, ok := a.api[key]
	return obj, ok
}

// assume fails where the object has changed since it was read.
func (a *assumable[K, T]) assume(key K, obj T) bool {
	was, ok := a.api[key]
	if !ok || !sameVersion(was, obj) {
		return false
	}
	a.assumed[key] = obj
	return true
}

func sameVersion(a, b metav1.Object) bool {
	return a.GetUID() == b.GetUID() && a.GetResourceVersion() == b.GetResourceVersion()
}

// Older reports whether the events of the API server have not yet brought a
// version that was written.
func Older(seen, written metav1.Object) bool {
	c, err := resourceversion.CompareResourceVersion(seen.GetResourceVersion(), written.GetResourceVersion())
	return err == nil && c < 0
}

// Set adds or replaces an object of a kind that the Store holds.
func (s *Store) Set(obj any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch x := obj.(type) {
	case *v1.PersistentVolumeClaim:
		s.claims.set(keyOf(x), x)
		s.wake(claimTopic(keyOf(x)))
	case *v1.PersistentVolume:
		if was, ok := s.volumes.api[x.Name]; ok {
			drop(s.ofClass, helpers.GetPersistentVolumeClass(was), x.Name)
		}
		s.volumes.set(x.Name, x)
		put(s.ofClass, helpers.GetPersistentVolumeClass(x), x.Name, struct{}{})
		s.wake(volumeTopic(x.Name))
		if ref := x.Spec.ClaimRef; ref != nil { // a claim's event may come before its volume's
			s.wake(claimTopic(types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}))
		}
	case *storagev1.StorageClass:
		s.classes[x.Name] = x
	case *storagev1.CSINode:
		s.nodes[x.Name] = x
	case *storagev1.CSIDriver:
		s.drivers[x.Name] = x
	case *storagev1.CSIStorageCapacity:
		put(s.capacities, x.StorageClassName, keyOf(x), x)
	case *storagev1.VolumeAttachment:
		put(s.attachments, x.Spec.NodeName, x.Name, x)
	}
}

// Remove forgets an object.
func (s *Store) Remove(obj any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch x := obj.(type) {
	case *v1.PersistentVolumeClaim:
		s.claims.remove(keyOf(x))
		s.wake(claimTopic(keyOf(x)))
	case *v1.PersistentVolume:
		s.volumes.remove(x.Name)
		drop(s.ofClass, helpers.GetPersistentVolumeClass(x), x.Name)
		s.wake(volumeTopic(x.Name))
	case *storagev1.StorageClass:
		delete(s.classes, x.Name)
	case *storagev1.CSINode:
		delete(s.nodes, x.Name)
	case *storagev1.CSIDriver:
		delete(s.drivers, x.Name)
	case *storagev1.CSIStorageCapacity:
		drop(s.capacities, x.StorageClassName, keyOf(x))
	case *storagev1.VolumeAttachment:
		drop(s.attachments, x.Spec.NodeName, x.Name)
	}
}

func put[A, B comparable, T any](m map[A]map[B]T, a A, b B, v T) {
	if m[a] == nil {
		m[a] = map[B]T{}
	}
	m[a][b] = v
}

func drop[A, B comparable, T any](m map[A]map[B]T, a A, b B) {
	delete(m[a], b)
	if len(m[a]) == 0 {
		delete(m, a)
	}
}

func keyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}

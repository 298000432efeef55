package devices

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/dynamic-resource-allocation/deviceclass/extendedresourcecache"
	"k8s.io/dynamic-resource-allocation/structured"
	"k8s.io/klog/v2"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
)

// Store is safe for concurrent use.
type Store struct {
	mu      sync.Mutex
	claims  map[types.NamespacedName]*claim
	pending map[types.UID]*resourcev1.ResourceClaim
	slices  map[string]*resourcev1.ResourceSlice
	rules   map[string]*resourcev1.DeviceTaintRule
	classes map[string]*resourcev1.DeviceClass
	taken   *taken
	// tainted are slices with the taints of rules, made when they are asked for.
	tainted []*resourcev1.ResourceSlice
	waiters map[chan struct{}]struct{}
	// resources holds the extended resource of each class.
	resources *extendedresourcecache.ExtendedResourceCache
}

// claim holds the versions of one claim.
type claim struct {
	api *resourcev1.ResourceClaim // nil before its first event
	// assumed is newer than api, or nil.
	assumed *resourcev1.ResourceClaim
}

func (c *claim) view() *resourcev1.ResourceClaim {
	if c.assumed != nil {
		return c.assumed
	}
	return c.api
}

// New returns an empty Store.
func New() *Store {
	return &Store{
		claims: map[types.NamespacedName]*claim{}, pending: map[types.UID]*resourcev1.ResourceClaim{},
		slices: map[string]*resourcev1.ResourceSlice{}, rules: map[string]*resourcev1.DeviceTaintRule{},
		classes: map[string]*resourcev1.DeviceClass{}, taken: newTaken(), waiters: map[chan struct{}]struct{}{},
		resources: extendedresourcecache.NewExtendedResourceCache(klog.Logger{}),
	}
}

func keyOf(c *resourcev1.ResourceClaim) types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: c.Name}
}

// Set stores an object from an event: a ResourceClaim, ResourceSlice,
// DeviceClass or DeviceTaintRule.
func (s *Store) Set(obj any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := obj.(type) {
	case *resourcev1.ResourceClaim:
		s.setClaim(o)
	case *resourcev1.ResourceSlice:
		s.slices[o.Name], s.tainted = o, nil
	case *resourcev1.DeviceTaintRule:
		s.rules[o.Name], s.tainted = o, nil
	case *resourcev1.DeviceClass:
		if old := s.classes[o.Name]; old != nil {
			s.resources.OnUpdate(old, o)
		} else {
			s.resources.OnAdd(o, false)
		}
		s.classes[o.Name] = o
	}
}

// Remove takes in that an object is gone.
func (s *Store) Remove(obj any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := obj.(type) {
	case *resourcev1.ResourceClaim:
		if c := s.claims[keyOf(o)]; c != nil {
			s.taken.count(c.view(), -1)
			delete(s.claims, keyOf(o))
		}
		s.wake()
	case *resourcev1.ResourceSlice:
		delete(s.slices, o.Name)
		s.tainted = nil
	case *resourcev1.DeviceTaintRule:
		delete(s.rules, o.Name)
		s.tainted = nil
	case *resourcev1.DeviceClass:
		if old := s.classes[o.Name]; old != nil {
			s.resources.OnDelete(old)
		}
		delete(s.classes, o.Name)
	}
}

func (s *Store) setClaim(o *resourcev1.ResourceClaim) {
	c := s.claims[keyOf(o)]
	if c == nil {
		c = &claim{}
		s.claims[keyOf(o)] = c
	}
	s.taken.count(c.view(), -1)
	c.api = o
	if c.assumed != nil && (c.assumed.UID != o.UID || !older(o, c.assumed)) {
		c.assumed = nil
	}
	s.taken.count(c.view(), 1)
	s.wake()
}

func older(a, b *resourcev1.ResourceClaim) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order < 0
}

// Claim returns a claim as the newest answer of the API has it, or an error as
// the API's.
func (s *Store) Claim(key types.NamespacedName) (*resourcev1.ResourceClaim, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.claims[key]; c != nil {
		return c.view(), nil
	}
	return nil, apierrors.NewNotFound(resourcev1.Resource("resourceclaims"), key.Name)
}

// ExtendedClaim returns the claim that was made for a pod's extended resources,
// or nil.
func (s *Store) ExtendedClaim(pod *v1.Pod) *resourcev1.ResourceClaim {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, c := range s.claims {
		o := c.view()
		if key.Namespace != pod.Namespace || o.Annotations[resourcev1.ExtendedResourceClaimAnnotation] != "true" {
			continue
		}
		for _, ref := range o.OwnerReferences {
			if ref.UID == pod.UID && ref.Controller != nil && *ref.Controller {
				return o
			}
		}
	}
	return nil
}

// Get returns a class; it makes the Store a structured.DeviceClassLister.
func (s *Store) Get(name string) (*resourcev1.DeviceClass, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.classes[name]; c != nil {
		return c, nil
	}
	return nil, apierrors.NewNotFound(resourcev1.Resource("deviceclasses"), name)
}

// List implements structured.DeviceClassLister.
func (s *Store) List() ([]*resourcev1.DeviceClass, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*resourcev1.DeviceClass, 0, len(s.classes))
	for _, c := range s.classes {
		out = append(out, c)
	}
	return out, nil
}

var _ structured.DeviceClassLister = &Store{}

// ClassOf returns the class whose devices an extended resource stands for, or nil.
func (s *Store) ClassOf(name v1.ResourceName) *resourcev1.DeviceClass {
	if !extendedresource.Is(name) && !strings.HasPrefix(string(name), resourcev1.ResourceDeviceClassPrefix) {
		return nil
	}
	return s.resources.GetDeviceClass(name)
}

// AnyClass reports whether any DeviceClass exists; otherwise no extended
// resource maps to a device.
func (s *Store) AnyClass() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.classes) > 0
}

// Slices returns all slices, their devices with the taints that rules add.
func (s *Store) Slices() []*resourcev1.ResourceSlice {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tainted == nil {
		s.tainted = make([]*resourcev1.ResourceSlice, 0, len(s.slices))
		for _, slice := range s.slices {
			for _, rule := range s.rules {
				slice = withTaints(slice, rule)
			}
			s.tainted = append(s.tainted, slice)
		}
		slices.SortFunc(s.tainted, func(a, b *resourcev1.ResourceSlice) int { return strings.Compare(a.Name, b.Name) })
	}
	return s.tainted
}

// withTaints returns a slice with the taint of a rule on the devices that the
// rule selects; without a selector it selects none.
func withTaints(slice *resourcev1.ResourceSlice, rule *resourcev1.DeviceTaintRule) *resourcev1.ResourceSlice {
	matches := func(want *string, have string) bool { return want == nil || *want == have }
	selector := rule.Spec.DeviceSelector
	if selector == nil || !matches(selector.Driver, slice.Spec.Driver) || !matches(selector.Pool, slice.Spec.Pool.Name) {
		return slice
	}
	out := slice
	for i := range slice.Spec.Devices {
		if !matches(selector.Device, slice.Spec.Devices[i].Name) {
			continue
		}
		if out == slice {
			out = slice.DeepCopy()
		}
		out.Spec.Devices[i].Taints = append(out.Spec.Devices[i].Taints, rule.Spec.Taint)
	}
	return out
}

// Taken returns which devices are taken, by claims and by what is decided.
func (s *Store) Taken() structured.AllocatedState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken.state()
}

// Pending returns what a claim was decided to get, or nil.
func (s *Store) Pending(uid types.UID) *resourcev1.AllocationResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.pending[uid]; c != nil {
		return c.Status.Allocation
	}
	return nil
}

// Decide takes what a claim, which is a copy with its allocation, is going to
// get; it fails if that was decided already.
func (s *Store) Decide(c *resourcev1.ResourceClaim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.claims[keyOf(c)]
	if s.pending[c.UID] != nil || known != nil && known.view().UID == c.UID && known.view().Status.Allocation != nil {
		return fmt.Errorf("allocating resourceclaim %s: it is allocated already", c.Name)
	}
	s.pending[c.UID] = c
	s.taken.count(c, 1)
	return nil
}

// Written replaces a decision about the claim uid by the claim as the API
// answered. A claim for extended resources has another UID from then on.
func (s *Store) Written(uid types.UID, c *resourcev1.ResourceClaim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.claims[keyOf(c)]
	if known == nil {
		known = &claim{}
		s.claims[keyOf(c)] = known
	}
	if view := known.view(); view == nil || view.UID != c.UID || older(view, c) {
		s.taken.count(view, -1)
		known.assumed = c
		s.taken.count(c, 1)
	}
	s.revoke(uid)
}

// Revoke frees what was decided about a claim.
func (s *Store) Revoke(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoke(uid)
}

func (s *Store) revoke(uid types.UID) {
	s.taken.count(s.pending[uid], -1)
	delete(s.pending, uid)
}

// Watch returns a channel that gets a value, at most one ahead, at every event
// of a claim. stop ends it.
func (s *Store) Watch() (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters[c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiters, c)
	}
}

func (s *Store) wake() {
	for c := range s.waiters {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

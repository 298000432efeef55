// Package dynamicresources places pods where the devices that their
// ResourceClaims ask for can be had, allocates those devices and reserves the
// claims for the pods. Extended resources that device classes stand for become
// a claim that the plugin makes itself.
// https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/
//
// A pod without claims and without such resources pays a comparison or two.
//
// The API of this package is not stable: see docs/api.md.
package dynamicresources

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/events"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/dynamic-resource-allocation/cel"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/dynamic-resource-allocation/structured"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/scheduler/devices"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "DynamicResources"

	stateKey fwk.StateKey = Name

	// filterTimeout bounds the search for devices of one node, bindingTimeout the
	// wait for them to become ready: upstream's defaults.
	filterTimeout  = 10 * time.Second
	bindingTimeout = 10 * time.Minute
	// compiledExpressions is how many CEL expressions are kept compiled.
	compiledExpressions = 10
)

// features returns the features that are on by default in Kubernetes 1.37.
func features() structured.Features {
	return structured.Features{
		AdminAccess: true, PrioritizedList: true, PartitionableDevices: true, DeviceTaints: true,
		DeviceBindingAndStatus: true, ConsumableCapacity: true, FractionalCapacityRange: true,
	}
}

// DynamicResources is the plugin.
type DynamicResources struct {
	client   client.Client
	store    *devices.Store
	clock    clock.Clock
	recorder events.EventRecorder
	// cel is made when it is needed first: that takes its time.
	cel func() *cel.Cache
}

var (
	_ fwk.PreEnqueuePlugin  = &DynamicResources{}
	_ fwk.PreFilterPlugin   = &DynamicResources{}
	_ fwk.FilterPlugin      = &DynamicResources{}
	_ fwk.PostFilterPlugin  = &DynamicResources{}
	_ fwk.PreScorePlugin    = &DynamicResources{}
	_ fwk.ScorePlugin       = &DynamicResources{}
	_ fwk.ReservePlugin     = &DynamicResources{}
	_ fwk.PreBindPlugin     = &DynamicResources{}
	_ fwk.EnqueueExtensions = &DynamicResources{}
)

// New returns the plugin, which writes through c.
func New(c client.Client, store *devices.Store, clk clock.Clock, rec events.EventRecorder) *DynamicResources {
	return &DynamicResources{
		client: c, store: store, clock: clk, recorder: rec,
		cel: sync.OnceValue(func() *cel.Cache {
			return cel.NewCache(compiledExpressions, cel.Features{EnableConsumableCapacity: true})
		}),
	}
}

func (*DynamicResources) Name() string { return Name }

// state holds a cycle's data of a pod with claims.
type state struct {
	claims []*claim
	// allocator is nil if there is nothing to allocate.
	allocator structured.Allocator
	// scalars are the extended resources that a class stands for, by what the pod asks.
	scalars map[v1.ResourceName]int64

	mu sync.Mutex
	// unavailable are claims with devices that some node cannot reach.
	unavailable sets.Set[int]
	byNode      map[string]*placement
}

// claim is one of a pod's claims.
type claim struct {
	*resourcev1.ResourceClaim
	// extended marks the one for extended resources. Until PreBind it is not in
	// the API: then it has no name.
	extended bool
	// reachable is from where its devices can be reached, if it has any and not
	// all nodes can.
	reachable *nodeaffinity.NodeSelector
	// decided is the allocation that Reserve chose for it, under the UID it had then.
	decided *resourcev1.AllocationResult
	uid     types.UID
}

func (c *claim) allocated() bool { return c.Status.Allocation != nil }

// placement is the pod's allocation on one node.
type placement struct {
	// results are in the order of the claims that have nothing yet.
	results []resourcev1.AllocationResult
	// extended is the claim for extended resources as this node needs it, if it does.
	extended *resourcev1.ResourceClaim
	mappings []v1.ContainerExtendedResourceRequest
}

// Clone shares the state: trying other sets of pods frees no device.
func (s *state) Clone() fwk.StateData { return s }

func read(cs fwk.CycleState) *state {
	data, err := cs.Read(stateKey)
	if err != nil {
		return nil
	}
	s, _ := data.(*state)
	return s
}

func (s *state) extended() *claim {
	if n := len(s.claims); n > 0 && s.claims[n-1].extended {
		return s.claims[n-1]
	}
	return nil
}

func refused(format string, args ...any) *fwk.Status {
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, fmt.Sprintf(format, args...))
}

// PreEnqueue keeps pods out of the queue whose claims are not there yet.
func (p *DynamicResources) PreEnqueue(_ context.Context, pod *v1.Pod) *fwk.Status {
	if _, err := p.claimsOf(pod); err != nil {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, err.Error())
	}
	return nil
}

// claimsOf returns the claims a pod names, or why it cannot have them.
func (p *DynamicResources) claimsOf(pod *v1.Pod) ([]*resourcev1.ResourceClaim, error) {
	var claims []*resourcev1.ResourceClaim
	for i := range pod.Spec.ResourceClaims {
		name, mustOwn, err := resourceclaim.Name(pod, &pod.Spec.ResourceClaims[i])
		if err != nil {
			return nil, err
		}
		if name == nil {
			continue // The pod goes without.
		}
		c, err := p.store.Claim(types.NamespacedName{Namespace: pod.Namespace, Name: *name})
		if err != nil {
			return nil, err
		}
		if c.DeletionTimestamp != nil {
			return nil, fmt.Errorf("resourceclaim %q is being deleted", c.Name)
		}
		if mustOwn {
			if err := resourceclaim.IsForPod(pod, c, false); err != nil {
				return nil, err
			}
		}
		claims = append(claims, c)
	}
	return claims, nil
}

// PreFilter skips pods without claims, refuses those whose claims cannot be had
// now, and prepares the search for devices.
func (p *DynamicResources) PreFilter(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	if len(pod.Spec.ResourceClaims) == 0 && !p.store.AnyClass() {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	s := &state{byNode: map[string]*placement{}, unavailable: sets.New[int]()}
	own, err := p.claimsOf(pod)
	if err != nil {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, err.Error())
	}
	for _, c := range own {
		s.claims = append(s.claims, &claim{ResourceClaim: c, uid: c.UID})
	}
	if extended := p.extendedClaim(pod, s); extended != nil {
		s.claims = append(s.claims, &claim{ResourceClaim: extended, uid: extended.UID, extended: true})
	}
	if len(s.claims) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	search := false
	for _, c := range s.claims {
		if st := p.prepare(pod, c); st != nil {
			return nil, st
		}
		search = search || !c.allocated()
	}
	if search {
		s.allocator, err = structured.NewAllocator(ctx, features(), p.store.Taken(), p.store, p.store.Slices(), p.cel())
		if err != nil {
			return nil, fwk.AsStatus(err)
		}
	}
	cs.Write(stateKey, s)
	return nil, nil
}

// prepare looks at one claim before nodes are.
func (p *DynamicResources) prepare(pod *v1.Pod, c *claim) *fwk.Status {
	if c.allocated() {
		if !resourceclaim.CanBeReserved(c.ResourceClaim) && !resourceclaim.IsReservedForPod(pod, c.ResourceClaim, false) {
			return refused("resourceclaim in use")
		}
		if selector := c.Status.Allocation.NodeSelector; selector != nil {
			var err error
			if c.reachable, err = nodeaffinity.NewNodeSelector(selector); err != nil {
				return fwk.AsStatus(fmt.Errorf("reading where devices of resourceclaim %s are: %w", c.Name, err))
			}
		}
		return nil
	}
	if p.store.Pending(c.UID) != nil {
		return refused("resource claim %s/%s is in the process of being allocated", c.Namespace, c.Name)
	}
	for i := range c.Spec.Devices.Requests {
		r := &c.Spec.Devices.Requests[i]
		switch {
		case r.Exactly != nil:
			if st := p.classExists(r.Exactly.DeviceClassName, r.Name); st != nil {
				return st
			}
		case len(r.FirstAvailable) > 0:
			for _, sub := range r.FirstAvailable {
				if st := p.classExists(sub.DeviceClassName, r.Name+"/"+sub.Name); st != nil {
					return st
				}
			}
		default:
			return refused("resource claim %s/%s, request %s: unknown request type", c.Namespace, c.Name, r.Name)
		}
	}
	return nil
}

func (p *DynamicResources) classExists(class, request string) *fwk.Status {
	if class == "" {
		return fwk.AsStatus(fmt.Errorf("request %s: unsupported request type", request))
	}
	if _, err := p.store.Get(class); err != nil {
		return refused("request %s: device class %s does not exist", request, class)
	}
	return nil
}

func (*DynamicResources) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

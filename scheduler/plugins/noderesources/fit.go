// Package noderesources fits pods into what nodes have left, and prefers nodes
// with much left (LeastAllocated) whose resources are used evenly (BalancedAllocation).
//
// The API of this package is not stable: see docs/api.md.
package noderesources

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

const (
	// FitName is the plugin's name in Kubernetes.
	FitName = "NodeResourcesFit"

	fitKey fwk.StateKey = "PreFilter" + FitName
)

// Fit filters by requests and scores by what would be left.
type Fit struct {
	// isDevice reports whether a class of devices stands for an extended resource.
	isDevice func(v1.ResourceName) bool
}

var _ fwk.PreFilterPlugin = &Fit{}
var _ fwk.FilterPlugin = &Fit{}
var _ fwk.ScorePlugin = &Fit{}
var _ fwk.EnqueueExtensions = &Fit{}

// request holds a pod's requests, in the units of cache.Resource.
type request struct {
	cpu, memory, storage int64
	scalars              map[v1.ResourceName]int64
	// scoreCPU and scoreMemory count a default for containers that ask nothing.
	scoreCPU, scoreMemory int64
}

// Clone shares the request: nothing changes it.
func (r *request) Clone() fwk.StateData { return r }

func requestOf(pod *v1.Pod) *request {
	pi, _ := cache.NewPodInfo(pod) // affinity plays no part here
	sum := pi.CalculateResource()
	return &request{
		cpu: sum.Resource.GetMilliCPU(), memory: sum.Resource.GetMemory(), storage: sum.Resource.GetEphemeralStorage(),
		scalars: sum.Resource.GetScalarResources(), scoreCPU: sum.Non0CPU, scoreMemory: sum.Non0Mem,
	}
}

// NewFit returns the plugin. Of an extended resource for which isDevice, nodes
// may have devices instead, which plugin DynamicResources looks for.
func NewFit(isDevice func(v1.ResourceName) bool) *Fit { return &Fit{isDevice: isDevice} }

func (*Fit) Name() string { return FitName }

// PreFilter sums what the pod asks for.
func (*Fit) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	cs.Write(fitKey, requestOf(pod))
	return nil, nil
}

func (*Fit) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

func readRequest(cs fwk.CycleState) (*request, *fwk.Status) {
	data, err := cs.Read(fitKey)
	if err != nil {
		return nil, fwk.AsStatus(fmt.Errorf("reading %q: %w", fitKey, err))
	}
	return data.(*request), nil
}

// Filter refuses nodes that lack a resource; a node that could never hold the
// pod, even empty, is beyond what preemption can do.
func (f *Fit) Filter(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	r, s := readRequest(cs)
	if s != nil {
		return s
	}
	reasons, never := r.lacks(node, f.isDevice)
	if len(reasons) == 0 {
		return nil
	}
	if never {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, reasons...)
	}
	return fwk.NewStatus(fwk.Unschedulable, reasons...)
}

// lacks names what the node has too little of, and whether it is too small even
// when empty.
func (r *request) lacks(node fwk.NodeInfo, isDevice func(v1.ResourceName) bool) (reasons []string, never bool) {
	alloc, used := node.GetAllocatable(), node.GetRequested()
	if len(node.GetPods())+1 > alloc.GetAllowedPodNumber() {
		reasons = append(reasons, "Too many pods")
		never = alloc.GetAllowedPodNumber() < 1
	}
	check := func(name v1.ResourceName, want, total, used int64) {
		if want > 0 && want > total-used {
			reasons = append(reasons, "Insufficient "+string(name))
			never = never || want > total
		}
	}
	check(v1.ResourceCPU, r.cpu, alloc.GetMilliCPU(), used.GetMilliCPU())
	check(v1.ResourceMemory, r.memory, alloc.GetMemory(), used.GetMemory())
	check(v1.ResourceEphemeralStorage, r.storage, alloc.GetEphemeralStorage(), used.GetEphemeralStorage())
	for name, want := range r.scalars {
		if alloc.GetScalarResources()[name] == 0 && isDevice(name) {
			continue
		}
		check(name, want, alloc.GetScalarResources()[name], used.GetScalarResources()[name])
	}
	return reasons, never
}

// Score returns the LeastAllocated strategy: the mean share of CPU and memory
// that would stay free.
func (*Fit) Score(_ context.Context, cs fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	r, s := readRequest(cs)
	if s != nil {
		return 0, s
	}
	alloc, used := node.GetAllocatable(), node.GetNonZeroRequested()
	var sum, weights int64
	free := func(want, used, total int64) {
		if total == 0 {
			return
		}
		weights++
		if want+used <= total {
			sum += (total - used - want) * fwk.MaxScore / total
		}
	}
	free(r.scoreCPU, used.GetMilliCPU(), alloc.GetMilliCPU())
	free(r.scoreMemory, used.GetMemory(), alloc.GetMemory())
	if weights == 0 {
		return 0, nil
	}
	return sum / weights, nil
}

func (*Fit) ScoreExtensions() fwk.ScoreExtensions { return nil }

// EventsToRegister waits for room: nodes, pods that end or shrink, the pod itself
// asking for less, and classes of devices that come to stand for what it asks.
func (f *Fit) EventsToRegister(context.Context) ([]fwk.ClusterEventWithHint, error) {
	return []fwk.ClusterEventWithHint{
		{Event: fwk.ClusterEvent{Resource: fwk.Pod, ActionType: fwk.Delete | fwk.UpdatePodScaleDown}, QueueingHintFn: podFrees},
		{Event: fwk.ClusterEvent{Resource: fwk.Node, ActionType: fwk.Add | fwk.UpdateNodeAllocatable}, QueueingHintFn: f.nodeFits},
		{Event: fwk.ClusterEvent{Resource: fwk.DeviceClass, ActionType: fwk.Add | fwk.Update}, QueueingHintFn: classStands},
	}, nil
}

func podFrees(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	old, _ := oldObj.(*v1.Pod)
	changed, _ := newObj.(*v1.Pod)
	switch {
	case old == nil:
		return fwk.Queue, nil
	case changed == nil: // deleted; an end frees a pod slot at the least, if it was on a node
		if old.Spec.NodeName == "" {
			return fwk.QueueSkip, nil
		}
		return fwk.Queue, nil
	case changed.UID == pod.UID, changed.Spec.NodeName != "":
		was, is := requestOf(old), requestOf(changed)
		if requestOf(pod).helpedBy(was, is) || changed.UID == pod.UID {
			return fwk.Queue, nil
		}
	}
	return fwk.QueueSkip, nil
}

// helpedBy reports whether another pod's change from was to is frees something
// that r requests.
func (r *request) helpedBy(was, is *request) bool {
	if r.cpu > 0 && was.cpu > is.cpu || r.memory > 0 && was.memory > is.memory || r.storage > 0 && was.storage > is.storage {
		return true
	}
	for name, want := range r.scalars {
		if want > 0 && was.scalars[name] > is.scalars[name] {
			return true
		}
	}
	return false
}

// nodeFits wakes the pod if the node, when empty, could hold it and has more
// than before of something the pod asks for.
func (f *Fit) nodeFits(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	node, ok := newObj.(*v1.Node)
	if !ok {
		return fwk.Queue, fmt.Errorf("judging a node event: got %T", newObj)
	}
	r := requestOf(pod)
	if reasons, _ := r.lacks(cache.NewNodeInfo(node), f.isDevice); len(reasons) > 0 {
		return fwk.QueueSkip, nil
	}
	old, ok := oldObj.(*v1.Node)
	if !ok || old == nil {
		return fwk.Queue, nil
	}
	was, is := cache.NewResource(old.Status.Allocatable), cache.NewResource(node.Status.Allocatable)
	grew := is.AllowedPodNumber > was.AllowedPodNumber ||
		r.cpu > 0 && is.MilliCPU > was.MilliCPU || r.memory > 0 && is.Memory > was.Memory ||
		r.storage > 0 && is.EphemeralStorage > was.EphemeralStorage
	for name, want := range r.scalars {
		grew = grew || want > 0 && is.ScalarResources[name] > was.ScalarResources[name]
	}
	if grew {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

// classStands wakes the pod for a class that begins to stand for an extended
// resource of its: DynamicResources looks for that then.
func classStands(_ klog.Logger, pod *v1.Pod, oldObj, newObj any) (fwk.QueueingHint, error) {
	class, ok := newObj.(*resourcev1.DeviceClass)
	if !ok {
		return fwk.Queue, fmt.Errorf("judging an event of a device class: got %T", newObj)
	}
	wanted := requestOf(pod).scalars
	old, _ := oldObj.(*resourcev1.DeviceClass)
	if old == nil && wanted[v1.ResourceName(resourcev1.ResourceDeviceClassPrefix+class.Name)] > 0 {
		return fwk.Queue, nil
	}
	if name := class.Spec.ExtendedResourceName; name != nil && wanted[v1.ResourceName(*name)] > 0 &&
		(old == nil || !ptr.Equal(old.Spec.ExtendedResourceName, name)) {
		return fwk.Queue, nil
	}
	return fwk.QueueSkip, nil
}

package dynamicresources

import (
	"context"
	"errors"
	"fmt"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/dynamic-resource-allocation/structured"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/framework"
)

// Filter refuses nodes from which devices that claims have cannot be reached,
// and those where devices that claims want cannot be had.
func (p *DynamicResources) Filter(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	s, node := read(cs), info.Node()
	if s == nil {
		return nil
	}
	here := &placement{}
	if s.extended() != nil {
		st := p.onNode(s, pod, info, here)
		if st != nil || here.extended == nil && len(s.claims) == 1 {
			return st // refused, or the node has the resources without devices
		}
	}
	if unavailable := p.unreachable(s, node); len(unavailable) > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unavailable.Insert(unavailable...)
		return refused("resourceclaim not available on the node")
	}
	if s.allocator == nil {
		return nil
	}
	var want []*resourcev1.ResourceClaim
	for _, c := range s.claims {
		switch {
		case c.allocated():
		case !c.extended:
			want = append(want, c.ResourceClaim)
		case here.extended != nil:
			want = append(want, here.extended)
		}
	}
	if len(want) == 0 {
		return nil // The node has the extended resources without devices.
	}
	if st := p.search(ctx, s, node, want, here); st != nil {
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byNode[node.Name] = here
	return nil
}

// search looks for devices on a node.
func (p *DynamicResources) search(ctx context.Context, s *state, node *v1.Node, want []*resourcev1.ResourceClaim, here *placement) *fwk.Status {
	bounded, cancel := context.WithTimeout(ctx, filterTimeout)
	defer cancel()
	results, err := s.allocator.Allocate(bounded, node, want)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fwk.AsStatus(fmt.Errorf("node %s: timed out trying to allocate devices", node.Name))
	case errors.Is(err, structured.ErrFailedAllocationOnNode):
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, err.Error())
	case ctx.Err() != nil:
		return refused("asked by caller to stop allocating devices: %v", context.Cause(ctx))
	case err != nil:
		return fwk.AsStatus(err)
	case len(results) != len(want):
		return refused("cannot allocate all claims")
	}
	here.results = results
	return nil
}

// unreachable returns the claims whose devices cannot be used on a node.
func (p *DynamicResources) unreachable(s *state, node *v1.Node) (list []int) {
	for i, c := range s.claims {
		if !c.allocated() {
			continue
		}
		ready, err := readyForBinding(c.ResourceClaim)
		if c.reachable != nil && !c.reachable.Match(node) || err != nil || !ready && p.overdue(c.ResourceClaim) {
			list = append(list, i)
		}
	}
	return list
}

var errBindingFailed = errors.New("device binding failed")

// readyForBinding reports whether all devices of a claim are ready to be used
// by the pod, or fails if one never will be.
func readyForBinding(c *resourcev1.ResourceClaim) (bool, error) {
	if c.Status.Allocation == nil {
		return false, nil
	}
	for i := range c.Status.Allocation.Devices.Results {
		r := &c.Status.Allocation.Devices.Results[i]
		if len(r.BindingConditions) == 0 {
			continue
		}
		conditions := conditionsOf(c, r)
		for _, t := range r.BindingFailureConditions {
			if f := apimeta.FindStatusCondition(conditions, t); f != nil && f.Status == metav1.ConditionTrue {
				return false, fmt.Errorf("%w: claim=%s, reason=%s, message=%q", errBindingFailed, c.Name, f.Reason, f.Message)
			}
		}
		for _, t := range r.BindingConditions {
			if !apimeta.IsStatusConditionTrue(conditions, t) {
				return false, nil
			}
		}
	}
	return true, nil
}

func conditionsOf(c *resourcev1.ResourceClaim, r *resourcev1.DeviceRequestAllocationResult) []metav1.Condition {
	for i := range c.Status.Devices {
		if d := &c.Status.Devices[i]; d.Driver == r.Driver && d.Pool == r.Pool && d.Device == r.Device {
			return d.Conditions
		}
	}
	return nil
}

func waitsForDevices(c *resourcev1.ResourceClaim) bool {
	if c.Status.Allocation == nil {
		return false
	}
	for i := range c.Status.Allocation.Devices.Results {
		if len(c.Status.Allocation.Devices.Results[i].BindingConditions) > 0 {
			return true
		}
	}
	return false
}

func (p *DynamicResources) overdue(c *resourcev1.ResourceClaim) bool {
	a := c.Status.Allocation
	return waitsForDevices(c) && a.AllocationTimestamp != nil && a.AllocationTimestamp.Add(bindingTimeout).Before(p.clock.Now())
}

// PostFilter gives devices of one claim back that no node may have use of, so
// that others are looked for; which claim does not matter.
func (p *DynamicResources) PostFilter(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, _ fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	s := read(cs)
	if s == nil {
		return nil, fwk.NewStatus(fwk.Unschedulable)
	}
	for i := range s.unavailable {
		c := s.claims[i]
		if c.extended {
			continue
		}
		mine := len(c.Status.ReservedFor) == 1 && c.Status.ReservedFor[0].UID == pod.UID
		if len(c.Status.ReservedFor) > 0 && !mine {
			continue
		}
		next := c.DeepCopy()
		next.Status.ReservedFor, next.Status.Allocation, next.Status.Devices = nil, nil, nil
		if err := p.client.Status().Update(ctx, next); err != nil {
			return nil, fwk.AsStatus(err)
		}
		return nil, fwk.NewStatus(fwk.Unschedulable, "deallocation of ResourceClaim completed")
	}
	if e := s.extended(); e != nil && e.Name != "" {
		// Left by an earlier cycle whose end failed.
		if err := p.deleteClaim(ctx, e.ResourceClaim); err != nil {
			return nil, fwk.AsStatus(err)
		}
		return nil, fwk.NewStatus(fwk.Unschedulable, "deletion of ResourceClaim completed")
	}
	return nil, fwk.NewStatus(fwk.Unschedulable)
}

// PreScore skips pods without claims.
func (*DynamicResources) PreScore(_ context.Context, cs fwk.CycleState, _ *v1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	if s := read(cs); s == nil || s.allocator == nil {
		return fwk.NewStatus(fwk.Skip)
	}
	return nil
}

// Score prefers nodes where requests get what they would rather have.
func (*DynamicResources) Score(_ context.Context, cs fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) (int64, *fwk.Status) {
	s := read(cs)
	if s == nil {
		return 0, nil
	}
	s.mu.Lock()
	here := s.byNode[info.Node().Name]
	s.mu.Unlock()
	if here == nil {
		return 0, nil
	}
	var score int64
	next := 0
	for _, c := range s.claims {
		allocation := c.Status.Allocation
		if c.extended && here.extended == nil {
			continue
		}
		if allocation == nil && next < len(here.results) {
			allocation = &here.results[next]
			next++
		}
		if allocation != nil {
			score += preference(c.ResourceClaim, allocation)
		}
	}
	return score, nil
}

// preference returns a score that is higher the earlier the chosen alternatives are.
func preference(c *resourcev1.ResourceClaim, a *resourcev1.AllocationResult) (score int64) {
	chosen := sets.New[string]()
	for i := range a.Devices.Results {
		chosen.Insert(a.Devices.Results[i].Request)
	}
	for i := range c.Spec.Devices.Requests {
		r := &c.Spec.Devices.Requests[i]
		for j, sub := range r.FirstAvailable {
			if chosen.Has(resourceclaim.CreateSubRequestRef(r.Name, sub.Name)) {
				score += int64(resourcev1.FirstAvailableDeviceRequestMaxSize - j)
			}
		}
	}
	return score
}

// ScoreExtensions implements fwk.ScorePlugin.
func (p *DynamicResources) ScoreExtensions() fwk.ScoreExtensions { return p }

// NormalizeScore implements fwk.ScoreExtensions.
func (*DynamicResources) NormalizeScore(_ context.Context, _ fwk.CycleState, _ *v1.Pod, scores fwk.NodeScoreList) *fwk.Status {
	framework.NormalizeScores(fwk.MaxScore, false, scores)
	return nil
}

package dynamicresources

import (
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/dynamic-resource-allocation/resourceclaim"
	fwk "k8s.io/kube-scheduler/framework"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Reserve takes the devices that were found on the node, so that no other pod is
// promised them before they are written.
func (p *DynamicResources) Reserve(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node string) *fwk.Status {
	s := read(cs)
	if s == nil || s.allocator == nil {
		return nil
	}
	here := s.byNode[node]
	if here == nil {
		if s.wantsNothingElse() {
			return nil // The node has the extended resources without devices.
		}
		return fwk.AsStatus(errors.New("claim allocation not found for node"))
	}
	next := 0
	for _, c := range s.claims {
		if c.allocated() || c.extended && here.extended == nil {
			continue
		}
		if next >= len(here.results) {
			return fwk.AsStatus(fmt.Errorf("have %d allocations, too few for %d claims", len(here.results), len(s.claims)))
		}
		decided := c.DeepCopy()
		if c.extended && here.extended != nil {
			decided = here.extended.DeepCopy()
		}
		decided.Status.Allocation = &here.results[next]
		next++
		if err := p.store.Decide(decided); err != nil {
			return fwk.AsStatus(err)
		}
		c.decided = decided.Status.Allocation
	}
	return nil
}

// wantsNothingElse reports whether all claims but that for extended resources
// have their devices.
func (s *state) wantsNothingElse() bool {
	return !slices.ContainsFunc(s.claims, func(c *claim) bool { return !c.extended && !c.allocated() })
}

// Unreserve gives back what Reserve took and takes the pod out of claims that
// it was written into.
func (p *DynamicResources) Unreserve(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, _ string) {
	s := read(cs)
	if s == nil {
		return
	}
	// It has to be done even if the scheduler stops.
	ctx = context.WithoutCancel(ctx)
	for _, c := range s.claims {
		if c.decided != nil {
			p.store.Revoke(c.uid)
			c.decided = nil
		}
		var err error
		switch {
		case c.extended && c.Name != "":
			err = p.deleteClaim(ctx, c.ResourceClaim)
		case !c.extended && c.allocated() && resourceclaim.IsReservedForPod(pod, c.ResourceClaim, false):
			patch := fmt.Sprintf(`{"metadata":{"uid":%q},"status":{"reservedFor":[{"$patch":"delete","uid":%q}]}}`, c.UID, pod.UID)
			err = p.client.Status().Patch(ctx, c.DeepCopy(), client.RawPatch(types.StrategicMergePatchType, []byte(patch)))
		}
		if err != nil {
			// The next cycle of the pod comes by here again.
			log.FromContext(ctx).Error(err, "Giving a claim back failed", "claim", c.Name)
		}
	}
}

// PreBindPreFlight implements fwk.PreBindPlugin.
func (*DynamicResources) PreBindPreFlight(_ context.Context, cs fwk.CycleState, _ *v1.Pod, _ string) (*fwk.PreBindPreFlightResult, *fwk.Status) {
	result := &fwk.PreBindPreFlightResult{AllowParallel: true}
	if read(cs) == nil {
		return result, fwk.NewStatus(fwk.Skip)
	}
	return result, nil
}

// PreBind writes allocations and the pod's reservations, and waits for devices
// that have to be made ready first.
func (p *DynamicResources) PreBind(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, node string) *fwk.Status {
	s := read(cs)
	if s == nil {
		return nil
	}
	for _, c := range s.claims {
		if resourceclaim.IsReservedForPod(pod, c.ResourceClaim, false) || c.extended && c.decided == nil {
			continue
		}
		if err := p.bind(ctx, s, c, pod, node); err != nil {
			return fwk.AsStatus(err)
		}
	}
	if !slices.ContainsFunc(s.claims, func(c *claim) bool { return waitsForDevices(c.ResourceClaim) }) {
		return nil
	}
	p.recorder.Eventf(pod, nil, v1.EventTypeNormal, "BindingConditionsPending", "Scheduling", "waiting for binding conditions for device on node %s", node)
	if err := p.await(ctx, s); err != nil {
		return fwk.AsStatus(err)
	}
	return nil
}

// bind writes one claim.
func (p *DynamicResources) bind(ctx context.Context, s *state, c *claim, pod *v1.Pod, node string) error {
	if c.extended && c.Name == "" {
		made := s.byNode[node].extended.DeepCopy()
		made.UID = ""
		if err := p.client.Create(ctx, made); err != nil {
			return fmt.Errorf("create claim for extended resources %s/%s: %w", made.Namespace, made.GenerateName, err)
		}
		c.ResourceClaim = made
	}
	next := c.DeepCopy()
	fresh := true
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if !fresh {
			if err := p.client.Get(ctx, client.ObjectKeyFromObject(next), next); err != nil {
				return fmt.Errorf("get updated claim %s/%s after conflict: %w", next.Namespace, next.Name, err)
			}
		}
		fresh = false
		return p.write(ctx, next, c.decided, pod)
	})
	if err != nil {
		return err
	}
	p.store.Written(c.uid, next)
	c.ResourceClaim = next
	if !c.extended {
		return nil
	}
	return p.tellPod(ctx, pod, next.Name, s.byNode[node].mappings)
}

// write puts the pod, and what was decided if anything was, into a claim.
func (p *DynamicResources) write(ctx context.Context, c *resourcev1.ResourceClaim, decided *resourcev1.AllocationResult, pod *v1.Pod) error {
	if c.DeletionTimestamp != nil {
		return fmt.Errorf("claim %s/%s got deleted in the meantime", c.Namespace, c.Name)
	}
	what := "reservation"
	if decided != nil {
		what = "allocation and reservation"
		if c.Status.Allocation != nil {
			return fmt.Errorf("claim %s/%s got allocated elsewhere in the meantime", c.Namespace, c.Name)
		}
		if !slices.Contains(c.Finalizers, resourcev1.Finalizer) {
			c.Finalizers = append(c.Finalizers, resourcev1.Finalizer)
			if err := p.client.Update(ctx, c); err != nil {
				return fmt.Errorf("add finalizer to claim %s/%s: %w", c.Namespace, c.Name, err)
			}
		}
		c.Status.Allocation = decided.DeepCopy()
	}
	if c.Status.Allocation == nil {
		return fmt.Errorf("claim %s/%s got deallocated elsewhere in the meantime", c.Namespace, c.Name)
	}
	if c.Status.Allocation.AllocationTimestamp == nil {
		c.Status.Allocation.AllocationTimestamp = &metav1.Time{Time: p.clock.Now()}
	}
	c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: pod.Name, UID: pod.UID})
	if err := p.client.Status().Update(ctx, c); err != nil {
		return fmt.Errorf("add %s to claim %s/%s: %w", what, c.Namespace, c.Name, err)
	}
	return nil
}

// tellPod writes into the pod's status which of its extended resources are which devices.
func (p *DynamicResources) tellPod(ctx context.Context, pod *v1.Pod, claim string, mappings []v1.ContainerExtendedResourceRequest) error {
	next := pod.DeepCopy()
	next.Status.ExtendedResourceClaimStatus = &v1.PodExtendedResourceClaimStatus{ResourceClaimName: claim, RequestMappings: mappings}
	if err := p.client.Status().Patch(ctx, next, client.StrategicMergeFrom(pod)); err != nil {
		return fmt.Errorf("update pod %s/%s ExtendedResourceClaimStatus: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

// errBindingTimeout is upstream's text.
var errBindingTimeout = errors.New("device binding timeout")

// await waits until the devices of all claims are ready, or one never will be.
func (p *DynamicResources) await(ctx context.Context, s *state) error {
	changed, stop := p.store.Watch()
	defer stop()
	timer := p.clock.NewTimer(bindingTimeout)
	defer timer.Stop()
	for {
		ready, err := p.allReady(s)
		if ready || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-timer.C():
			return errBindingTimeout
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *DynamicResources) allReady(s *state) (bool, error) {
	for _, c := range s.claims {
		if c.Name == "" {
			continue
		}
		newest, err := p.store.Claim(types.NamespacedName{Namespace: c.Namespace, Name: c.Name})
		if err != nil {
			return false, err
		}
		c.ResourceClaim = newest
		ready, err := readyForBinding(newest)
		if err != nil {
			return false, err
		}
		if !ready && p.overdue(newest) {
			return false, fmt.Errorf("%w: claim=%s", errBindingTimeout, newest.Name)
		}
		if !ready {
			return false, nil
		}
	}
	return true, nil
}

// deleteClaim deletes a claim for extended resources, which only its pod uses.
func (p *DynamicResources) deleteClaim(ctx context.Context, c *resourcev1.ResourceClaim) error {
	next := c.DeepCopy()
	next.Finalizers = slices.DeleteFunc(next.Finalizers, func(f string) bool { return f == resourcev1.Finalizer })
	if len(next.Finalizers) != len(c.Finalizers) {
		if err := p.client.Patch(ctx, next, client.MergeFrom(c)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("update resourceclaim %s/%s: %w", c.Namespace, c.Name, err)
		}
	}
	if err := p.client.Delete(ctx, next, client.Preconditions{UID: &c.UID}); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting resourceclaim %s/%s: %w", c.Namespace, c.Name, err)
	}
	return nil
}

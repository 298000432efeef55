package pods

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// allocated returns the resources that the node granted a container: those of
// its spec unless a resize waits.
func (p *planner) allocated(c *corev1.Container) corev1.ResourceRequirements {
	if r, ok := p.State.Allocated[c.Name]; ok {
		return r
	}
	return c.Resources
}

// needsResize reports whether a running container's CPU and memory differ from
// what it was granted.
func (p *planner) needsResize(c *corev1.Container, o *Container) bool {
	if o.Resources == nil {
		return false
	}
	want := p.allocated(c)
	return !sameCompute(want.Limits, o.Resources.Limits) || !sameCompute(want.Requests, o.Resources.Requests)
}

// sameCompute compares CPU and memory only, which alone can change in place.
func sameCompute(a, b corev1.ResourceList) bool {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		x, y := a[name], b[name]
		if x.Cmp(y) != 0 {
			return false
		}
	}
	return true
}

// resources fills in what a container was granted and what it has.
func (p *planner) resources(s *corev1.ContainerStatus, c *corev1.Container, o *Container) {
	granted := p.allocated(c)
	s.AllocatedResources = granted.Requests
	effective := corev1.ResourceRequirements{Limits: granted.Limits, Requests: granted.Requests, Claims: granted.Claims}
	if o.Resources != nil && o.State == Running {
		effective.Limits = Overlay(granted.Limits, o.Resources.Limits)
		effective.Requests = Overlay(granted.Requests, o.Resources.Requests)
	}
	s.Resources = &effective
}

// Overlay returns base with the CPU and memory of actual.
func Overlay(base, actual corev1.ResourceList) corev1.ResourceList {
	if len(base) == 0 && len(actual) == 0 {
		return nil
	}
	out := base.DeepCopy()
	if out == nil {
		out = corev1.ResourceList{}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if q, ok := actual[name]; ok {
			out[name] = q
		} else {
			delete(out, name)
		}
	}
	return out
}

// resizeConditions sets the conditions of a resize: PodResizePending while the
// node has not granted it, PodResizeInProgress while containers change.
func (p *planner) resizeConditions(status *corev1.PodStatus, now metav1.Time) {
	set := func(t corev1.PodConditionType, on bool, reason, message string) {
		old := findCondition(status.Conditions, t)
		if !on {
			if old != nil {
				status.Conditions = removeCondition(status.Conditions, t)
			}
			return
		}
		c := corev1.PodCondition{
			Type: t, Status: corev1.ConditionTrue, Reason: reason, Message: message,
			LastTransitionTime: now, ObservedGeneration: p.Pod.Generation,
		}
		if old == nil {
			status.Conditions = append(status.Conditions, c)
			return
		}
		c.LastTransitionTime = old.LastTransitionTime
		*old = c
	}
	pending, progress, failed := false, false, ""
	if !p.plan.Terminating {
		for i := range p.Pod.Spec.Containers {
			c := &p.Pod.Spec.Containers[i]
			granted := p.allocated(c)
			pending = pending || !equality.Semantic.DeepEqual(granted, c.Resources)
			o := p.Observed.Newest(c.Name)
			if o != nil && o.State == Running && p.needsResize(c, o) {
				progress = true
				if f := p.State.Of(c.Name).ResizeFailure; f != nil {
					failed = f.Message
				}
			}
		}
	}
	reason := ""
	if failed != "" {
		reason = corev1.PodReasonError
	}
	why := p.State.ResizePending
	if why == nil {
		why = &Failure{Reason: corev1.PodReasonDeferred}
	}
	set(corev1.PodResizePending, pending, why.Reason, why.Message)
	set(corev1.PodResizeInProgress, progress, reason, failed)
}

func removeCondition(conditions []corev1.PodCondition, t corev1.PodConditionType) []corev1.PodCondition {
	out := conditions[:0:0]
	for _, c := range conditions {
		if c.Type != t {
			out = append(out, c)
		}
	}
	return out
}

// ResizeRetry is the time between two tries to resize a container.
const ResizeRetry = 10 * time.Second

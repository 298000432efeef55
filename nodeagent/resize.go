package nodeagent

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/coracle-k8s/coracle/nodeagent/cgroups"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// resizeContainer returns the effect that changes a running container's CPU and
// memory, or restarts it if its resize policy asks for that.
func (w *worker) resizeContainer(pod *corev1.Pod, action pods.Action) func(ctx context.Context) func() {
	a := w.agent
	c := containerOf(pod, action.Container)
	m := w.state.Edit(c.Name)
	granted := w.state.Allocated[c.Name]
	var before corev1.ResourceRequirements
	if o := w.observed.Newest(c.Name); o != nil && o.Resources != nil {
		before = *o.Resources
	}
	if restartsOnResize(c, before, granted) {
		return func(ctx context.Context) func() {
			w.killContainer(ctx, pod, pods.Action{
				Kind: pods.KillContainer, Container: c.Name, ContainerID: action.ContainerID,
				Grace: graceOf(pod), Message: "Container " + c.Name + " resize requires restart",
			}, false)
			return func() {}
		}
	}
	sized := *pod
	sized.Spec = *pod.Spec.DeepCopy()
	for i := range sized.Spec.Containers {
		if r, ok := w.state.Allocated[sized.Spec.Containers[i].Name]; ok {
			sized.Spec.Containers[i].Resources = r
		}
	}
	return func(ctx context.Context) func() {
		err := a.resize(ctx, &sized, action.ContainerID, granted)
		return func() {
			if err != nil {
				a.warn(pod, eventResizeError, "Pod resize error: %s", resizeSummary(&sized, runtime.Text(err)))
				m.ResizeFailure = w.again(nil, corev1.PodReasonError, runtime.Text(err), pods.ResizeRetry, pods.ResizeRetry)
				return
			}
			m.ResizeFailure = nil
			w.resized[action.ContainerID] = granted
			if err := w.record(); err != nil {
				a.log().Error(err, "A resize does not outlive this agent", "pod", pod.Name)
			}
			a.normal(pod, eventResizeCompleted, "Pod resize completed: %s", resizeSummary(&sized, ""))
			w.looked = false
		}
	}
}

// resize sets the pod's cgroup and the container's. Between old and new limits
// the pod's must never be the smaller one, so it is lifted first and set last.
func (a *Agent) resize(ctx context.Context, pod *corev1.Pod, id string, granted corev1.ResourceRequirements) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	limits := cgroups.ForPod(pod)
	if a.cgroups != nil {
		if err := a.cgroups.Set(a.cgroup(pod), cgroups.Limits{CPUShares: limits.CPUShares}); err != nil {
			return err
		}
	}
	_, err := a.runtime.UpdateContainerResources(ctx, &runtimeapi.UpdateContainerResourcesRequest{
		ContainerId: id, Linux: podconfig.Resources(pod, granted, a.memory(), a.cgroups != nil && a.cgroups.V2()),
	})
	if err == nil && a.cgroups != nil {
		err = a.cgroups.Set(a.cgroup(pod), limits)
	}
	return err
}

// resizeSummary returns the text of a resize's events, in the kubelet's format.
func resizeSummary(pod *corev1.Pod, problem string) string {
	type container struct {
		Name      string                      `json:"name"`
		Resources corev1.ResourceRequirements `json:"resources"`
	}
	each := func(list []corev1.Container) []container {
		var out []container
		for i := range list {
			out = append(out, container{list[i].Name, list[i].Resources})
		}
		return out
	}
	text, err := json.Marshal(struct {
		InitContainers []container `json:"initContainers,omitempty"`
		Containers     []container `json:"containers,omitempty"`
		Generation     int64       `json:"generation"`
		Error          string      `json:"error,omitempty"`
	}{each(pod.Spec.InitContainers), each(pod.Spec.Containers), pod.Generation, problem})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// restartsOnResize reports whether a changed resource asks for a restart.
func restartsOnResize(c *corev1.Container, before, after corev1.ResourceRequirements) bool {
	for _, p := range c.ResizePolicy {
		if p.RestartPolicy != corev1.RestartContainer {
			continue
		}
		oldLimit, newLimit := before.Limits[p.ResourceName], after.Limits[p.ResourceName]
		oldRequest, newRequest := before.Requests[p.ResourceName], after.Requests[p.ResourceName]
		if oldLimit.Cmp(newLimit) != 0 || oldRequest.Cmp(newRequest) != 0 {
			return true
		}
	}
	return false
}

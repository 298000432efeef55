package nodeagent

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
	"github.com/coracle-k8s/coracle/nodeagent/nodestatus"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

const reasonNodeAffinity = "NodeAffinity"

// admission holds all that the node's decision about a pod depends on.
type admission struct {
	pod *corev1.Pod
	// node is nil before the node's object is known; then only resources count.
	node        *corev1.Node
	allocatable corev1.ResourceList
	// unsafeSysctls are allowed besides the safe ones.
	unsafeSysctls []string
	// others are the pods that hold resources already, with what they were granted.
	others []*corev1.Pod
}

// reject returns why a pod cannot run on the node, or nil. Reasons and messages
// are the kubelet's. Critical pods are subject to it like all others.
func (a *admission) reject() *pods.Failure {
	if f := forbiddenSysctl(a.pod, a.unsafeSysctls); f != nil {
		return f
	}
	if f := a.insufficient(a.pod); f != nil {
		return f
	}
	if a.node == nil {
		return nil
	}
	match, err := nodeaffinity.GetRequiredNodeAffinity(a.pod).Match(a.node)
	if err != nil || !match {
		return &pods.Failure{Reason: reasonNodeAffinity, Message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"}
	}
	if a.portTaken() {
		return &pods.Failure{Reason: "NodePorts", Message: "Pod was rejected: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"}
	}
	return nil
}

// insufficient returns a failure if a pod requests more of a resource than is left.
func (a *admission) insufficient(pod *corev1.Pod) *pods.Failure {
	if most, ok := a.allocatable[corev1.ResourcePods]; ok && int64(len(a.others)+1) > most.Value() {
		return &pods.Failure{Reason: "OutOfpods", Message: fmt.Sprintf(
			"Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: %d, capacity: %d", len(a.others), most.Value())}
	}
	requests := resource.PodRequests(pod, resource.PodResourcesOptions{})
	// The cluster or a device driver handles extended resources that the node does not have.
	maps.DeleteFunc(requests, func(name corev1.ResourceName, _ apiresource.Quantity) bool {
		_, here := a.allocatable[name]
		return !here && extendedresource.Is(name)
	})
	used := a.used()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if f := outOf(name, requests, used, a.allocatable); f != nil {
			return f
		}
	}
	for name := range requests {
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			continue
		}
		if f := outOf(name, requests, used, a.allocatable); f != nil {
			return f
		}
	}
	return nil
}

func (a *admission) used() corev1.ResourceList {
	used := corev1.ResourceList{}
	for _, other := range a.others {
		for name, q := range resource.PodRequests(other, resource.PodResourcesOptions{}) {
			sum := used[name]
			sum.Add(q)
			used[name] = sum
		}
	}
	return used
}

func outOf(name corev1.ResourceName, requests, used, allocatable corev1.ResourceList) *pods.Failure {
	request, have := requests[name], allocatable[name]
	if request.IsZero() {
		return nil
	}
	taken := used[name]
	left := have.DeepCopy()
	left.Sub(taken)
	if request.Cmp(left) <= 0 {
		return nil
	}
	number := func(q interface {
		MilliValue() int64
		Value() int64
	}) int64 {
		if name == corev1.ResourceCPU {
			return q.MilliValue()
		}
		return q.Value()
	}
	return &pods.Failure{Reason: "OutOf" + string(name), Message: fmt.Sprintf(
		"Pod was rejected: Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d",
		name, number(&request), number(&taken), number(&have))}
}

// portTaken reports whether another pod has one of the pod's host ports.
func (a *admission) portTaken() bool {
	type port struct {
		protocol corev1.Protocol
		number   int32
	}
	taken := map[port][]string{}
	each := func(pod *corev1.Pod, fn func(port, string)) {
		for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range list {
				for _, p := range list[i].Ports {
					if p.HostPort > 0 {
						fn(port{p.Protocol, p.HostPort}, p.HostIP)
					}
				}
			}
		}
	}
	for _, other := range a.others {
		each(other, func(p port, ip string) { taken[p] = append(taken[p], ip) })
	}
	conflict := false
	each(a.pod, func(p port, ip string) {
		for _, other := range taken[p] {
			conflict = conflict || ip == other || wildcard(ip) || wildcard(other)
		}
	})
	return conflict
}

func wildcard(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }

// admit decides about the pod, once. A pod that was admitted before, by this
// agent or an earlier one, stays.
func (w *worker) admit(ctx context.Context) {
	w.admitted = true
	for _, list := range [][]corev1.Container{w.pod.Spec.Containers, w.pod.Spec.InitContainers} {
		for i := range list {
			w.state.Allocated[list[i].Name] = w.adopted(&list[i])
		}
	}
	known := len(w.observed.Sandboxes) > 0 || w.status.StartTime != nil
	if known || w.state.Gone || w.pod.DeletionTimestamp != nil || pods.Terminal(w.status.Phase) {
		return
	}
	w.agent.mu.Lock()
	defer w.agent.mu.Unlock()
	if w.left {
		return
	}
	a := w.agent.admission(w)
	a.pod = w.pod
	f := a.reject()
	if f != nil && f.Reason == reasonNodeAffinity {
		// The scheduler may have seen labels that this node's own watch has not.
		var newest corev1.Node
		if err := w.agent.config.Client.Get(ctx, client.ObjectKey{Name: w.agent.config.NodeName}, &newest); err == nil {
			a.node = &newest
			f = a.reject()
		}
	}
	if f != nil {
		w.state.Rejected = f
		w.agent.warn(w.pod, f.Reason, "%s", f.Message[len("Pod was rejected: "):])
		return
	}
	w.holds = w.pod
}

// adopted returns a container's resources at first sight: those it runs with,
// or those of its spec.
func (w *worker) adopted(c *corev1.Container) corev1.ResourceRequirements {
	if o := w.observed.Newest(c.Name); o != nil && o.State == pods.Running && o.Resources != nil {
		granted := *c.Resources.DeepCopy()
		granted.Limits = pods.Overlay(granted.Limits, o.Resources.Limits)
		granted.Requests = pods.Overlay(granted.Requests, o.Resources.Requests)
		return granted
	}
	return c.Resources
}

// admission gathers what others hold; a.mu is held.
func (a *Agent) admission(except *worker) *admission {
	// Pods may come before the node's own object does.
	out := &admission{
		node: a.node, allocatable: nodestatus.Allocatable(a.capacity(), a.config.SystemReserved),
		unsafeSysctls: a.config.AllowedUnsafeSysctls,
	}
	if a.node != nil && len(a.node.Status.Allocatable) > 0 {
		out.allocatable = a.node.Status.Allocatable
	}
	for _, w := range a.workers {
		if w != except && w.holds != nil {
			out.others = append(out.others, w.holds)
		}
	}
	return out
}

// grantResize grants the resources of a changed spec if they fit, see
// https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/.
func (w *worker) grantResize() {
	changed := false
	for i := range w.pod.Spec.Containers {
		c := &w.pod.Spec.Containers[i]
		changed = changed || !equality.Semantic.DeepEqual(w.state.Allocated[c.Name], c.Resources)
	}
	if !changed || w.state.Rejected != nil {
		w.state.ResizePending = nil
		return
	}
	w.agent.mu.Lock()
	a := w.agent.admission(w)
	w.agent.mu.Unlock()
	spec := *w.pod
	spec.Status = corev1.PodStatus{} // its spec alone counts
	alone := admission{allocatable: a.allocatable}
	if f := alone.insufficient(&spec); f != nil {
		w.pendResize(corev1.PodReasonInfeasible, eventResizeInfeasible, f)
		return
	}
	if f := a.insufficient(&spec); f != nil {
		w.pendResize(corev1.PodReasonDeferred, eventResizeDeferred, f)
		return
	}
	w.state.ResizePending = nil
	for i := range w.pod.Spec.Containers {
		c := &w.pod.Spec.Containers[i]
		w.state.Allocated[c.Name] = c.Resources
	}
	w.agent.normal(w.pod, eventResizeStarted, "Pod resize started: %s", resizeSummary(w.pod, ""))
	w.agent.mu.Lock()
	if !w.left {
		w.holds = w.pod
	}
	w.agent.mu.Unlock()
}

// pendResize records why a resize has to wait, and sends one event.
func (w *worker) pendResize(reason, event string, why *pods.Failure) {
	message := why.Message[len("Pod was rejected: "):]
	if p := w.state.ResizePending; p != nil && p.Reason == reason && p.Message == message {
		return
	}
	w.state.ResizePending = &pods.Failure{Reason: reason, Message: message}
	w.agent.warn(w.pod, event, "Pod resize %s: %s", reason, resizeSummary(w.pod, message))
}

// letGo gives the pod's share of the node back, and others with a resize that
// waits a chance.
func (w *worker) letGo() {
	w.agent.mu.Lock()
	defer w.agent.mu.Unlock()
	w.left = true
	if w.holds == nil {
		return
	}
	w.holds = nil
	for _, other := range w.agent.workers {
		if other != w {
			other.retryResize()
		}
	}
}

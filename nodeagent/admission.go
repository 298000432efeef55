package nodeagent

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent/admission"
	"github.com/coracle-k8s/coracle/nodeagent/nodestatus"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

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
	node := w.agent.admitting()
	f := w.share.Take(w.pod, node)
	if f != nil && f.Reason == admission.ReasonNodeAffinity {
		// The scheduler may have seen labels that this node's own watch has not.
		var newest corev1.Node
		if err := w.agent.config.Client.Get(ctx, client.ObjectKey{Name: w.agent.config.NodeName}, &newest); err == nil {
			node.Object = &newest
			f = w.share.Take(w.pod, node)
		}
	}
	if f != nil {
		w.state.Rejected = f
		w.agent.warn(w.pod, f.Reason, "%s", admission.Reason(f))
	}
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

// admitting returns what the node offers to pods.
func (a *Agent) admitting() admission.Node {
	a.mu.Lock()
	defer a.mu.Unlock()
	// Pods may come before the node's own object does.
	node := admission.Node{Object: a.node, Allocatable: nodestatus.Allocatable(a.capacity(), a.config.SystemReserved), UnsafeSysctls: a.config.AllowedUnsafeSysctls}
	if a.node != nil && len(a.node.Status.Allocatable) > 0 {
		node.Allocatable = a.node.Status.Allocatable
	}
	return node
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
	switch why, infeasible := w.share.Resize(w.pod, w.agent.admitting()); {
	case infeasible:
		w.pendResize(corev1.PodReasonInfeasible, eventResizeInfeasible, why)
		return
	case why != "":
		w.pendResize(corev1.PodReasonDeferred, eventResizeDeferred, why)
		return
	}
	w.state.ResizePending = nil
	for i := range w.pod.Spec.Containers {
		c := &w.pod.Spec.Containers[i]
		w.state.Allocated[c.Name] = c.Resources
	}
	w.agent.normal(w.pod, eventResizeStarted, "Pod resize started: %s", resizeSummary(w.pod, ""))
}

// pendResize records why a resize has to wait, and sends one event.
func (w *worker) pendResize(reason, event, why string) {
	if p := w.state.ResizePending; p != nil && p.Reason == reason && p.Message == why {
		return
	}
	w.state.ResizePending = &pods.Failure{Reason: reason, Message: why}
	w.agent.warn(w.pod, event, "Pod resize %s: %s", reason, resizeSummary(w.pod, why))
}

// releaseShare gives the pod's share of the node back, and others with a resize that
// waits a chance.
func (w *worker) releaseShare() {
	if !w.share.Release() {
		return
	}
	w.agent.mu.Lock()
	defer w.agent.mu.Unlock()
	for _, other := range w.agent.workers {
		if other != w {
			other.retryResize()
		}
	}
}

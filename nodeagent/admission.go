package nodeagent

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent/admission"
	"github.com/coracle-k8s/coracle/nodeagent/allocation"
	"github.com/coracle-k8s/coracle/nodeagent/cgroups"
	"github.com/coracle-k8s/coracle/nodeagent/containers"
	"github.com/coracle-k8s/coracle/nodeagent/nodestatus"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// recall reads what an earlier agent granted the pod. A pod that was admitted holds that from
// the first moment on, before any other pod is admitted.
func (w *worker) recall() {
	record, err := allocation.Load(w.dir())
	if err != nil {
		w.agent.log().Error(err, "What a pod was granted is taken from its spec", "pod", w.pod.Name)
	}
	maps.Copy(w.state.Allocated, record.Allocated)
	maps.Copy(w.resized, record.Actuated)
	if w.status.StartTime != nil && !pods.Terminal(w.status.Phase) {
		w.share.Hold(w.granted())
		w.agent.weighClasses()
	}
}

// dir is the pod's directory.
func (w *worker) dir() string { return containers.PodDir(w.agent.config.RootDir, w.pod) }

// granted returns the pod with the resources that the node granted its containers.
func (w *worker) granted() *corev1.Pod {
	pod := *w.pod
	pod.Spec = *w.pod.Spec.DeepCopy()
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if r, ok := w.state.Allocated[list[i].Name]; ok {
				list[i].Resources = r
			}
		}
	}
	return &pod
}

// record writes what the pod was granted, and what its containers were given, for the next agent.
func (w *worker) record() error {
	maps.DeleteFunc(w.resized, func(id string, _ corev1.ResourceRequirements) bool {
		return !slices.ContainsFunc(w.observed.Containers, func(c pods.Container) bool { return c.ID == id })
	})
	return allocation.Record{Allocated: w.state.Allocated, Actuated: w.resized}.Save(w.dir())
}

// admit decides about the pod, once, and reports whether it has. A pod that was admitted before,
// by this agent or an earlier one, stays. Others wait until all of those hold their shares.
func (w *worker) admit(ctx context.Context) bool {
	known := len(w.observed.Sandboxes) > 0 || w.status.StartTime != nil
	over := w.state.Gone || w.pod.DeletionTimestamp != nil || pods.Terminal(w.status.Phase)
	if !known && !over && !w.agent.isReady() {
		return false
	}
	w.admitted = true
	for _, list := range [][]corev1.Container{w.pod.Spec.Containers, w.pod.Spec.InitContainers} {
		for i := range list {
			if _, recorded := w.state.Allocated[list[i].Name]; !recorded {
				w.state.Allocated[list[i].Name] = w.adopted(&list[i])
			}
		}
	}
	switch {
	case w.state.Gone || pods.Terminal(w.status.Phase):
		return true
	case known:
		w.share.Hold(w.granted())
		w.grantResize()
	case over:
		return true
	default:
		w.decide(ctx)
	}
	w.agent.weighClasses()
	if err := w.record(); err != nil {
		w.agent.log().Error(err, "What a pod was granted does not outlive this agent", "pod", w.pod.Name)
	}
	return true
}

// decide takes a new pod or rejects it.
func (w *worker) decide(ctx context.Context) {
	node := w.agent.admitting()
	f := w.share.Take(w.pod, node)
	if f != nil && f.Reason == admission.ReasonNodeAffinity {
		// The scheduler may have seen labels that this node's own watch has not.
		var newest corev1.Node
		if err := w.agent.config.Live.Get(ctx, client.ObjectKey{Name: w.agent.config.NodeName}, &newest); err == nil {
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
	node := admission.Node{Object: a.node, Allocatable: nodestatus.Allocatable(a.capacity(), a.config.SystemReserved), UnsafeSysctls: a.config.AllowedUnsafeSysctls,
		AppArmor: a.appArmor}
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
	w.agent.weighClasses()
	if err := w.record(); err != nil {
		w.agent.log().Error(err, "A resize does not outlive this agent", "pod", w.pod.Name)
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

// weighClasses gives the burstable pods together the CPU shares of all of them, as the kubelet's
// QoS containers have; pods of best effort have the least together, guaranteed ones no class.
func (a *Agent) weighClasses() {
	if a.cgroups == nil {
		return
	}
	a.classes.Lock()
	defer a.classes.Unlock()
	shares := cgroups.QOSShares(a.ledger.Pods())
	if shares == a.burstable {
		return
	}
	if err := a.cgroups.Set(cgroups.QOSParent(a.config.CgroupRoot, corev1.PodQOSBurstable), cgroups.Limits{CPUShares: shares}); err != nil {
		a.log().Error(err, "The CPU shares of burstable pods are not those of all of them")
		return
	}
	a.burstable = shares
}

// releaseShare gives the pod's share of the node back, and others with a resize that
// waits a chance.
func (w *worker) releaseShare() {
	if !w.share.Release() {
		return
	}
	w.agent.weighClasses()
	w.agent.mu.Lock()
	defer w.agent.mu.Unlock()
	for _, other := range w.agent.workers {
		if other != w {
			other.retryResize()
		}
	}
}

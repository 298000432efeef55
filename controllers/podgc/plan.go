package podgc

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// quarantine is how long a node must be missing before its pods are orphans.
const quarantine = 40 * time.Second

// Reason is why a pod is removed; the words are label values of the metrics.
type Reason string

// The reasons, as upstream's.
const (
	Terminated   Reason = "terminated"
	Orphaned     Reason = "orphaned"
	Unscheduled  Reason = "unscheduled"
	OutOfService Reason = "out-of-service"
)

// Observed holds what a scan has read.
type Observed struct {
	Pods  []*corev1.Pod
	Nodes map[string]*corev1.Node
	// Missing holds the time since which nodes that pods are bound to are missed.
	Missing map[string]time.Time
	// Threshold is how many finished pods may stay; 0 or less means all.
	Threshold int
}

// Victim is a pod to remove.
type Victim struct {
	Pod    *corev1.Pod
	Reason Reason
}

// Plan holds the decisions of a scan.
type Plan struct {
	Victims []Victim
	// Missing is Observed.Missing brought up to date.
	Missing map[string]time.Time
	// RequeueAfter is when the next quarantine ends, 0 for never.
	RequeueAfter time.Duration
}

// plan decides which pods to remove. A pod that more than one reason fits
// is removed once.
func plan(o Observed, now time.Time) Plan {
	p := Plan{Missing: map[string]time.Time{}}
	var finished []*corev1.Pod
	for _, pod := range o.Pods {
		node, bound := pod.Spec.NodeName, pod.Spec.NodeName != ""
		switch {
		case bound && o.Nodes[node] == nil:
			p.orphan(o, pod, now)
		case bound && pod.DeletionTimestamp != nil && outOfService(o.Nodes[node]):
			p.Victims = append(p.Victims, Victim{pod, OutOfService})
		case !bound && pod.DeletionTimestamp != nil:
			p.Victims = append(p.Victims, Victim{pod, Unscheduled})
		case podapi.IsTerminal(pod):
			finished = append(finished, pod)
		}
	}
	if surplus := len(finished) - o.Threshold; o.Threshold > 0 && surplus > 0 {
		slices.SortFunc(finished, leastWanted)
		for _, pod := range finished[:surplus] {
			p.Victims = append(p.Victims, Victim{pod, Terminated})
		}
	}
	return p
}

func (p *Plan) orphan(o Observed, pod *corev1.Pod, now time.Time) {
	since, known := o.Missing[pod.Spec.NodeName]
	if !known {
		since = now
	}
	p.Missing[pod.Spec.NodeName] = since
	left := since.Add(quarantine).Sub(now)
	if left <= 0 {
		p.Victims = append(p.Victims, Victim{pod, Orphaned})
		return
	}
	if p.RequeueAfter == 0 || left < p.RequeueAfter {
		p.RequeueAfter = left
	}
}

// leastWanted sorts evicted pods first, then the oldest.
func leastWanted(a, b *corev1.Pod) int {
	evicted := func(p *corev1.Pod) int {
		if p.Status.Reason == "Evicted" {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(evicted(a), evicted(b)),
		a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

// outOfService reports whether an administrator declared a node that is not
// ready to be shut down, so that nothing on it runs any more.
func outOfService(n *corev1.Node) bool {
	return !nodeapi.IsReady(n) && slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		return t.Key == corev1.TaintNodeOutOfService
	})
}

// Package queuesort orders the queue: higher priority first, then the pod that waits longer.
//
// The API of this package is not stable: see docs/api.md.
package queuesort

import fwk "k8s.io/kube-scheduler/framework"

// Name is the plugin's name in Kubernetes.
const Name = "PrioritySort"

// PrioritySort is the QueueSort plugin.
type PrioritySort struct{}

var _ fwk.QueueSortPlugin = &PrioritySort{}

// New returns the plugin.
func New() *PrioritySort { return &PrioritySort{} }

func (*PrioritySort) Name() string { return Name }

// Less reports whether a is to be scheduled before b.
func (*PrioritySort) Less(a, b fwk.QueuedEntityInfo) bool {
	if p, q := a.GetPriority(), b.GetPriority(); p != q {
		return p > q
	}
	return a.GetTimestamp().Before(b.GetTimestamp())
}

package queue

import (
	"slices"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

// Nominator holds which nodes are promised to which waiting pods after a
// preemption. It is safe for concurrent use.
type Nominator struct {
	// count lets filters, which ask for every node, pass without the lock in the
	// usual case that nothing is promised.
	count  atomic.Int32
	mu     sync.RWMutex
	node   map[types.UID]string
	byNode map[string][]fwk.PodInfo
}

var _ fwk.PodNominator = &Nominator{}

// NewNominator returns an empty one.
func NewNominator() *Nominator {
	return &Nominator{node: map[types.UID]string{}, byNode: map[string][]fwk.PodInfo{}}
}

// AddNominatedPod promises the pod the node that info or else its status names;
// an override with an empty name takes the promise back.
func (n *Nominator) AddNominatedPod(_ klog.Logger, pod fwk.PodInfo, info *fwk.NominatingInfo) {
	switch {
	case info.Mode() == fwk.ModeOverride:
		n.set(pod, info.NominatedNodeName)
	case pod.GetPod().Status.NominatedNodeName != "":
		n.set(pod, pod.GetPod().Status.NominatedNodeName)
	}
}

// DeleteNominatedPodIfExists takes a promise back.
func (n *Nominator) DeleteNominatedPodIfExists(pod *v1.Pod) { n.delete(pod.UID) }

// UpdateNominatedPod replaces the pod. Its status decides where it changed;
// otherwise a promise stays that no status mentions yet.
func (n *Nominator) UpdateNominatedPod(_ klog.Logger, old *v1.Pod, pod fwk.PodInfo) {
	oldInfo, _ := cache.NewPodInfo(old)
	n.update(oldInfo, pod)
}

// NominatedPodsForNode lists the pods that the node is promised to.
func (n *Nominator) NominatedPodsForNode(node string) []fwk.PodInfo {
	if n.count.Load() == 0 {
		return nil
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Clone(n.byNode[node])
}

// NodeFor returns the node promised to the pod, or "".
func (n *Nominator) NodeFor(uid types.UID) string {
	if n.count.Load() == 0 {
		return ""
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.node[uid]
}

// addFromStatus takes over a promise made before this process started.
func (n *Nominator) addFromStatus(pod fwk.PodInfo) {
	if node := pod.GetPod().Status.NominatedNodeName; node != "" && n.NodeFor(pod.GetPod().UID) == "" {
		n.set(pod, node)
	}
}

func (n *Nominator) update(old, pod fwk.PodInfo) {
	node := n.NodeFor(pod.GetPod().UID)
	was, is := old.GetPod().Status.NominatedNodeName, pod.GetPod().Status.NominatedNodeName
	if was != is {
		node = is
	}
	if node != "" || n.count.Load() > 0 {
		n.set(pod, node)
	}
}

func (n *Nominator) set(pod fwk.PodInfo, node string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.remove(pod.GetPod().UID)
	if node != "" {
		n.node[pod.GetPod().UID] = node
		n.byNode[node] = append(n.byNode[node], pod)
		n.count.Store(int32(len(n.node)))
	}
}

func (n *Nominator) delete(uid types.UID) {
	if n.count.Load() == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.remove(uid)
}

func (n *Nominator) remove(uid types.UID) {
	node, ok := n.node[uid]
	if !ok {
		return
	}
	delete(n.node, uid)
	left := slices.DeleteFunc(slices.Clone(n.byNode[node]), func(p fwk.PodInfo) bool { return p.GetPod().UID == uid })
	if len(left) == 0 {
		delete(n.byNode, node)
	} else {
		n.byNode[node] = left
	}
	n.count.Store(int32(len(n.node)))
}

// Promise promises the node to the pod.
func (n *Nominator) Promise(pod fwk.PodInfo, node string) { n.set(pod, node) }

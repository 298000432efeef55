package cache

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	ndf "k8s.io/component-helpers/nodedeclaredfeatures"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// NodeInfo is a node with everything that is on it, summed.
type NodeInfo struct {
	node *v1.Node

	pods                         []fwk.PodInfo
	podsWithAffinity             []fwk.PodInfo
	podsWithRequiredAntiAffinity []fwk.PodInfo
	usedPorts                    fwk.HostPortInfo
	pvcRefCounts                 map[string]int

	requested        Resource
	nonZeroRequested Resource
	allocatable      Resource
	features         ndf.FeatureSet

	// imageStates is replaced, never changed, so that copies may share it.
	imageStates map[string]*fwk.ImageStateSummary

	// position is the index in the snapshot's list; -1 outside of one.
	position int

	generation int64
	// generations hands out numbers for this cache; copies share it.
	generations *atomic.Int64
}

var _ fwk.NodeInfo = &NodeInfo{}

// NewNodeInfo returns a NodeInfo of its own generation sequence holding pods,
// for tests and simulations outside a Cache.
func NewNodeInfo(node *v1.Node, pods ...*v1.Pod) *NodeInfo {
	n := newNodeInfo(&atomic.Int64{})
	if node != nil {
		n.SetNode(node)
	}
	for _, pod := range pods {
		pi, _ := NewPodInfo(pod) // a term that does not parse matches nothing
		n.AddPodInfo(pi)
	}
	return n
}

func newNodeInfo(generations *atomic.Int64) *NodeInfo {
	n := &NodeInfo{generations: generations, position: -1, usedPorts: fwk.HostPortInfo{}, pvcRefCounts: map[string]int{}}
	n.changed()
	return n
}

func (n *NodeInfo) changed() { n.generation = n.generations.Add(1) }

func (n *NodeInfo) Node() *v1.Node                     { return n.node }
func (n *NodeInfo) GetPods() []fwk.PodInfo             { return n.pods }
func (n *NodeInfo) GetPodsWithAffinity() []fwk.PodInfo { return n.podsWithAffinity }
func (n *NodeInfo) GetPodsWithRequiredAntiAffinity() []fwk.PodInfo {
	return n.podsWithRequiredAntiAffinity
}

// GetPodsWithRequiredNonHostScopedAntiAffinity is empty, as the contract asks
// where the InterPodAffinityHostnameFastPath feature is off.
func (n *NodeInfo) GetPodsWithRequiredNonHostScopedAntiAffinity() []fwk.PodInfo { return nil }

func (n *NodeInfo) GetUsedPorts() fwk.HostPortInfo          { return n.usedPorts }
func (n *NodeInfo) GetRequested() fwk.Resource              { return &n.requested }
func (n *NodeInfo) GetNonZeroRequested() fwk.Resource       { return &n.nonZeroRequested }
func (n *NodeInfo) GetAllocatable() fwk.Resource            { return &n.allocatable }
func (n *NodeInfo) GetPVCRefCounts() map[string]int         { return n.pvcRefCounts }
func (n *NodeInfo) GetGeneration() int64                    { return n.generation }
func (n *NodeInfo) GetNodeDeclaredFeatures() ndf.FeatureSet { return n.features }
func (n *NodeInfo) GetImageStates() map[string]*fwk.ImageStateSummary {
	return n.imageStates
}

func (n *NodeInfo) String() string {
	names := make([]string, 0, len(n.pods))
	for _, p := range n.pods {
		names = append(names, p.GetPod().Name)
	}
	return fmt.Sprintf("&NodeInfo{Pods:%v, RequestedResource:%#v, NonZeroRequest: %#v, UsedPort: %#v, AllocatableResource:%#v}",
		names, n.requested, n.nonZeroRequested, n.usedPorts, n.allocatable)
}

// SetNode replaces the node and what it can allocate.
func (n *NodeInfo) SetNode(node *v1.Node) {
	n.node = node
	n.allocatable = *NewResource(node.Status.Allocatable)
	// Features that no pod can need are left out.
	n.features = ndf.DefaultFramework.TryMap(node.Status.DeclaredFeatures)
	n.changed()
}

// AddPodInfo puts a pod on the node.
func (n *NodeInfo) AddPodInfo(p fwk.PodInfo) {
	n.pods = append(n.pods, p)
	if hasAffinity(p) {
		n.podsWithAffinity = append(n.podsWithAffinity, p)
	}
	if len(p.GetRequiredAntiAffinityTerms()) > 0 {
		n.podsWithRequiredAntiAffinity = append(n.podsWithRequiredAntiAffinity, p)
	}
	n.account(p, 1)
}

// RemovePod takes the pod with this UID from the node.
func (n *NodeInfo) RemovePod(_ klog.Logger, pod *v1.Pod) error {
	i := slices.IndexFunc(n.pods, func(p fwk.PodInfo) bool { return p.GetPod().UID == pod.UID })
	if i < 0 {
		return fmt.Errorf("removing pod %s/%s: no such pod on node %s", pod.Namespace, pod.Name, n.name())
	}
	p := n.pods[i]
	n.pods = without(n.pods, p)
	if hasAffinity(p) {
		n.podsWithAffinity = without(n.podsWithAffinity, p)
	}
	if len(p.GetRequiredAntiAffinityTerms()) > 0 {
		n.podsWithRequiredAntiAffinity = without(n.podsWithRequiredAntiAffinity, p)
	}
	n.account(p, -1)
	return nil
}

func (n *NodeInfo) name() string {
	if n.node == nil {
		return "<no node>"
	}
	return n.node.Name
}

func (n *NodeInfo) account(p fwk.PodInfo, sign int64) {
	r := p.CalculateResource()
	n.requested.add(r.Resource, sign)
	n.nonZeroRequested.MilliCPU += sign * r.Non0CPU
	n.nonZeroRequested.Memory += sign * r.Non0Mem
	pod := p.GetPod()
	n.accountPorts(pod, sign)
	for i := range pod.Spec.Volumes {
		if claim := pod.Spec.Volumes[i].PersistentVolumeClaim; claim != nil {
			key := pod.Namespace + "/" + claim.ClaimName
			n.pvcRefCounts[key] += int(sign)
			if n.pvcRefCounts[key] <= 0 {
				delete(n.pvcRefCounts, key)
			}
		}
	}
	n.changed()
}

// accountPorts counts again after a removal: two pods may hold the same port if
// they were not placed by a scheduler.
func (n *NodeInfo) accountPorts(pod *v1.Pod, sign int64) {
	add := func(ports []v1.ContainerPort) {
		for _, p := range ports {
			n.usedPorts.Add(p.HostIP, string(p.Protocol), p.HostPort)
		}
	}
	ports := podapi.HostPorts(&pod.Spec)
	switch {
	case len(ports) == 0:
	case sign > 0:
		add(ports)
	default:
		clear(n.usedPorts)
		for _, p := range n.pods {
			add(podapi.HostPorts(&p.GetPod().Spec))
		}
	}
}

// Snapshot returns an independent copy with image states without node names.
func (n *NodeInfo) Snapshot() fwk.NodeInfo {
	c := &NodeInfo{}
	n.copyInto(c)
	c.imageStates = make(map[string]*fwk.ImageStateSummary, len(n.imageStates))
	for name, s := range n.imageStates {
		if s.Nodes == nil { // n is itself a snapshot
			c.imageStates[name] = s
			continue
		}
		c.imageStates[name] = s.Snapshot()
	}
	return c
}

// copyInto copies everything but image states.
func (n *NodeInfo) copyInto(c *NodeInfo) {
	images := c.imageStates
	*c = *n
	c.imageStates = images
	c.pods = slices.Clone(n.pods)
	c.podsWithAffinity = slices.Clone(n.podsWithAffinity)
	c.podsWithRequiredAntiAffinity = slices.Clone(n.podsWithRequiredAntiAffinity)
	c.usedPorts = make(fwk.HostPortInfo, len(n.usedPorts))
	for ip, ports := range n.usedPorts {
		c.usedPorts[ip] = maps.Clone(ports)
	}
	c.pvcRefCounts = maps.Clone(n.pvcRefCounts)
	c.requested = n.requested.clone()
	c.nonZeroRequested = n.nonZeroRequested.clone()
	c.allocatable = n.allocatable.clone()
}

// Position returns the index of n, or of what n was copied from, in the
// snapshot's list of nodes; -1 if n is not from a snapshot. With GetGeneration
// it lets plugins remember what they computed of a node.
func Position(n fwk.NodeInfo) int {
	if own, ok := n.(*NodeInfo); ok {
		return own.position
	}
	return -1
}

func hasAffinity(p fwk.PodInfo) bool {
	return len(p.GetRequiredAffinityTerms())+len(p.GetRequiredAntiAffinityTerms())+
		len(p.GetPreferredAffinityTerms())+len(p.GetPreferredAntiAffinityTerms()) > 0
}

// without removes p by moving the last element into its place.
func without(pods []fwk.PodInfo, p fwk.PodInfo) []fwk.PodInfo {
	i := slices.Index(pods, p)
	if i < 0 {
		return pods
	}
	last := len(pods) - 1
	pods[i] = pods[last]
	pods[last] = nil
	return pods[:last]
}

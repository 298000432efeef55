package cache

import (
	"fmt"
	"sync"
	"sync/atomic"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
)

// Cache is the live picture of the cluster. It is safe for concurrent use.
type Cache struct {
	mu          sync.Mutex
	generations atomic.Int64
	nodes       map[string]*entry
	// nodeCount counts entries that have a node and not only its pods.
	nodeCount int
	// newest and oldest end the list of entries in order of change.
	newest  *entry
	pods    map[types.UID]*podState
	assumed sets.Set[types.UID]
	images  images
}

// entry is an element of the list ordered by generation, newest first.
type entry struct {
	info *NodeInfo
	// imagesVersion is the generation that last changed info.imageStates.
	imagesVersion int64
	newer, older  *entry
}

type podState struct {
	info     *PodInfo
	nodeName string
}

// New returns an empty cache.
func New() *Cache {
	return &Cache{
		nodes:   map[string]*entry{},
		pods:    map[types.UID]*podState{},
		assumed: sets.New[types.UID](),
		images:  newImages(),
	}
}

// SetNode adds or replaces a node; pods that were seen first stay on it.
func (c *Cache) SetNode(node *v1.Node) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(node.Name)
	if e.info.node == nil {
		c.nodeCount++
	}
	e.info.SetNode(node)
	if !sameImages(node.Status.Images, e.info.imageStates) {
		e.info.imageStates = c.images.set(node.Name, node.Status.Images, e.info.imageStates)
		e.imagesVersion = e.info.generation
	}
	c.touch(e)
}

// RemoveNode removes a node. Pods still on it are kept aside until they are
// removed, for the node may come back.
func (c *Cache) RemoveNode(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.nodes[name]
	if !ok || e.info.node == nil {
		return
	}
	c.nodeCount--
	c.images.remove(name, e.info.imageStates)
	e.info.imageStates = nil
	e.info.node = nil
	e.info.changed()
	e.imagesVersion = e.info.generation
	c.touch(e)
	c.dropIfEmpty(name, e)
}

// SetPod puts a bound pod on its node, replaces an earlier version of it, and
// confirms it if it was assumed, also if it was assumed elsewhere. An affinity
// that does not parse is reported; the pod counts without it.
func (c *Cache) SetPod(pod *v1.Pod) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.assumed.Delete(pod.UID)
	st, ok := c.pods[pod.UID]
	if ok && st.nodeName == pod.Spec.NodeName && sameForNode(st.info.pod, pod) {
		// The usual confirmation and most status updates: nothing that counts
		// changed, so neither does the node's generation.
		return nil
	}
	if ok {
		c.detach(pod.UID, st)
	}
	pi, err := NewPodInfo(pod)
	c.attach(pi)
	return err
}

// RemovePod takes a pod away, assumed or not.
func (c *Cache) RemovePod(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st, ok := c.pods[uid]; ok {
		c.detach(uid, st)
	}
	c.assumed.Delete(uid)
}

// AssumePod counts the pod on its spec.nodeName before it is written.
func (c *Cache) AssumePod(pi *PodInfo) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	pod := pi.pod
	if st, ok := c.pods[pod.UID]; ok {
		return fmt.Errorf("assuming pod %s/%s on node %s: it is on node %s already", pod.Namespace, pod.Name, pod.Spec.NodeName, st.nodeName)
	}
	c.attach(pi)
	c.assumed.Insert(pod.UID)
	return nil
}

// ForgetPod takes back an assumption that the API did not accept. A pod that
// was confirmed meanwhile stays.
func (c *Cache) ForgetPod(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.assumed.Has(uid) {
		return
	}
	c.assumed.Delete(uid)
	if st, ok := c.pods[uid]; ok {
		c.detach(uid, st)
	}
}

// IsAssumed reports whether the pod was assumed and not confirmed yet.
func (c *Cache) IsAssumed(uid types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.assumed.Has(uid)
}

// NodeOf returns the node that the pod is on or assumed to be on.
func (c *Cache) NodeOf(uid types.UID) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, ok := c.pods[uid]
	if !ok {
		return "", false
	}
	return st.nodeName, true
}

// Counts returns the numbers of nodes, pods and assumed pods.
func (c *Cache) Counts() (nodes, pods, assumed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodeCount, len(c.pods), c.assumed.Len()
}

func (c *Cache) attach(pi *PodInfo) {
	name := pi.pod.Spec.NodeName
	e := c.entry(name)
	e.info.AddPodInfo(pi)
	c.touch(e)
	c.pods[pi.pod.UID] = &podState{info: pi, nodeName: name}
}

func (c *Cache) detach(uid types.UID, st *podState) {
	delete(c.pods, uid)
	e, ok := c.nodes[st.nodeName]
	if !ok {
		return
	}
	// The only error is absence, which invariant 3 excludes and which would
	// leave nothing to do.
	_ = e.info.RemovePod(klog.Logger{}, st.info.pod)
	c.touch(e)
	c.dropIfEmpty(st.nodeName, e)
}

func (c *Cache) entry(name string) *entry {
	e, ok := c.nodes[name]
	if !ok {
		e = &entry{info: newNodeInfo(&c.generations)}
		c.nodes[name] = e
		c.pushNewest(e)
	}
	return e
}

func (c *Cache) dropIfEmpty(name string, e *entry) {
	if e.info.node == nil && len(e.info.pods) == 0 {
		c.unlink(e)
		delete(c.nodes, name)
	}
}

// touch moves a changed entry to the newest end.
func (c *Cache) touch(e *entry) {
	if c.newest == e {
		return
	}
	c.unlink(e)
	c.pushNewest(e)
}

func (c *Cache) pushNewest(e *entry) {
	e.newer, e.older = nil, c.newest
	if c.newest != nil {
		c.newest.newer = e
	}
	c.newest = e
}

func (c *Cache) unlink(e *entry) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		c.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	}
	e.newer, e.older = nil, nil
}

package cache

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	schedulingv1alpha3 "k8s.io/api/scheduling/v1alpha3"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	fwk "k8s.io/kube-scheduler/framework"
)

// Snapshot is the cluster as one scheduling cycle sees it. It belongs to one
// goroutine at a time and changes only in Cache.UpdateSnapshot.
type Snapshot struct {
	generation int64
	byName     map[string]*snapshotNode
	list       []fwk.NodeInfo
	affinity   []fwk.NodeInfo
	anti       []fwk.NodeInfo
	// images holds this snapshot's own summaries, shared by its nodes.
	images map[string]*fwk.ImageStateSummary
}

type snapshotNode struct {
	info NodeInfo
	// imagesVersion is that of the live entry that info.imageStates is made from.
	imagesVersion int64
}

var _ fwk.SharedLister = &Snapshot{}
var _ fwk.NodeInfoLister = &Snapshot{}
var _ fwk.StorageInfoLister = &Snapshot{}

// NewSnapshot returns an empty snapshot, to be filled by UpdateSnapshot.
func NewSnapshot() *Snapshot {
	return &Snapshot{byName: map[string]*snapshotNode{}, images: map[string]*fwk.ImageStateSummary{}}
}

// UpdateSnapshot brings s up to date, copying only what changed since last time.
func (c *Cache) UpdateSnapshot(s *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	relist := false
	for e := c.newest; e != nil && e.info.generation > s.generation; e = e.older {
		if e.info.node == nil {
			continue
		}
		name := e.info.node.Name
		sn, ok := s.byName[name]
		if !ok {
			sn = &snapshotNode{}
			s.byName[name] = sn
			relist = true
		} else {
			relist = relist || listedElsewhere(&sn.info, e.info)
		}
		position := sn.info.position
		e.info.copyInto(&sn.info)
		sn.info.position = position
		s.copyImages(sn, e)
	}
	for name := range c.images.dirty {
		if own, ok := s.images[name]; ok {
			if live, ok := c.images.byName[name]; ok {
				own.NumNodes, own.Size = live.Nodes.Len(), live.Size
			} else {
				delete(s.images, name)
			}
		}
	}
	c.images.dirty.Clear()
	if c.newest != nil {
		s.generation = c.newest.info.generation
	}
	if len(s.byName) > c.nodeCount {
		for name := range s.byName {
			if e, ok := c.nodes[name]; !ok || e.info.node == nil {
				delete(s.byName, name)
				relist = true
			}
		}
	}
	if relist {
		s.relist()
	}
}

// listedElsewhere reports whether the change moves the node between lists or in their order.
func listedElsewhere(was, is *NodeInfo) bool {
	return (len(was.podsWithAffinity) > 0) != (len(is.podsWithAffinity) > 0) ||
		(len(was.podsWithRequiredAntiAffinity) > 0) != (len(is.podsWithRequiredAntiAffinity) > 0) ||
		zone(was.node) != zone(is.node)
}

func (s *Snapshot) copyImages(sn *snapshotNode, e *entry) {
	if sn.imagesVersion == e.imagesVersion {
		return
	}
	own := make(map[string]*fwk.ImageStateSummary, len(e.info.imageStates))
	for name, live := range e.info.imageStates {
		o, ok := s.images[name]
		if !ok {
			o = live.Snapshot()
			s.images[name] = o
		}
		own[name] = o
	}
	sn.info.imageStates, sn.imagesVersion = own, e.imagesVersion
}

// relist rebuilds the lists, nodes interleaved by zone so that a search that
// stops early has seen every zone.
func (s *Snapshot) relist() {
	s.list = make([]fwk.NodeInfo, 0, len(s.byName))
	s.affinity, s.anti = nil, nil
	nodes := make([]*v1.Node, 0, len(s.byName))
	for _, sn := range s.byName {
		nodes = append(nodes, sn.info.node)
	}
	for _, name := range interleaveZones(nodes) {
		info := &s.byName[name].info
		info.position = len(s.list)
		s.list = append(s.list, info)
		if len(info.podsWithAffinity) > 0 {
			s.affinity = append(s.affinity, info)
		}
		if len(info.podsWithRequiredAntiAffinity) > 0 {
			s.anti = append(s.anti, info)
		}
	}
}

// NodeInfos implements fwk.SharedLister.
func (s *Snapshot) NodeInfos() fwk.NodeInfoLister { return s }

// StorageInfos implements fwk.SharedLister.
func (s *Snapshot) StorageInfos() fwk.StorageInfoLister { return s }

// Nodes returns all nodes; callers must not change the slice.
func (s *Snapshot) Nodes() []fwk.NodeInfo { return s.list }

// HasImage reports whether any node has an image of this name.
func (s *Snapshot) HasImage(name string) bool {
	_, ok := s.images[name]
	return ok
}

func (s *Snapshot) List() ([]fwk.NodeInfo, error)                     { return s.list, nil }
func (s *Snapshot) HavePodsWithAffinityList() ([]fwk.NodeInfo, error) { return s.affinity, nil }
func (s *Snapshot) HavePodsWithRequiredAntiAffinityList() ([]fwk.NodeInfo, error) {
	return s.anti, nil
}

// HavePodsWithRequiredNonHostScopedAntiAffinityList is empty, as the contract
// asks where the InterPodAffinityHostnameFastPath feature is off.
func (s *Snapshot) HavePodsWithRequiredNonHostScopedAntiAffinityList() ([]fwk.NodeInfo, error) {
	return nil, nil
}

// Get returns the node or an error that wraps fwk.ErrNotFound.
func (s *Snapshot) Get(name string) (fwk.NodeInfo, error) {
	if sn, ok := s.byName[name]; ok {
		return &sn.info, nil
	}
	return nil, fmt.Errorf("getting node %q from the snapshot: %w", name, fwk.ErrNotFound)
}

// IsPVCUsedByPods takes a key "namespace/name".
func (s *Snapshot) IsPVCUsedByPods(key string) bool {
	for _, sn := range s.byName {
		if sn.info.pvcRefCounts[key] > 0 {
			return true
		}
	}
	return false
}

// Pod groups are not scheduled as groups here, so there are none to list.
type noGroups struct{}

func (s *Snapshot) PodGroupStates() fwk.PodGroupStateLister { return noGroupStates{} }
func (s *Snapshot) PodGroups() fwk.PodGroupLister           { return noGroups{} }
func (s *Snapshot) CompositePodGroupStates() fwk.CompositePodGroupStateLister {
	return noCompositeStates{}
}
func (s *Snapshot) CompositePodGroups() fwk.CompositePodGroupLister { return noComposites{} }

func (noGroups) Get(_, _ string) (*schedulingv1beta1.PodGroup, error) { return nil, fwk.ErrNotFound }

type noGroupStates struct{}

func (noGroupStates) Get(_, _ string) (fwk.PodGroupState, error) { return nil, fwk.ErrNotFound }

type noComposites struct{}

func (noComposites) Get(_, _ string) (*schedulingv1alpha3.CompositePodGroup, error) {
	return nil, fwk.ErrNotFound
}

type noCompositeStates struct{}

func (noCompositeStates) Get(_, _ string) (fwk.CompositePodGroupState, error) {
	return nil, fwk.ErrNotFound
}

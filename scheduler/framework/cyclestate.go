package framework

import (
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
)

// CycleState is the scratchpad of one pod's scheduling cycle. Filter and Score
// may read it from several goroutines; writing is for PreFilter and PreScore.
type CycleState struct {
	// data is a list: a cycle has a handful of keys, and comparing those is
	// cheaper than hashing one.
	data        []stateEntry
	skipFilter  sets.Set[string]
	skipScore   sets.Set[string]
	skipPreBind sets.Set[string]
	parallel    sets.Set[string]

	// filters are those that the cycle runs after skips.
	filters []fwk.FilterPlugin
	// prefiltered is set once PreFilter computed filters.
	prefiltered bool
}

type stateEntry struct {
	key fwk.StateKey
	val fwk.StateData
}

var _ fwk.CycleState = &CycleState{}

// NewCycleState returns an empty state.
func NewCycleState() *CycleState { return &CycleState{data: make([]stateEntry, 0, 8)} }

// ShouldRecordPluginMetrics is false: plugins are not timed one by one.
func (c *CycleState) ShouldRecordPluginMetrics() bool                    { return false }
func (c *CycleState) GetSkipFilterPlugins() sets.Set[string]             { return c.skipFilter }
func (c *CycleState) SetSkipFilterPlugins(p sets.Set[string])            { c.skipFilter = p }
func (c *CycleState) GetSkipScorePlugins() sets.Set[string]              { return c.skipScore }
func (c *CycleState) SetSkipScorePlugins(p sets.Set[string])             { c.skipScore = p }
func (c *CycleState) GetSkipPreBindPlugins() sets.Set[string]            { return c.skipPreBind }
func (c *CycleState) SetSkipPreBindPlugins(p sets.Set[string])           { c.skipPreBind = p }
func (c *CycleState) GetParallelPreBindPlugins() sets.Set[string]        { return c.parallel }
func (c *CycleState) SetParallelPreBindPlugins(p sets.Set[string])       { c.parallel = p }
func (c *CycleState) ShouldSkipAllPostFilterPlugins() bool               { return false }
func (c *CycleState) IsPodGroupSchedulingCycle() bool                    { return false }
func (c *CycleState) GetPodGroupSchedulingCycle() fwk.PodGroupCycleState { return nil }
func (c *CycleState) GetPlacementCycleState() fwk.PlacementCycleState    { return nil }

// Read returns fwk.ErrNotFound for a key that was not written.
func (c *CycleState) Read(key fwk.StateKey) (fwk.StateData, error) {
	for i := range c.data {
		if c.data[i].key == key {
			return c.data[i].val, nil
		}
	}
	return nil, fwk.ErrNotFound
}

func (c *CycleState) Write(key fwk.StateKey, val fwk.StateData) {
	for i := range c.data {
		if c.data[i].key == key {
			c.data[i].val = val
			return
		}
	}
	c.data = append(c.data, stateEntry{key, val})
}

func (c *CycleState) Delete(key fwk.StateKey) {
	for i := range c.data {
		if c.data[i].key == key {
			c.data = append(c.data[:i], c.data[i+1:]...)
			return
		}
	}
}

// Clone copies the data, for trying other sets of pods on a node.
func (c *CycleState) Clone() fwk.CycleState {
	if c == nil {
		return nil
	}
	n := *c
	n.data = make([]stateEntry, len(c.data), cap(c.data))
	for i, e := range c.data {
		if e.val != nil {
			e.val = e.val.Clone()
		}
		n.data[i] = e
	}
	return &n
}

package framework

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"
)

// ErrNoNodes is returned in a cluster without nodes.
var ErrNoNodes = errors.New("no nodes available to schedule pods")

// NodeToStatus holds why each node was refused.
type NodeToStatus struct {
	byNode map[string]*fwk.Status
	absent *fwk.Status
}

var _ fwk.NodeToStatusReader = &NodeToStatus{}

// NewNodeToStatus returns a map in which every node absent from it counts as
// refused with UnschedulableAndUnresolvable.
func NewNodeToStatus() *NodeToStatus {
	return &NodeToStatus{byNode: map[string]*fwk.Status{}, absent: fwk.NewStatus(fwk.UnschedulableAndUnresolvable)}
}

// Get returns the node's status or that of absent nodes.
func (m *NodeToStatus) Get(node string) *fwk.Status {
	if s, ok := m.byNode[node]; ok {
		return s
	}
	return m.absent
}

// Set records why node was refused.
func (m *NodeToStatus) Set(node string, s *fwk.Status) { m.byNode[node] = s }

// SetAbsent records why all nodes without a status of their own were refused.
func (m *NodeToStatus) SetAbsent(s *fwk.Status) { m.absent = s }

// Absent returns the status of nodes without one of their own.
func (m *NodeToStatus) Absent() *fwk.Status { return m.absent }

// Len returns the number of nodes with a status of their own.
func (m *NodeToStatus) Len() int { return len(m.byNode) }

// All visits nodes with a status of their own, in order of name.
func (m *NodeToStatus) All(visit func(node string, s *fwk.Status)) {
	for _, name := range slices.Sorted(maps.Keys(m.byNode)) {
		visit(name, m.byNode[name])
	}
}

// NodesForStatusCode lists nodes of the snapshot that were refused with code.
func (m *NodeToStatus) NodesForStatusCode(nodes fwk.NodeInfoLister, code fwk.Code) ([]fwk.NodeInfo, error) {
	all, err := nodes.List()
	if err != nil {
		return nil, fmt.Errorf("listing nodes with status %s: %w", code, err)
	}
	var out []fwk.NodeInfo
	for _, n := range all {
		if m.Get(n.Node().Name).Code() == code {
			out = append(out, n)
		}
	}
	return out, nil
}

// Diagnosis collects why no node fits a pod.
type Diagnosis struct {
	NodeToStatus *NodeToStatus
	// UnschedulablePlugins and PendingPlugins refused the pod or a node; events
	// they registered for bring the pod back.
	UnschedulablePlugins sets.Set[string]
	PendingPlugins       sets.Set[string]
	PreFilterMsg         string
	PostFilterMsg        string
}

// NewDiagnosis returns an empty one.
func NewDiagnosis() Diagnosis {
	return Diagnosis{NodeToStatus: NewNodeToStatus(), UnschedulablePlugins: sets.New[string](), PendingPlugins: sets.New[string]()}
}

// Blame records the plugin that s names.
func (d *Diagnosis) Blame(s *fwk.Status) {
	if s.Plugin() == "" {
		return
	}
	if s.Code() == fwk.Pending {
		d.PendingPlugins.Insert(s.Plugin())
	} else if s.IsRejected() {
		d.UnschedulablePlugins.Insert(s.Plugin())
	}
}

// FitError is returned when no node fits Pod. Its message is that of
// Kubernetes' FailedScheduling event.
type FitError struct {
	Pod         *v1.Pod
	NumAllNodes int
	Diagnosis   Diagnosis
}

func (f *FitError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "0/%d nodes are available:", f.NumAllNodes)
	d := &f.Diagnosis
	if d.PreFilterMsg != "" {
		fmt.Fprintf(&b, " %s.", d.PreFilterMsg)
	} else if reasons := d.NodeToStatus.histogram(f.NumAllNodes); len(reasons) > 0 {
		fmt.Fprintf(&b, " %s.", strings.Join(reasons, ", "))
	}
	if d.PostFilterMsg != "" {
		b.WriteString(" " + d.PostFilterMsg)
	}
	return b.String()
}

// histogram counts nodes by reason: "2 Insufficient cpu", sorted as text.
func (m *NodeToStatus) histogram(nodes int) []string {
	count := map[string]int{}
	for _, s := range m.byNode {
		for _, r := range s.Reasons() {
			count[r]++
		}
	}
	if rest := nodes - len(m.byNode); rest > 0 {
		for _, r := range m.absent.Reasons() {
			count[r] += rest
		}
	}
	out := make([]string, 0, len(count))
	for r, n := range count {
		out = append(out, fmt.Sprintf("%d %s", n, r))
	}
	slices.Sort(out)
	return out
}

package noderesources

import (
	"context"
	"math"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	// BalancedName is the plugin's name in Kubernetes.
	BalancedName = "NodeResourcesBalancedAllocation"

	balancedKey fwk.StateKey = "PreScore" + BalancedName
)

// BalancedAllocation prefers nodes whose use of CPU and memory the pod evens out.
type BalancedAllocation struct{}

var _ fwk.PreScorePlugin = &BalancedAllocation{}
var _ fwk.ScorePlugin = &BalancedAllocation{}

// NewBalancedAllocation returns the plugin.
func NewBalancedAllocation() *BalancedAllocation { return &BalancedAllocation{} }

func (*BalancedAllocation) Name() string { return BalancedName }

// PreScore skips pods that ask for neither CPU nor memory: they change no balance.
func (*BalancedAllocation) PreScore(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) *fwk.Status {
	r, s := readRequest(cs)
	if s != nil {
		r = requestOf(pod)
	}
	if r.cpu == 0 && r.memory == 0 {
		return fwk.NewStatus(fwk.Skip)
	}
	cs.Write(balancedKey, r)
	return nil
}

// Score returns 75 where the pod leaves the balance as it is, up to 100 where
// it improves the balance and down to 50 where it worsens it (as of Kubernetes
// 1.36:
// https://github.com/kubernetes/kubernetes/pull/135573).
func (*BalancedAllocation) Score(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node fwk.NodeInfo) (int64, *fwk.Status) {
	data, err := cs.Read(balancedKey)
	if err != nil {
		return 0, fwk.AsStatus(err)
	}
	r := data.(*request)
	alloc, used := node.GetAllocatable(), node.GetRequested()
	if alloc.GetMilliCPU() == 0 || alloc.GetMemory() == 0 {
		return fwk.MaxScore * 3 / 4, nil
	}
	// With two resources the standard deviation is half their distance.
	deviation := func(cpu, mem int64) float64 {
		c := min(1, float64(cpu)/float64(alloc.GetMilliCPU()))
		m := min(1, float64(mem)/float64(alloc.GetMemory()))
		return math.Abs(c-m) / 2
	}
	before := deviation(used.GetMilliCPU(), used.GetMemory())
	after := deviation(used.GetMilliCPU()+r.cpu, used.GetMemory()+r.memory)
	return int64((0.75 + (before-after)/2) * float64(fwk.MaxScore)), nil
}

func (*BalancedAllocation) ScoreExtensions() fwk.ScoreExtensions { return nil }

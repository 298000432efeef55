package noderesources

import (
	"context"
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

func list(kv ...string) v1.ResourceList {
	l := v1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		l[v1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return l
}

func node(kv ...string) *v1.Node {
	return &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: v1.NodeStatus{Allocatable: list(kv...)}}
}

func pod(name string, kv ...string) *v1.Pod {
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Spec: v1.PodSpec{Containers: []v1.Container{{Resources: v1.ResourceRequirements{Requests: list(kv...)}}}}}
}

func TestFilter(t *testing.T) {
	n := node("cpu", "2", "memory", "4Gi", "pods", "2", "ephemeral-storage", "10Gi", "example.com/gpu", "1")
	for name, c := range map[string]struct {
		pod  *v1.Pod
		on   []*v1.Pod
		want []string
		code fwk.Code
	}{
		"fits":         {pod("p", "cpu", "2", "memory", "4Gi", "example.com/gpu", "1"), nil, nil, fwk.Success},
		"asks nothing": {pod("p"), []*v1.Pod{pod("a", "cpu", "2")}, nil, fwk.Success},
		"too much, others have it": {pod("p", "cpu", "1", "memory", "3Gi"), []*v1.Pod{pod("a", "cpu", "1500m", "memory", "2Gi")},
			[]string{"Insufficient cpu", "Insufficient memory"}, fwk.Unschedulable},
		"too much for ever":      {pod("p", "cpu", "3"), nil, []string{"Insufficient cpu"}, fwk.UnschedulableAndUnresolvable},
		"storage":                {pod("p", "ephemeral-storage", "11Gi"), nil, []string{"Insufficient ephemeral-storage"}, fwk.UnschedulableAndUnresolvable},
		"too many pods":          {pod("p"), []*v1.Pod{pod("a"), pod("b")}, []string{"Too many pods"}, fwk.Unschedulable},
		"extended, taken":        {pod("p", "example.com/gpu", "1"), []*v1.Pod{pod("a", "example.com/gpu", "1")}, []string{"Insufficient example.com/gpu"}, fwk.Unschedulable},
		"extended, a device":     {pod("p", "example.com/device", "1"), nil, nil, fwk.Success},
		"extended, unknown here": {pod("p", "example.com/fpga", "1"), nil, []string{"Insufficient example.com/fpga"}, fwk.UnschedulableAndUnresolvable},
	} {
		f, cs := NewFit(func(name v1.ResourceName) bool { return name == "example.com/device" }), framework.NewCycleState()
		f.PreFilter(context.Background(), cs, c.pod, nil)
		s := f.Filter(context.Background(), cs, c.pod, cache.NewNodeInfo(n, c.on...))
		if s.Code() != c.code || !s.IsSuccess() && !slices.Equal(s.Reasons(), c.want) {
			t.Errorf("%s: %v %v", name, s.Code(), s)
		}
	}
}

func TestScores(t *testing.T) {
	for name, c := range map[string]struct {
		pod             *v1.Pod
		on              []*v1.Pod
		least, balanced int64
	}{
		"empty node, even":     {pod("p", "cpu", "1", "memory", "1Gi"), nil, 75, 75},
		"empty node, nothing":  {pod("p"), nil, 96, -1}, // (97 + 95) / 2 for the defaults
		"half full":            {pod("p", "cpu", "1", "memory", "1Gi"), []*v1.Pod{pod("a", "cpu", "1", "memory", "1Gi")}, 50, 75},
		"spoils the balance":   {pod("p", "cpu", "4", "memory", "0"), nil, 50, 50},
		"mends the balance":    {pod("p", "cpu", "0", "memory", "4Gi"), []*v1.Pod{pod("a", "cpu", "4", "memory", "0")}, 0, 100},
		"does not fit anymore": {pod("p", "cpu", "4", "memory", "0"), []*v1.Pod{pod("a", "cpu", "1", "memory", "0")}, 50, 56},
	} {
		ctx, cs := context.Background(), framework.NewCycleState()
		fit, balanced := NewFit(func(name v1.ResourceName) bool { return name == "example.com/device" }), NewBalancedAllocation()
		fit.PreFilter(ctx, cs, c.pod, nil)
		n := cache.NewNodeInfo(node("cpu", "4", "memory", "4Gi", "pods", "10"), c.on...)
		if got, _ := fit.Score(ctx, cs, c.pod, n); got != c.least {
			t.Errorf("%s: LeastAllocated %d, want %d", name, got, c.least)
		}
		got := int64(-1)
		if !balanced.PreScore(ctx, cs, c.pod, nil).IsSkip() {
			got, _ = balanced.Score(ctx, cs, c.pod, n)
		}
		if got != c.balanced {
			t.Errorf("%s: BalancedAllocation %d, want %d", name, got, c.balanced)
		}
	}
}

func TestHints(t *testing.T) {
	p := pod("p", "cpu", "2", "example.com/gpu", "1", "deviceclass.resource.kubernetes.io/gpus", "1")
	class := func(name, resource string) *resourcev1.DeviceClass {
		c := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if resource != "" {
			c.Spec.ExtendedResourceName = &resource
		}
		return c
	}
	bound := func(p *v1.Pod) *v1.Pod { p.Spec.NodeName = "n"; return p }
	fits := NewFit(func(v1.ResourceName) bool { return true }).nodeFits
	for name, c := range map[string]struct {
		hint     func(klog.Logger, *v1.Pod, any, any) (fwk.QueueingHint, error)
		old, new any
		want     fwk.QueueingHint
	}{
		"a bound pod ends":           {podFrees, bound(pod("x")), nil, fwk.Queue},
		"an unbound pod goes":        {podFrees, pod("x"), nil, fwk.QueueSkip},
		"a bound pod gives cpu back": {podFrees, bound(pod("x", "cpu", "2")), bound(pod("x", "cpu", "1")), fwk.Queue},
		"a bound pod gives memory":   {podFrees, bound(pod("x", "memory", "2")), bound(pod("x", "memory", "1")), fwk.QueueSkip},
		"it asks for less itself":    {podFrees, pod("p", "cpu", "3"), pod("p", "cpu", "2"), fwk.Queue},
		"a large node":               {fits, (*v1.Node)(nil), node("cpu", "2", "pods", "1"), fwk.Queue},
		"a small node":               {fits, (*v1.Node)(nil), node("cpu", "1", "pods", "1"), fwk.QueueSkip},
		"a node grows":               {fits, node("cpu", "2", "pods", "1"), node("cpu", "4", "pods", "1"), fwk.Queue},
		"a node grows in memory":     {fits, node("cpu", "2", "pods", "1", "memory", "1"), node("cpu", "2", "pods", "1", "memory", "2"), fwk.QueueSkip},
		"a class for its resource":   {classStands, nil, class("c", "example.com/gpu"), fwk.Queue},
		"a class for another":        {classStands, nil, class("c", "example.com/fpga"), fwk.QueueSkip},
		"a class for none":           {classStands, nil, class("c", ""), fwk.QueueSkip},
		"a class that it names":      {classStands, nil, class("gpus", ""), fwk.Queue},
		"that class again":           {classStands, class("gpus", ""), class("gpus", ""), fwk.QueueSkip},
		"a class begins to stand":    {classStands, class("c", ""), class("c", "example.com/gpu"), fwk.Queue},
		"a class that stood before":  {classStands, class("c", "example.com/gpu"), class("c", "example.com/gpu"), fwk.QueueSkip},
	} {
		if got, err := c.hint(klog.Logger{}, p, c.old, c.new); err != nil || got != c.want {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

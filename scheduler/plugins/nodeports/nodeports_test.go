package nodeports

import (
	"context"
	"testing"

	v1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/framework"
)

func pod(ports ...v1.ContainerPort) *v1.Pod {
	return &v1.Pod{Spec: v1.PodSpec{Containers: []v1.Container{{Ports: ports}}}}
}

func TestFilter(t *testing.T) {
	port := func(ip string, proto v1.Protocol, n int32) v1.ContainerPort {
		return v1.ContainerPort{HostIP: ip, Protocol: proto, HostPort: n}
	}
	always := v1.ContainerRestartPolicyAlways
	sidecar := &v1.Pod{Spec: v1.PodSpec{InitContainers: []v1.Container{{RestartPolicy: &always, Ports: []v1.ContainerPort{port("", "TCP", 80)}}}}}
	for name, c := range map[string]struct {
		want, taken *v1.Pod
		ok          bool
	}{
		"free":                {pod(port("", "TCP", 80)), pod(), true},
		"taken":               {pod(port("", "TCP", 80)), pod(port("", "TCP", 80)), false},
		"other protocol":      {pod(port("", "TCP", 80)), pod(port("", "UDP", 80)), true},
		"other address":       {pod(port("127.0.0.1", "TCP", 80)), pod(port("127.0.0.2", "TCP", 80)), true},
		"all addresses":       {pod(port("127.0.0.1", "TCP", 80)), pod(port("0.0.0.0", "TCP", 80)), false},
		"taken by a sidecar":  {pod(port("", "TCP", 80)), sidecar, false},
		"wanted by a sidecar": {sidecar, pod(port("", "", 80)), false},
	} {
		p, cs := New(), framework.NewCycleState()
		p.PreFilter(context.Background(), cs, c.want, nil)
		s := p.Filter(context.Background(), cs, c.want, cache.NewNodeInfo(&v1.Node{}, c.taken))
		if s.IsSuccess() != c.ok || !c.ok && s.Message() != ErrReason {
			t.Errorf("%s: %v", name, s)
		}
		hint, _ := frees(klog.Logger{}, c.want, c.taken, nil)
		if (hint == fwk.QueueSkip) != c.ok {
			t.Errorf("%s: %v when the other goes", name, hint)
		}
	}
	if _, s := New().PreFilter(context.Background(), framework.NewCycleState(), pod(v1.ContainerPort{ContainerPort: 80}), nil); !s.IsSkip() {
		t.Errorf("no host port: %v", s)
	}
}

package endpoints

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestPlanAgainstOracle asks of every pod by itself where it should be found:
// under "address port name", ready or not. Each of these is there once, and no two
// subsets have the same addresses.
func TestPlanAgainstOracle(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 5))
		svc := service()
		svc.Spec.PublishNotReadyAddresses = r.IntN(3) == 0
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: "named", Port: 81, TargetPort: intstr.FromString("web"), Protocol: corev1.ProtocolTCP})
		want := map[string]bool{}
		var pods []*corev1.Pod
		for i := range r.IntN(12) {
			ready := r.IntN(2) == 0
			p := pod(i, ready)
			p.Status.Phase, p.Spec.RestartPolicy = corev1.PodRunning, corev1.RestartPolicyAlways
			named := r.IntN(3) // 0 has no such port
			if named > 0 {
				p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(8000 + named), Protocol: corev1.ProtocolTCP}}}}
			}
			listed := true
			switch r.IntN(8) {
			case 0:
				p.DeletionTimestamp, listed = &metav1.Time{Time: time.Unix(1, 0)}, svc.Spec.PublishNotReadyAddresses
			case 1:
				p.Status.PodIPs, listed = nil, false
			case 2:
				p.Status.Phase, p.Spec.RestartPolicy, listed = corev1.PodSucceeded, corev1.RestartPolicyNever, false
			case 3:
				p.Status.PodIPs, listed = []corev1.PodIP{{IP: fmt.Sprint("fd00::", i)}}, false // of the other family
			}
			pods = append(pods, p)
			if listed {
				shown := ready || svc.Spec.PublishNotReadyAddresses
				want[fmt.Sprint(p.Status.PodIPs[0].IP, ":8080 http ", shown)] = true
				if named > 0 {
					want[fmt.Sprint(p.Status.PodIPs[0].IP, ":", 8000+named, " named ", shown)] = true
				}
			}
		}
		e, _ := plan(svc, pods, nil, time.Time{})
		got := map[string]bool{}
		sets := map[string]bool{}
		for _, s := range e.Subsets {
			set := fmt.Sprint(s.Addresses, s.NotReadyAddresses)
			if sets[set] {
				t.Fatalf("seed %d: two subsets of the same addresses: %v", seed, e.Subsets)
			}
			sets[set] = true
			for _, port := range s.Ports {
				for ready, addresses := range map[bool][]corev1.EndpointAddress{true: s.Addresses, false: s.NotReadyAddresses} {
					for _, a := range addresses {
						where := fmt.Sprint(a.IP, ":", port.Port, " ", port.Name, " ", ready)
						if got[where] {
							t.Fatalf("seed %d: %s is in two subsets: %v", seed, where, e.Subsets)
						}
						got[where] = true
					}
				}
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("seed %d:\n got %v\nwant %v", seed, got, want)
		}
	}
}

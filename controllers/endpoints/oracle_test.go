package endpoints

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Random pods are at the ports that a dumb look finds for each of them, ready
// or not, and what was written is not written again.
func TestPlanAgainstEachPod(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		svc := service()
		svc.Spec.PublishNotReadyAddresses = rng.IntN(4) == 0
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: "admin", Port: 81, TargetPort: intstr.FromString("admin"), Protocol: corev1.ProtocolTCP})
		var pods []*corev1.Pod
		want := map[string]bool{}
		for i := range rng.IntN(6) {
			p := pod(i, rng.IntN(2) == 0)
			numbered := int32(0)
			if rng.IntN(2) == 0 {
				numbered = int32(9000 + rng.IntN(2))
				p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "admin", ContainerPort: numbered, Protocol: corev1.ProtocolTCP}}}}
			}
			has, going, ended := rng.IntN(5) > 0, rng.IntN(5) == 0, rng.IntN(5) == 0
			if !has {
				p.Status.PodIPs = nil
				p.Status.PodIP = ""
			}
			if going {
				p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
			}
			if ended {
				p.Status.Phase = corev1.PodSucceeded
			}
			pods = append(pods, p)
			if !has || ended || going && !svc.Spec.PublishNotReadyAddresses {
				continue
			}
			ready := len(p.Status.Conditions) > 0 || svc.Spec.PublishNotReadyAddresses
			ip := p.Status.PodIPs[0].IP
			want[fmt.Sprint(ip, " http 8080 ", ready)] = true
			if numbered > 0 {
				want[fmt.Sprint(ip, " admin ", numbered, " ", ready)] = true
			}
		}
		e, create := plan(svc, pods, nil, time.Time{})
		if !create {
			t.Fatalf("seed %d: not created", seed)
		}
		got := map[string]bool{}
		for _, s := range e.Subsets {
			for _, port := range s.Ports {
				for _, a := range s.Addresses {
					got[fmt.Sprint(a.IP, " ", port.Name, " ", port.Port, " true")] = true
				}
				for _, a := range s.NotReadyAddresses {
					got[fmt.Sprint(a.IP, " ", port.Name, " ", port.Port, " false")] = true
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		rng.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
		if again, _ := plan(svc, pods, e, time.Time{}); again != nil {
			t.Fatalf("seed %d: written again", seed)
		}
	}
}

package model

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/test/mangle"
)

// FuzzBuild builds Services out of objects that no API server has checked.
func FuzzBuild(f *testing.F) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.1", ClusterIPs: []string{"10.96.0.1"}, ExternalIPs: []string{"192.0.2.1"}, LoadBalancerSourceRanges: []string{"10.0.0.0/8"},
		SessionAffinity: corev1.ServiceAffinityClientIP, Ports: []corev1.ServicePort{{Name: "x", Port: 80, NodePort: 30000, Protocol: corev1.ProtocolTCP}},
	}, Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.2"}}}}}
	slice := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("x"), Port: ptr.To[int32](8080), Protocol: ptr.To(corev1.ProtocolTCP)}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}, NodeName: ptr.To("n"), Zone: ptr.To("z"), Hints: &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z"}}}}}}
	words := mangle.Words(svc, slice)
	for seed := range byte(60) {
		f.Add([]byte{seed, seed * 7, 4, seed * 3, 2, 9}, []byte{seed * 5, 4, seed, 0, seed * 11, 7})
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s, e := svc.DeepCopy(), slice.DeepCopy()
		mangle.Object(s, one[:min(len(one), 64)], words)
		mangle.Object(e, two[:min(len(two), 64)], words)
		for _, family := range []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol} {
			out := Build(s, []*discoveryv1.EndpointSlice{e, e}, Node{Name: "n", Zone: "z"}, family)
			if out == nil {
				continue
			}
			for _, p := range out.Ports {
				for _, a := range append(p.ExternalIPs, p.LoadBalancerIPs...) {
					if !ofFamily(a, family) {
						t.Errorf("%v is not of %s", a, family)
					}
				}
			}
		}
	})
}

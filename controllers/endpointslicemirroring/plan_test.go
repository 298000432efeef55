package endpointslicemirroring

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func endpoints(port int32, ready []string, notReady []string) *corev1.Endpoints {
	addresses := func(ips []string) (out []corev1.EndpointAddress) {
		for _, ip := range ips {
			out = append(out, corev1.EndpointAddress{IP: ip, Hostname: "h"})
		}
		return out
	}
	return &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "db", UID: "u", Labels: map[string]string{"x": "y"},
			Annotations: map[string]string{"a": "b", corev1.EndpointsLastChangeTriggerTime: "t", corev1.LastAppliedConfigAnnotation: "{}"}},
		Subsets: []corev1.EndpointSubset{{
			Addresses: addresses(ready), NotReadyAddresses: addresses(notReady),
			Ports: []corev1.EndpointPort{{Name: "p", Port: port, Protocol: corev1.ProtocolTCP}},
		}},
	}
}

// made applies a plan to nothing.
func made(p Plan) (out []*discoveryv1.EndpointSlice) {
	for i, s := range p.Create {
		s.Name = fmt.Sprint("s", i)
		out = append(out, s)
	}
	return out
}

func TestPlan(t *testing.T) {
	e := endpoints(80, []string{"10.0.0.1", "fd00::1", "x"}, []string{"10.0.0.2"})
	p := plan(e, nil)
	if len(p.Create) != 2 || p.Invalid != 1 || p.Skipped != 0 {
		t.Fatalf("%+v", p)
	}
	have := made(p)
	for _, s := range have {
		if s.Labels["x"] != "y" || s.Labels[discoveryv1.LabelServiceName] != "db" || s.Labels[discoveryv1.LabelManagedBy] != ManagedBy ||
			len(s.Annotations) != 1 || !metav1.IsControlledBy(s, e) || s.GenerateName != "db-" || *s.Endpoints[0].Hostname != "h" {
			t.Errorf("%+v", s.ObjectMeta)
		}
		if want := map[discoveryv1.AddressType]int{discoveryv1.AddressTypeIPv4: 2, discoveryv1.AddressTypeIPv6: 1}[s.AddressType]; len(s.Endpoints) != want {
			t.Errorf("%s has %d endpoints", s.AddressType, len(s.Endpoints))
		}
	}
	if p := plan(e, have); len(p.Create)+len(p.Update)+len(p.Delete) != 0 {
		t.Errorf("again: %+v", p)
	}
	e.Subsets[0].NotReadyAddresses = nil
	if p := plan(e, have); len(p.Update) != 1 || len(p.Create)+len(p.Delete) != 0 || p.Update[0].AddressType != discoveryv1.AddressTypeIPv4 {
		t.Errorf("one less: %+v", p)
	}
	if p := plan(endpoints(81, []string{"10.0.0.1"}, nil), have); len(p.Update) != 1 || len(p.Delete) != 1 || len(p.Create) != 0 || p.Update[0].Name == p.Delete[0].Name {
		t.Errorf("other ports: %+v", p)
	}
	if p := plan(endpoints(80, nil, nil), have); len(p.Delete) != 2 || len(p.Create)+len(p.Update) != 0 {
		t.Errorf("none: %+v", p)
	}
}

func TestNotMoreThanAThousandOfASubset(t *testing.T) {
	var ips []string
	for i := range MaxPerSubset + 5 {
		ips = append(ips, fmt.Sprintf("10.0.%d.%d", i/250, i%250))
	}
	p := plan(endpoints(80, ips, []string{"10.1.0.0"}), nil)
	if len(p.Create) != 1 || len(p.Create[0].Endpoints) != MaxPerSubset || p.Skipped != 6 {
		t.Errorf("%d slices, %d skipped", len(p.Create), p.Skipped)
	}
}

func TestMirrored(t *testing.T) {
	plain := func() *corev1.Endpoints { return &corev1.Endpoints{} }
	skip, leader := plain(), plain()
	skip.Labels = map[string]string{"endpointslice.kubernetes.io/skip-mirror": "true"}
	leader.Annotations = map[string]string{"control-plane.alpha.kubernetes.io/leader": "{}"}
	selecting := &corev1.Service{Spec: corev1.ServiceSpec{Selector: map[string]string{"a": "b"}}}
	for name, tc := range map[string]struct {
		e    *corev1.Endpoints
		svc  *corev1.Service
		want bool
	}{
		"custom": {plain(), &corev1.Service{}, true}, "without service": {plain(), nil, false}, "selected": {plain(), selecting, false},
		"not to be": {skip, &corev1.Service{}, false}, "a leader's record": {leader, &corev1.Service{}, false},
	} {
		if got := Mirrored(tc.e, tc.svc); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

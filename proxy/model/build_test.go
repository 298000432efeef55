package model

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func slice(name string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "svc"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("p"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
		Endpoints:   endpoints,
	}
}

// ep reads "IP NODE FLAGS": r ready, s serving, t terminating, z=ZONE, n=NODE hints.
func ep(s string) discoveryv1.Endpoint {
	f := strings.Fields(s)
	e := discoveryv1.Endpoint{Addresses: []string{f[0]}, NodeName: new(f[1]),
		Conditions: discoveryv1.EndpointConditions{Ready: new(false), Serving: new(false), Terminating: new(false)}}
	for _, flag := range f[2:] {
		switch flag {
		case "r":
			e.Conditions.Ready, e.Conditions.Serving = new(true), new(true)
		case "s":
			e.Conditions.Serving = new(true)
		case "t":
			e.Conditions.Terminating = new(true)
		default:
			if e.Hints == nil {
				e.Hints = &discoveryv1.EndpointHints{}
			}
			kind, value, _ := strings.Cut(flag, "=")
			if kind == "z" {
				e.Hints.ForZones = append(e.Hints.ForZones, discoveryv1.ForZone{Name: value})
			} else {
				e.Hints.ForNodes = append(e.Hints.ForNodes, discoveryv1.ForNode{Name: value})
			}
		}
	}
	return e
}

func svc() *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "svc"},
		Spec: corev1.ServiceSpec{ClusterIP: "10.96.0.10", ClusterIPs: []string{"10.96.0.10"}, Ports: []corev1.ServicePort{{Name: "p", Port: 80}}}}
}

func short(addrs []netip.AddrPort) string {
	var out []string
	for _, a := range addrs {
		out = append(out, strings.TrimPrefix(a.Addr().String(), "10.0.0."))
	}
	return strings.Join(out, " ")
}

// A condition that is not set has the EndpointSlice API's default: ready and
// serving are true, terminating is false.
func TestUnsetConditions(t *testing.T) {
	for name, tc := range map[string]struct {
		conditions                  discoveryv1.EndpointConditions
		ready, serving, terminating bool
	}{
		"none set":            {discoveryv1.EndpointConditions{}, true, true, false},
		"not ready":           {discoveryv1.EndpointConditions{Ready: new(false)}, false, true, false},
		"not ready, goes":     {discoveryv1.EndpointConditions{Ready: new(false), Terminating: new(true)}, false, true, true},
		"serves":              {discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true)}, false, true, false},
		"does not serve":      {discoveryv1.EndpointConditions{Ready: new(false), Serving: new(false)}, false, false, false},
		"ready, not serving":  {discoveryv1.EndpointConditions{Serving: new(false)}, true, false, false},
		"all set as they are": {discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)}, true, true, false},
	} {
		e, ok := newEndpoint(&discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, Conditions: tc.conditions}, 80, Node{})
		if !ok || e.ready != tc.ready || e.serving != tc.serving || e.terminating != tc.terminating {
			t.Errorf("%s: ready %t, serving %t, terminating %t", name, e.ready, e.serving, e.terminating)
		}
	}
}

func TestChoose(t *testing.T) {
	for name, tc := range map[string]struct {
		endpoints      string
		cluster, local string
	}{
		"ready only":                  {"10.0.0.1 a r;10.0.0.2 b r;10.0.0.3 a", "1 2", "1"},
		"terminating leaves":          {"10.0.0.1 a s t;10.0.0.2 b r", "2", "1"},
		"all terminating":             {"10.0.0.1 a s t;10.0.0.2 b s t;10.0.0.3 b t", "1 2", "1"},
		"not serving":                 {"10.0.0.1 a t;10.0.0.2 b t", "", ""},
		"not ready is not a fallback": {"10.0.0.1 a s", "", ""},
		"zone":                        {"10.0.0.1 a r z=z1;10.0.0.2 b r z=z2", "1", "1"},
		"zone, local elsewhere":       {"10.0.0.1 a r z=z2;10.0.0.2 b r z=z1", "2", "1"},
		"zone, one without hint":      {"10.0.0.1 a r z=z1;10.0.0.2 b r", "1 2", "1"},
		"zone, none for ours":         {"10.0.0.1 b r z=z2;10.0.0.2 b r z=z3", "1 2", ""},
		"zone, unready without hint":  {"10.0.0.1 b r z=z1;10.0.0.2 b r z=z2;10.0.0.3 b", "1", ""},
		"node":                        {"10.0.0.1 a r z=z1 n=a;10.0.0.2 b r z=z1 n=b", "1", "1"},
		"node, none for ours, zone":   {"10.0.0.1 c r z=z1 n=c;10.0.0.2 b r z=z2 n=b", "1", ""},
		"nothing":                     {"", "", ""},
	} {
		var endpoints []discoveryv1.Endpoint
		for s := range strings.SplitSeq(tc.endpoints, ";") {
			if s != "" {
				endpoints = append(endpoints, ep(s))
			}
		}
		got := Build(svc(), []*discoveryv1.EndpointSlice{slice("s", endpoints...)}, Node{"a", "z1"}, corev1.IPv4Protocol)
		if c, l := short(got.Ports[0].Cluster), short(got.Ports[0].Local); c != tc.cluster || l != tc.local {
			t.Errorf("%s: cluster %q local %q, want %q and %q", name, c, l, tc.cluster, tc.local)
		}
	}
}

func TestBuildReadsTheSpec(t *testing.T) {
	s := svc()
	s.Spec.Type = corev1.ServiceTypeLoadBalancer
	s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	s.Spec.HealthCheckNodePort = 31000
	s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
	s.Spec.ExternalIPs = []string{"1.1.1.1", "fd00::1"}
	s.Spec.LoadBalancerSourceRanges = []string{"1.2.3.4/8", "bad", "fd00::/8"}
	s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "2.2.2.2"}, {IP: "3.3.3.3", IPMode: new(corev1.LoadBalancerIPModeProxy)}, {Hostname: "h"}}
	moving := slice("b", ep("10.0.0.1 a r"))
	got := Build(s, []*discoveryv1.EndpointSlice{slice("a", ep("10.0.0.1 a")), moving}, Node{Name: "a"}, corev1.IPv4Protocol)
	p := got.Ports[0]
	text := strings.TrimSpace(fmt.Sprintln(got.HealthCheckNodePort, got.LocalReady, p.Protocol, p.ClusterIP, p.ExternalIPs, p.LoadBalancerIPs, p.SourceRanges,
		p.AffinitySeconds, p.InternalLocal, p.ExternalLocal, p.Cluster, p.Local, p.Serving))
	if want := "31000 1 TCP 10.96.0.10 [1.1.1.1] [2.2.2.2] [1.0.0.0/8] 10800 false true [10.0.0.1:8080] [10.0.0.1:8080] [10.0.0.1:8080]"; text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestBuildIgnores(t *testing.T) {
	for name, change := range map[string]func(*corev1.Service){
		"headless":     func(s *corev1.Service) { s.Spec.ClusterIP = "None"; s.Spec.ClusterIPs = []string{"None"} },
		"external":     func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName },
		"other proxy":  func(s *corev1.Service) { s.Labels = map[string]string{labelProxyName: "x"} },
		"other family": func(s *corev1.Service) { s.Spec.ClusterIPs = []string{"fd00::1"} },
	} {
		s := svc()
		change(s)
		if got := Build(s, nil, Node{}, corev1.IPv4Protocol); got != nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestTracker(t *testing.T) {
	tr := NewTracker()
	s := slice("s", ep("10.0.0.1 a r"))
	tr.SetSlice(s, false)
	tr.SetService(named("svc"), svc())
	got := tr.Take(Node{}, corev1.IPv4Protocol)
	if len(got) != 1 || len(got[named("svc")].Ports[0].Cluster) != 1 || tr.Dirty() {
		t.Errorf("got %+v", got)
	}
	tr.SetSlice(s, true)
	if got := tr.Take(Node{}, corev1.IPv4Protocol); len(got[named("svc")].Ports[0].Cluster) != 0 {
		t.Errorf("after deletion: %+v", got)
	}
	tr.SetService(named("svc"), nil)
	if got := tr.Take(Node{}, corev1.IPv4Protocol); got[named("svc")] != nil || len(got) != 1 {
		t.Errorf("after the service's deletion: %+v", got)
	}
	headless := slice("h")
	headless.Labels[corev1.IsHeadlessService] = ""
	if tr.SetSlice(headless, false) || tr.Dirty() {
		t.Error("a headless slice counts")
	}
}

func named(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "ns", Name: name}
}

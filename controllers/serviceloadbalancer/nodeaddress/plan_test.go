package nodeaddress

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func node(name string, addresses ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	n.Status.DaemonEndpoints.KubeletEndpoint.Port = 10250
	for _, a := range addresses {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	return n
}

// service is as old as its name is early.
func service(name string, ports ...int32) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	svc.CreationTimestamp = metav1.Unix(int64(name[0]), 0)
	svc.Spec.Type = corev1.ServiceTypeLoadBalancer
	svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	for _, p := range ports {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Port: p, Protocol: corev1.ProtocolTCP})
	}
	return svc
}

func with(svc *corev1.Service, addresses ...string) *corev1.Service {
	for _, a := range addresses {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a})
	}
	return svc
}

func edit[T any](o T, change func(T)) T {
	change(o)
	return o
}

func TestAssign(t *testing.T) {
	one, two := node("n1", "10.0.0.1", "fd00::1"), node("n2", "10.0.0.2")
	local := func(svc *corev1.Service) *corev1.Service {
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		return svc
	}
	for name, c := range map[string]struct {
		services []*corev1.Service
		nodes    []*corev1.Node
		local    []string // of Service a
		want     string
	}{
		"all ready nodes":        {[]*corev1.Service{service("a", 80)}, []*corev1.Node{two, one, edit(node("n3", "10.0.0.3"), func(n *corev1.Node) { n.Status.Conditions = nil })}, nil, "a: 10.0.0.1 10.0.0.2"},
		"no nodes":               {[]*corev1.Service{service("a", 80)}, nil, nil, "a:"},
		"families in order":      {[]*corev1.Service{edit(service("a", 80), func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{"IPv6", "IPv4"} })}, []*corev1.Node{one}, nil, "a: fd00::1 10.0.0.1"},
		"external goes first":    {[]*corev1.Service{service("a", 80)}, []*corev1.Node{edit(node("n4", "10.0.0.4"), func(n *corev1.Node) { n.Status.Addresses[0].Type = corev1.NodeExternalIP }), one}, nil, "a: 10.0.0.4"},
		"real nodes go first":    {[]*corev1.Service{service("a", 80)}, []*corev1.Node{edit(node("a", "10.64.0.1"), func(n *corev1.Node) { n.Spec.ProviderID = "coracle://simulated/a" }), one}, nil, "a: 10.0.0.1"},
		"only simulated":         {[]*corev1.Service{service("a", 80)}, []*corev1.Node{edit(node("a", "10.64.0.1"), func(n *corev1.Node) { n.Spec.ProviderID = "coracle://simulated/a" })}, nil, "a: 10.64.0.1"},
		"a wish":                 {[]*corev1.Service{edit(service("a", 80), func(s *corev1.Service) { s.Spec.LoadBalancerIP = "10.0.0.2" })}, []*corev1.Node{one, two}, nil, "a: 10.0.0.2"},
		"a wish nobody can meet": {[]*corev1.Service{edit(service("a", 80), func(s *corev1.Service) { s.Spec.LoadBalancerIP = "10.9.9.9" })}, []*corev1.Node{one}, nil, "a: 10.0.0.1"},
		"local":                  {[]*corev1.Service{local(service("a", 80))}, []*corev1.Node{one, two}, []string{"n2"}, "a: 10.0.0.2"},
		"local without any":      {[]*corev1.Service{local(service("a", 80))}, []*corev1.Node{one, two}, nil, "a: 10.0.0.1 10.0.0.2"},
		"the older one":          {[]*corev1.Service{service("b", 80), service("a", 80)}, []*corev1.Node{one}, nil, "a: 10.0.0.1; b waits: port 80/TCP of 10.0.0.1 is taken by ns/a"},
		"who has it":             {[]*corev1.Service{service("a", 80), with(service("b", 80), "10.0.0.1")}, []*corev1.Node{one}, nil, "a waits: port 80/TCP of 10.0.0.1 is taken by ns/b; b: 10.0.0.1"},
		"both have it":           {[]*corev1.Service{with(service("b", 80), "10.0.0.1"), with(service("a", 80), "10.0.0.1")}, []*corev1.Node{one}, nil, "a: 10.0.0.1; b waits: port 80/TCP of 10.0.0.1 is taken by ns/a"},
		"other ports":            {[]*corev1.Service{service("a", 80), service("b", 81)}, []*corev1.Node{one}, nil, "a: 10.0.0.1; b: 10.0.0.1"},
		"other protocols":        {[]*corev1.Service{service("a", 80), edit(service("b", 80), func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP })}, []*corev1.Node{one}, nil, "a: 10.0.0.1; b: 10.0.0.1"},
		"one port of several":    {[]*corev1.Service{service("a", 80), service("b", 443, 80), service("c", 443)}, []*corev1.Node{one}, nil, "a: 10.0.0.1; b waits: port 80/TCP of 10.0.0.1 is taken by ns/a; c: 10.0.0.1"},
		"what is left":           {[]*corev1.Service{with(service("b", 80), "10.0.0.2"), service("a", 80)}, []*corev1.Node{one, two}, nil, "a: 10.0.0.1; b: 10.0.0.2"},
		"the API server's":       {[]*corev1.Service{service("a", 6443)}, []*corev1.Node{one}, nil, "a waits: port 6443/TCP of 10.0.0.1 is taken by the API server"},
		"the agent's":            {[]*corev1.Service{service("a", 10250)}, []*corev1.Node{one}, nil, "a waits: port 10250/TCP of 10.0.0.1 is taken by node n1"},
	} {
		t.Run(name, func(t *testing.T) {
			o := observed{services: c.services, nodes: c.nodes, local: map[types.NamespacedName]map[string]bool{},
				reserved: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:6443")}}
			for _, n := range c.local {
				o.local[types.NamespacedName{Namespace: "ns", Name: "a"}] = map[string]bool{n: true}
			}
			if got := transcript(assign(o)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func transcript(shares map[types.NamespacedName]assignment) string {
	var lines []string
	for key, s := range shares {
		line := key.Name + ":"
		for _, a := range s.addresses {
			line += " " + a.String()
		}
		if s.waits != nil {
			line = fmt.Sprintf("%s waits: %v", key.Name, s.waits)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// TestAssignOracle checks properties of assignments that do not depend on the algorithm.
func TestAssignOracle(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := world(r)
		shares := assign(o)
		check(t, seed, o, shares)
		for _, svc := range o.services { // what is given stays
			svc.Status.LoadBalancer.Ingress = ingress(shares[keyOf(svc)].addresses)
		}
		for key, share := range assign(o) {
			if !slices.Equal(share.addresses, shares[key].addresses) {
				t.Fatalf("seed %d: %v of %s became %v", seed, shares[key].addresses, key.Name, share.addresses)
			}
		}
	}
}

func world(r *rand.Rand) observed {
	var o observed
	for i := range 1 + r.IntN(3) {
		o.nodes = append(o.nodes, node(fmt.Sprint("n", i), fmt.Sprint("10.0.0.", i)))
	}
	for i := range r.IntN(6) {
		svc := service(string(rune('a'+i)), int32(80+r.IntN(3)))
		if r.IntN(3) == 0 {
			svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Port: int32(83 + r.IntN(2)), Protocol: corev1.ProtocolTCP})
		}
		for j := range 3 {
			if r.IntN(3) == 0 {
				with(svc, fmt.Sprint("10.0.0.", j))
			}
		}
		svc.CreationTimestamp = metav1.NewTime(time.Unix(int64(r.IntN(3)), 0))
		o.services = append(o.services, svc)
	}
	return o
}

func check(t *testing.T, seed uint64, o observed, shares map[types.NamespacedName]assignment) {
	t.Helper()
	owners := map[place][]*corev1.Service{}
	for _, svc := range o.services {
		for _, a := range shares[keyOf(svc)].addresses {
			for _, p := range placesOf(svc, a) {
				owners[p] = append(owners[p], svc)
			}
		}
	}
	for p, who := range owners {
		if len(who) > 1 {
			t.Fatalf("seed %d: %v has %d owners", seed, p, len(who))
		}
	}
	for _, svc := range o.services {
		share := shares[keyOf(svc)]
		if (share.waits != nil) != (len(share.addresses) == 0) {
			t.Fatalf("seed %d: %s has %v, waits %v", seed, svc.Name, share.addresses, share.waits)
		}
		for _, n := range o.nodes {
			a := netip.MustParseAddr(n.Status.Addresses[0].Address)
			if slices.Contains(share.addresses, a) {
				continue
			}
			// Not given: one of its ports has a Service that had it before, or is older.
			if !slices.ContainsFunc(placesOf(svc, a), func(p place) bool {
				return len(owners[p]) == 1 && (has(owners[p][0], a) && !has(svc, a) || has(owners[p][0], a) == has(svc, a) && byAge(owners[p][0], svc) < 0)
			}) {
				t.Fatalf("seed %d: %s could have %s: %s", seed, svc.Name, a, transcript(shares))
			}
		}
	}
}

package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core"
	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// TestPoolAgainstMap compares the bitmap with a map on random operations.
func TestPoolAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 5, 63, 64, 65, 200, 1000} {
		p, oracle := newPool(size, size/4, r.IntN), map[int]bool{}
		for range 20 * size {
			switch i := r.IntN(size); r.IntN(5) {
			case 0:
				if got := p.take(i); got == oracle[i] {
					t.Fatalf("size %d: take(%d) = %v, but the oracle says %v", size, i, got, oracle[i])
				}
				oracle[i] = true
			case 1:
				p.free(i)
				delete(oracle, i)
			default:
				got, ok := p.next()
				if ok != (len(oracle) < size) {
					t.Fatalf("size %d with %d taken: next says %v", size, len(oracle), ok)
				}
				if !ok {
					continue
				}
				if oracle[got] || got < 0 || got >= size {
					t.Fatalf("size %d: next gives %d, which is taken or out of range", size, got)
				}
				if got < size/4 && upperFree(oracle, size) {
					t.Fatalf("size %d: next gives the reserved %d while others are free", size, got)
				}
				oracle[got] = true
			}
		}
	}
}

func upperFree(taken map[int]bool, size int) bool {
	for i := size / 4; i < size; i++ {
		if !taken[i] {
			return true
		}
	}
	return false
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		cidr, first, last string
		size              int
	}{
		{"10.96.0.0/16", "10.96.0.1", "10.96.255.254", 65534},
		{"10.0.0.128/30", "10.0.0.129", "10.0.0.130", 2},
		{"10.0.0.9/24", "10.0.0.1", "10.0.0.254", 254},
		{"fd00::/112", "fd00::1", "fd00::ffff", 65535},
	} {
		a, err := newAddresses(c.cidr, func(int) int { return 0 })
		if err != nil {
			t.Fatal(err)
		}
		if a.size != c.size || a.at(0).String() != c.first || a.at(a.size-1).String() != c.last {
			t.Errorf("%s: %d addresses from %s to %s", c.cidr, a.size, a.at(0), a.at(a.size-1))
		}
		for _, i := range []int{0, c.size / 2, c.size - 1} {
			if got, ok := a.index(a.at(i)); !ok || got != i {
				t.Errorf("%s: index(at(%d)) = %d, %v", c.cidr, i, got, ok)
			}
		}
	}
	a, _ := newAddresses("10.0.0.0/24", func(int) int { return 0 })
	for _, ip := range []string{"10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"} {
		if _, ok := a.index(netip.MustParseAddr(ip)); ok {
			t.Errorf("%s must not be in the range", ip)
		}
	}
}

// TestAllocatorAgainstRecount runs random creates, updates, failures, dry runs
// and deletes, and after each compares the pools with a count over the
// services that are stored.
func TestAllocatorAgainstRecount(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	stored := map[string]*corev1.Service{}
	a, err := newAllocator(registry.ServiceNetwork{CIDR: "10.0.0.0/26", NodePortBase: 30000, NodePortSize: 40}, r.IntN, newLedger(),
		func(context.Context) ([]corev1.Service, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	for step := range 5000 {
		name := fmt.Sprintf("s%d", r.IntN(30))
		old := stored[name]
		dry, success := r.IntN(8) == 0, r.IntN(5) > 0
		if old != nil && r.IntN(4) == 0 {
			if !dry {
				delete(stored, name)
			}
			o := &metav1.DeleteOptions{}
			if dry {
				o.DryRun = []string{metav1.DryRunAll}
			}
			a.afterDelete(old, o)
		} else if s := randomService(r, name, old); old == nil {
			finish, err := a.beginCreate(context.Background(), s, &metav1.CreateOptions{DryRun: dryRun(dry)})
			end(finish, err, s, success, dry, stored)
		} else {
			finish, err := a.beginUpdate(context.Background(), s, old, &metav1.UpdateOptions{DryRun: dryRun(dry)})
			end(finish, err, s, success, dry, stored)
		}
		recount(t, step, a, stored)
	}
}

func end(finish func(context.Context, bool), err error, s *corev1.Service, success, dry bool, stored map[string]*corev1.Service) {
	if err != nil {
		return
	}
	finish(context.Background(), success)
	if success && !dry {
		stored[s.Name] = s
	}
}

func dryRun(dry bool) []string {
	if dry {
		return []string{metav1.DryRunAll}
	}
	return nil
}

func randomService(r *rand.Rand, name string, old *corev1.Service) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if old != nil && r.IntN(2) == 0 {
		s = old.DeepCopy()
	} else {
		for i := range r.IntN(3) {
			p := corev1.ServicePort{Port: int32(80 + r.IntN(2)), Protocol: corev1.ProtocolTCP, Name: fmt.Sprint(i)}
			if r.IntN(2) == 0 {
				p.Protocol = corev1.ProtocolUDP
			}
			if r.IntN(4) == 0 {
				p.NodePort = int32(29998 + r.IntN(44))
			}
			s.Spec.Ports = append(s.Spec.Ports, p)
		}
		if old == nil && r.IntN(4) == 0 {
			s.Spec.ClusterIP = []string{"None", "10.0.0.7", "10.0.0.8", "192.168.0.1"}[r.IntN(4)]
		}
	}
	s.Spec.Type = []corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName}[r.IntN(4)]
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
	}
	// Validation refuses node ports that the type cannot have, unless they are
	// left over from the old type.
	if !mayHaveNodePorts(s) && (old == nil || !sameNodePorts(s, old) || !mayHaveNodePorts(old)) {
		for i := range s.Spec.Ports {
			s.Spec.Ports[i].NodePort = 0
		}
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
		s.Spec.AllocateLoadBalancerNodePorts = ptr.To(r.IntN(2) == 0)
		if r.IntN(2) == 0 {
			s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		}
	}
	return s
}

func recount(t *testing.T, step int, a *allocator, stored map[string]*corev1.Service) {
	t.Helper()
	ips, ports := map[netip.Addr]string{}, map[int]string{}
	for name, s := range stored {
		for _, ip := range addrs(s) {
			if ips[ip] != "" {
				t.Fatalf("step %d: %s and %s both have %s", step, ips[ip], name, ip)
			}
			ips[ip] = name
		}
		for _, port := range nodePorts(s) {
			if n, ok := a.port(port); ok {
				if ports[n] != "" {
					t.Fatalf("step %d: %s and %s both have port %d", step, ports[n], name, port)
				}
				ports[n] = name
			}
		}
	}
	base, written := a.pools[a.base], a.book.(*ledger).owners
	for i := range base.size {
		ip := base.at(i)
		if base.has(i) != (ips[ip] != "") || a.used[ip] != base.has(i) {
			t.Fatalf("step %d: address %s: pool says %v, stored by %q", step, ip, base.has(i), ips[ip])
		}
		if written[ip] != ips[ip] {
			t.Fatalf("step %d: address %s: the book says %q, stored by %q", step, ip, written[ip], ips[ip])
		}
	}
	for i := range a.ports.size {
		if a.ports.has(i) != (ports[i] != "") {
			t.Fatalf("step %d: port %d: pool says %v, stored by %q", step, a.portBase+i, a.ports.has(i), ports[i])
		}
	}
}

func TestAllocateWords(t *testing.T) {
	a, err := newAllocator(registry.ServiceNetwork{CIDR: "10.0.0.0/24", NodePortBase: 30000, NodePortSize: 2768}, func(int) int { return 0 }, newLedger(),
		func(context.Context) ([]corev1.Service, error) {
			return []corev1.Service{{Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, Type: corev1.ServiceTypeNodePort,
				Ports: []corev1.ServicePort{{Port: 80, NodePort: 30080}}}}}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		spec corev1.ServiceSpec
		want string
	}{
		{"taken address", corev1.ServiceSpec{ClusterIP: "10.0.0.1"},
			`Service "x" is invalid: spec.clusterIPs: Invalid value: ["10.0.0.1"]: failed to allocate IP 10.0.0.1: provided IP is already allocated`},
		{"foreign address", corev1.ServiceSpec{ClusterIP: "10.1.0.1"},
			`Service "x" is invalid: spec.clusterIPs: Invalid value: ["10.1.0.1"]: failed to allocate IP 10.1.0.1: the provided network does not match the current range`},
		{"taken port", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: 30080}}},
			`Service "x" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated`},
		{"foreign port", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: 80}}},
			`Service "x" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`},
		{"dual stack", corev1.ServiceSpec{IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicyRequireDualStack)},
			`Service "x" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: c.spec}
			core.SetServiceDefaults(s)
			_, err := a.beginCreate(context.Background(), s, &metav1.CreateOptions{})
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestForeignPortsOfDryRuns are let through, as by upstream, whose dry run asks only whether a port
// is taken.
func TestForeignPortsOfDryRuns(t *testing.T) {
	a, err := newAllocator(registry.ServiceNetwork{CIDR: "10.0.0.0/24", NodePortBase: 30000, NodePortSize: 2768}, func(int) int { return 0 }, newLedger(),
		func(context.Context) ([]corev1.Service, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range []int32{80, 30080} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}}}}
		core.SetServiceDefaults(s)
		finish, err := a.beginCreate(context.Background(), s, &metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			t.Fatalf("port %d: %v", port, err)
		}
		finish(context.Background(), true)
		if a.ports.has(80) {
			t.Errorf("port %d is taken after a dry run", port)
		}
	}
}

// TestAnotherFirstAddress allocates nothing: validation refuses it, whether the other
// address is free, taken or foreign.
func TestAnotherFirstAddress(t *testing.T) {
	a, err := newAllocator(registry.ServiceNetwork{CIDR: "10.0.0.0/24", NodePortBase: 30000, NodePortSize: 2768}, func(int) int { return 0 }, newLedger(),
		func(context.Context) ([]corev1.Service, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]*corev1.Service{}
	for _, name := range []string{"x", "y"} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		core.SetServiceDefaults(s)
		finish, err := a.beginCreate(context.Background(), s, &metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		finish(context.Background(), true)
		made[name] = s
	}
	for _, ip := range []string{"10.0.0.200", made["y"].Spec.ClusterIP, "2.2.2.2"} {
		next := made["x"].DeepCopy()
		next.ResourceVersion = "1"
		next.Spec.ClusterIP = ip
		finish, err := a.beginUpdate(context.Background(), next, made["x"], &metav1.UpdateOptions{})
		if err != nil {
			t.Errorf("%s: %v", ip, err)
			continue
		}
		if errs := corevalidation.ValidateServiceUpdate(next, made["x"]); len(errs) != 1 || !strings.Contains(errs[0].Error(), "may not change once set") {
			t.Errorf("%s: %v", ip, errs)
		}
		finish(context.Background(), false)
	}
	recount(t, 0, a, made)
}

// TestTypeTransitions changes nothing but the type.
func TestTypeTransitions(t *testing.T) {
	a, err := newAllocator(registry.ServiceNetwork{CIDR: "10.0.0.0/24", NodePortBase: 30000, NodePortSize: 2768}, func(int) int { return 0 }, newLedger(),
		func(context.Context) ([]corev1.Service, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default"}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Selector: map[string]string{"a": "b"},
		Ports: []corev1.ServicePort{{Name: "tcp", Port: 53, Protocol: "TCP"}, {Name: "udp", Port: 53, Protocol: "UDP"}}}}
	core.SetServiceDefaults(s)
	finish, err := a.beginCreate(context.Background(), s, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	finish(context.Background(), true)
	if errs := corevalidation.ValidateService(s); len(errs) > 0 {
		t.Fatal(errs)
	}
	if s.Spec.ClusterIP == "" || len(s.Spec.ClusterIPs) != 1 || s.Spec.ClusterIPs[0] != s.Spec.ClusterIP || len(s.Spec.IPFamilies) != 1 {
		t.Fatalf("allocated %+v", s.Spec)
	}
	for _, to := range []corev1.ServiceType{"NodePort", "LoadBalancer", "ClusterIP", "LoadBalancer", "ExternalName", "NodePort", "ClusterIP"} {
		next := s.DeepCopy()
		next.ResourceVersion = "1"
		next.Spec.Type = to
		next.Spec.ExternalName = ""
		if to == "ExternalName" {
			next.Spec.ExternalName = "example.com"
		}
		core.SetServiceDefaults(next)
		finish, err := a.beginUpdate(context.Background(), next, s, &metav1.UpdateOptions{})
		if err != nil {
			t.Fatalf("%s to %s: %v", s.Spec.Type, to, err)
		}
		finish(context.Background(), true)
		if errs := corevalidation.ValidateServiceUpdate(next, s); len(errs) > 0 {
			t.Errorf("%s to %s: %v", s.Spec.Type, to, errs)
		}
		wantPorts := to == "NodePort" || to == "LoadBalancer"
		if got := len(nodePorts(next)) > 0; got != wantPorts {
			t.Errorf("%s to %s: node ports %v", s.Spec.Type, to, nodePorts(next))
		}
		if wantPorts && next.Spec.Ports[0].NodePort != next.Spec.Ports[1].NodePort {
			t.Errorf("TCP and UDP of one port have different node ports: %+v", next.Spec.Ports)
		}
		if got := next.Spec.ClusterIP != ""; got != (to != "ExternalName") {
			t.Errorf("%s to %s: cluster IP %q", s.Spec.Type, to, next.Spec.ClusterIP)
		}
		recount(t, 0, a, map[string]*corev1.Service{"x": next})
		s = next
	}
}

// ledger is a book in memory: the name of the Service by address.
type ledger struct {
	owners map[netip.Addr]string
	more   []netip.Prefix
}

func newLedger() *ledger { return &ledger{owners: map[netip.Addr]string{}} }

func (l *ledger) claim(_ context.Context, ip netip.Addr, svc *corev1.Service) error {
	if owner, ok := l.owners[ip]; ok && owner != svc.Name {
		return errAllocated
	}
	l.owners[ip] = svc.Name
	return nil
}

func (l *ledger) release(_ context.Context, ip netip.Addr, svc *corev1.Service) error {
	if l.owners[ip] == svc.Name {
		delete(l.owners, ip)
	}
	return nil
}

func (l *ledger) ranges(context.Context) ([]netip.Prefix, error) { return l.more, nil }

// TestMoreRanges fills the configured range and goes on in another one, past
// addresses that others hold.
func TestMoreRanges(t *testing.T) {
	l := newLedger()
	a, err := newAllocator(registry.ServiceNetwork{CIDR: "10.0.0.0/30", NodePortBase: 30000, NodePortSize: 40}, func(int) int { return 0 }, l,
		func(context.Context) ([]corev1.Service, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	l.owners[netip.MustParseAddr("10.0.0.1")] = "somebody"
	create := func(name, ip string) (string, error) {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip}}
		core.SetServiceDefaults(s)
		finish, err := a.beginCreate(context.Background(), s, &metav1.CreateOptions{})
		if err == nil {
			finish(context.Background(), true)
		}
		return s.Spec.ClusterIP, err
	}
	if ip, err := create("a", ""); err != nil || ip != "10.0.0.2" {
		t.Fatalf("the one that is left: %s, %v", ip, err)
	}
	if _, err := create("b", ""); err == nil || !strings.Contains(err.Error(), "range is full") {
		t.Fatalf("a full range: %v", err)
	}
	if _, err := create("c", "10.1.0.9"); err == nil || !strings.Contains(err.Error(), "does not match the current range") {
		t.Fatalf("an unknown range: %v", err)
	}
	l.more = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/24")}
	if ip, err := create("b", ""); err != nil || !l.more[0].Contains(netip.MustParseAddr(ip)) {
		t.Fatalf("in the new range: %s, %v", ip, err)
	}
	if ip, err := create("c", "10.1.0.9"); err != nil || ip != "10.1.0.9" {
		t.Fatalf("a certain address of the new range: %s, %v", ip, err)
	}
	delete(l.owners, netip.MustParseAddr("10.0.0.1"))
	if ip, err := create("d", ""); err != nil || ip != "10.0.0.1" {
		t.Fatalf("a released address: %s, %v", ip, err)
	}
}

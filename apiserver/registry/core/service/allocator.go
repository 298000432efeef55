package service

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// allocator knows which ClusterIPs and node ports are in use. There is one per
// API server process, which is the only one to write Services, so that memory
// is enough: the first use rebuilds it from what is stored.
//
// Invariants: 1. what a stored Service has is taken; 2. what is taken belongs
// to a stored Service or to a transaction that is still open.
type allocator struct {
	load func(ctx context.Context) ([]corev1.Service, error)

	mu       sync.Mutex
	loaded   bool
	ips      *addresses
	ports    *pool
	portBase int
}

func newAllocator(n registry.ServiceNetwork, random func(int) int, load func(context.Context) ([]corev1.Service, error)) (*allocator, error) {
	ips, err := newAddresses(n.CIDR, random)
	if err != nil {
		return nil, err
	}
	if n.NodePortSize < 1 || n.NodePortBase < 1 || n.NodePortBase+n.NodePortSize > 1<<16 {
		return nil, fmt.Errorf("reading the range of node ports: %d ports from %d on is no range of ports", n.NodePortSize, n.NodePortBase)
	}
	reserved := min(max(16, n.NodePortSize/32), 128)
	if n.NodePortSize <= reserved {
		reserved = 0
	}
	return &allocator{load: load, ips: ips, ports: newPool(n.NodePortSize, reserved, random), portBase: n.NodePortBase}, nil
}

// family of the range.
func (a *allocator) family() corev1.IPFamily {
	if a.ips.prefix.Addr().Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// ready rebuilds the pools once. The caller holds mu.
func (a *allocator) ready(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	services, err := a.load(ctx)
	if err != nil {
		return fmt.Errorf("reading the addresses and ports of services: %w", err)
	}
	for i := range services {
		for _, ip := range clusterIPs(&services[i]) {
			if n, ok := a.index(ip); ok {
				a.ips.take(n)
			}
		}
		for _, port := range nodePorts(&services[i]) {
			if n, ok := a.port(port); ok {
				a.ports.take(n)
			}
		}
	}
	a.loaded = true
	return nil
}

func (a *allocator) index(ip string) (int, bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return 0, false
	}
	return a.ips.index(addr)
}

func (a *allocator) port(port int32) (int, bool) {
	n := int(port) - a.portBase
	return n, n >= 0 && n < a.ports.size
}

// release frees what a deleted Service had.
func (a *allocator) release(svc *corev1.Service) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.loaded {
		return
	}
	for _, ip := range clusterIPs(svc) {
		if n, ok := a.index(ip); ok {
			a.ips.free(n)
		}
	}
	for _, port := range nodePorts(svc) {
		if n, ok := a.port(port); ok {
			a.ports.free(n)
		}
	}
}

// transaction takes at once and gives back when it ends: what it took if it
// failed, what it no longer needs if it succeeded.
type transaction struct {
	a                *allocator
	taken, abandoned []func()
}

// begin makes sure that the pools are right.
func (a *allocator) begin(ctx context.Context) (*transaction, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	return &transaction{a: a}, nil
}

// end must be called once.
func (t *transaction) end(success bool) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	give := t.taken
	if success {
		give = t.abandoned
	}
	for _, f := range give {
		f()
	}
}

func (t *transaction) takeIP(ip string) error {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	n, ok := t.a.index(ip)
	if !ok {
		return fmt.Errorf("the provided IP (%v) is not in the valid range. The range of valid IPs is %v", ip, t.a.ips.prefix)
	}
	if !t.a.ips.take(n) {
		return errAllocated
	}
	t.taken = append(t.taken, func() { t.a.ips.free(n) })
	return nil
}

func (t *transaction) nextIP() (string, error) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	n, ok := t.a.ips.next()
	if !ok {
		return "", errFull
	}
	t.taken = append(t.taken, func() { t.a.ips.free(n) })
	return t.a.ips.at(n).String(), nil
}

func (t *transaction) abandonIP(ip string) {
	if n, ok := t.a.index(ip); ok {
		t.abandoned = append(t.abandoned, func() { t.a.ips.free(n) })
	}
}

func (t *transaction) takePort(port int32) error {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	n, ok := t.a.port(port)
	if !ok {
		return fmt.Errorf("provided port is not in the valid range. The range of valid ports is %d-%d", t.a.portBase, t.a.portBase+t.a.ports.size-1)
	}
	if !t.a.ports.take(n) {
		return errPortTaken
	}
	t.taken = append(t.taken, func() { t.a.ports.free(n) })
	return nil
}

func (t *transaction) nextPort() (int32, error) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	n, ok := t.a.ports.next()
	if !ok {
		return 0, errFull
	}
	t.taken = append(t.taken, func() { t.a.ports.free(n) })
	return int32(t.a.portBase + n), nil
}

func (t *transaction) abandonPort(port int32) {
	if n, ok := t.a.port(port); ok {
		t.abandoned = append(t.abandoned, func() { t.a.ports.free(n) })
	}
}

package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// book records which Service has which address, in objects that clients can
// read. The book is authoritative; memory only remembers where to look first.
type book interface {
	// claim records that svc has ip; errAllocated if another object has it.
	claim(ctx context.Context, ip netip.Addr, svc *corev1.Service) error
	// release strikes out what claim wrote for svc.
	release(ctx context.Context, ip netip.Addr, svc *corev1.Service) error
	// ranges are those that addresses may be taken from now, apart from the
	// one that the server was configured with.
	ranges(ctx context.Context) ([]netip.Prefix, error)
}

// allocator holds which ClusterIPs and node ports are in use. There is one per
// API server process; the first use rebuilds it from what is stored.
//
// Invariants:
//
//  1. What a stored Service has is taken.
//  2. What is taken belongs to a stored Service or to a transaction that is still
//     open.
//  3. An address that is taken is in the book, unless the Service was stored
//     before there was one.
type allocator struct {
	load   func(ctx context.Context) ([]corev1.Service, error)
	book   book
	random func(int) int
	base   netip.Prefix // the configured range
	counts *counts

	mu       sync.Mutex
	loaded   bool
	used     map[netip.Addr]bool
	pools    map[netip.Prefix]*addresses // agree with used
	ports    *pool
	portBase int
}

func newAllocator(n registry.ServiceNetwork, random func(int) int, b book, load func(context.Context) ([]corev1.Service, error)) (*allocator, error) {
	base, err := newAddresses(n.CIDR, random)
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
	return &allocator{
		load: load, book: b, counts: newCounts(nil), random: random, base: base.prefix, used: map[netip.Addr]bool{},
		pools: map[netip.Prefix]*addresses{base.prefix: base},
		ports: newPool(n.NodePortSize, reserved, random), portBase: n.NodePortBase,
	}, nil
}

// family returns the family of the ranges.
func (a *allocator) family() corev1.IPFamily {
	if a.base.Addr().Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// ready rebuilds what is taken, once. The caller holds mu.
func (a *allocator) ready(ctx context.Context) error {
	if a.loaded {
		return nil
	}
	services, err := a.load(ctx)
	if err != nil && ctx.Err() != nil {
		return apierrors.NewServiceUnavailable("the server is shutting down")
	}
	if err != nil {
		return fmt.Errorf("reading the addresses and ports of services: %w", err)
	}
	for i := range services {
		for _, ip := range addrs(&services[i]) {
			a.hold(ip)
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

// addrs returns the clusterIPs of a Service that are addresses.
func addrs(s *corev1.Service) []netip.Addr {
	var all []netip.Addr
	for _, ip := range clusterIPs(s) {
		if addr, err := netip.ParseAddr(ip); err == nil {
			all = append(all, addr)
		}
	}
	return all
}

// hold takes an address in memory, false if it is taken. The caller holds mu.
func (a *allocator) hold(ip netip.Addr) bool {
	if a.used[ip] {
		return false
	}
	a.used[ip] = true
	for _, p := range a.pools {
		if n, ok := p.index(ip); ok {
			p.take(n)
		}
	}
	return true
}

// drop is the reverse of hold. The caller holds mu.
func (a *allocator) drop(ip netip.Addr) {
	delete(a.used, ip)
	for _, p := range a.pools {
		if n, ok := p.index(ip); ok {
			p.free(n)
		}
	}
}

// pool returns the addresses of a range, free and taken. The caller holds mu.
func (a *allocator) pool(prefix netip.Prefix) (*addresses, error) {
	if p, ok := a.pools[prefix]; ok {
		return p, nil
	}
	p, err := newAddresses(prefix.String(), a.random)
	if err != nil {
		return nil, err
	}
	for ip := range a.used {
		if n, ok := p.index(ip); ok {
			p.take(n)
		}
	}
	a.pools[prefix] = p
	return p, nil
}

func (a *allocator) port(port int32) (int, bool) {
	n := int(port) - a.portBase
	return n, n >= 0 && n < a.ports.size
}

// release frees what a deleted Service had.
func (a *allocator) release(ctx context.Context, svc *corev1.Service) error {
	var errs []error
	for _, ip := range addrs(svc) {
		errs = append(errs, a.book.release(ctx, ip, svc))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.loaded {
		return errors.Join(errs...)
	}
	for _, ip := range addrs(svc) {
		a.drop(ip)
	}
	for _, port := range nodePorts(svc) {
		if n, ok := a.port(port); ok {
			a.ports.free(n)
		}
	}
	a.countUsed()
	return errors.Join(errs...)
}

// transaction takes at once and gives back when it ends: what it took if it
// failed, what it no longer needs if it succeeded.
type transaction struct {
	a   *allocator
	svc *corev1.Service
	// dryRun writes nothing into the book.
	dryRun                   bool
	takenIPs, abandonedIPs   []netip.Addr
	takenPorts, abandonPorts []int
	foreign                  []netip.Addr // other objects', found on the way
}

// begin makes sure that memory is right.
func (a *allocator) begin(ctx context.Context, svc *corev1.Service, dryRun bool) (*transaction, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.ready(ctx); err != nil {
		return nil, err
	}
	return &transaction{a: a, svc: svc, dryRun: dryRun}, nil
}

// end must be called once. The book is put right before memory, so that no
// address is given out that is still in it.
func (t *transaction) end(ctx context.Context, success bool) {
	ips, ports := t.takenIPs, t.takenPorts
	if success {
		ips, ports = t.abandonedIPs, t.abandonPorts
	}
	if !t.dryRun {
		for _, ip := range ips {
			// An entry that cannot be removed now is found by repair.
			_ = t.a.book.release(context.WithoutCancel(ctx), ip, t.svc)
		}
	}
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	for _, ip := range append(ips, t.foreign...) {
		t.a.drop(ip)
	}
	for _, n := range ports {
		t.a.ports.free(n)
	}
	if !t.dryRun {
		t.a.countUsed()
	}
}

// claim writes an address that memory has taken into the book.
func (t *transaction) claim(ctx context.Context, ip netip.Addr) error {
	if t.dryRun {
		t.takenIPs = append(t.takenIPs, ip)
		return nil
	}
	if err := t.a.book.claim(ctx, ip, t.svc); err != nil {
		t.foreign = append(t.foreign, ip)
		return err
	}
	t.takenIPs = append(t.takenIPs, ip)
	return nil
}

func (t *transaction) takeIP(ctx context.Context, ip string) (err error) {
	defer t.countIP(static, &ip, time.Now(), &err)
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return errMismatched
	}
	ranges := []netip.Prefix{t.a.base}
	if !t.a.base.Contains(addr) {
		if ranges, err = t.a.book.ranges(ctx); err != nil {
			return err
		}
	}
	t.a.mu.Lock()
	inside, outside := false, errMismatched
	if t.dryRun { // upstream's dry run uses one range only
		outside = notInRange(ip, t.a.base)
	}
	for _, r := range ranges {
		if r.Contains(addr) { // if only as its first or last address
			outside = notInRange(ip, r)
		}
		if p, err := t.a.pool(r); err == nil {
			_, ok := p.index(addr)
			inside = inside || ok
		}
	}
	held := inside && t.a.hold(addr)
	t.a.mu.Unlock()
	switch {
	case !inside:
		return outside
	case !held:
		return errAllocated
	}
	return t.claim(ctx, addr)
}

func notInRange(ip string, r netip.Prefix) error {
	return fmt.Errorf("the provided IP (%v) is not in the valid range. The range of valid IPs is %v", ip, r)
}

func (t *transaction) nextIP(ctx context.Context) (ip string, err error) {
	defer t.countIP(dynamic, &ip, time.Now(), &err)
	more, err := t.a.book.ranges(ctx)
	if err != nil {
		return "", err
	}
	for _, r := range append([]netip.Prefix{t.a.base}, more...) {
		for {
			addr, ok, err := t.reserve(r)
			if err != nil {
				return "", err
			}
			if !ok {
				break
			}
			err = t.claim(ctx, addr)
			if errors.Is(err, errAllocated) {
				continue
			}
			return addr.String(), err
		}
	}
	return "", errFull
}

// reserve takes any free address of a range in memory.
func (t *transaction) reserve(r netip.Prefix) (netip.Addr, bool, error) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	p, err := t.a.pool(r)
	if err != nil {
		return netip.Addr{}, false, err
	}
	n, ok := p.next()
	if !ok {
		return netip.Addr{}, false, nil
	}
	addr := p.at(n)
	t.a.hold(addr)
	return addr, true, nil
}

func (t *transaction) abandonIP(ip string) {
	if addr, err := netip.ParseAddr(ip); err == nil {
		t.abandonedIPs = append(t.abandonedIPs, addr)
	}
}

func (t *transaction) takePort(port int32) (err error) {
	defer t.countPort(static, &err)
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	n, ok := t.a.port(port)
	if !ok && t.dryRun { // upstream's dry run asks only whether it is taken
		return nil
	}
	if !ok {
		return fmt.Errorf("provided port is not in the valid range. The range of valid ports is %d-%d", t.a.portBase, t.a.portBase+t.a.ports.size-1)
	}
	if !t.a.ports.take(n) {
		return errPortTaken
	}
	t.takenPorts = append(t.takenPorts, n)
	return nil
}

func (t *transaction) nextPort() (_ int32, err error) {
	defer t.countPort(dynamic, &err)
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	n, ok := t.a.ports.next()
	if !ok {
		return 0, errFull
	}
	t.takenPorts = append(t.takenPorts, n)
	return int32(t.a.portBase + n), nil
}

func (t *transaction) abandonPort(port int32) {
	if n, ok := t.a.port(port); ok {
		t.abandonPorts = append(t.abandonPorts, n)
	}
}

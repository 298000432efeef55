package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/knftables"
)

// space is a network namespace that exists as long as its handle.
type space struct {
	t  *testing.T
	ns netns.NsHandle
	h  *netlink.Handle
}

func newSpace(t *testing.T) *space {
	t.Helper()
	s := &space{t: t}
	onThread(t, func() error {
		ns, err := netns.New()
		s.ns = ns
		return err
	})
	var err error
	if s.h, err = netlink.NewHandleAt(s.ns, unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.h.Close(); s.ns.Close() })
	s.up("lo")
	return s
}

// onThread runs fn on a thread that is thrown away, as its namespace may be
// another one afterwards.
func onThread(t *testing.T, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- fn()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func (s *space) do(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(s.ns); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	return <-done
}

func (s *space) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *space) up(name string) netlink.Link {
	l, err := s.h.LinkByName(name)
	s.must(err)
	s.must(s.h.LinkSetUp(l))
	return l
}

// join connects a pod's namespace to the node's: pod 10.0.n.2, node 10.0.n.1.
func join(t *testing.T, node *space, n int) *space {
	t.Helper()
	pod := newSpace(t)
	inNode := fmt.Sprint("veth", n)
	node.must(node.h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: inNode}, PeerName: "eth0", PeerNamespace: netlink.NsFd(pod.ns)}))
	for s, end := range map[*space]struct{ name, addr string }{
		node: {inNode, fmt.Sprintf("10.0.%d.1/24", n)}, pod: {"eth0", fmt.Sprintf("10.0.%d.2/24", n)},
	} {
		addr, err := netlink.ParseAddr(end.addr)
		s.must(err)
		s.must(s.h.AddrAdd(s.up(end.name), addr))
	}
	pod.must(pod.h.RouteAdd(&netlink.Route{Gw: net.IPv4(10, 0, byte(n), 1)}))
	return pod
}

// serve answers every TCP connection and UDP packet with "name from address".
func (s *space) serve(name, address string) {
	s.t.Helper()
	var l net.Listener
	var u net.PacketConn
	s.must(s.do(func() (err error) {
		if l, err = net.Listen("tcp", address); err != nil {
			return err
		}
		u, err = net.ListenPacket("udp", address)
		return err
	}))
	s.t.Cleanup(func() { l.Close(); u.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "%s from %s\n", name, c.RemoteAddr().(*net.TCPAddr).IP)
			c.Close()
		}
	}()
	go func() {
		buf := make([]byte, 100)
		for {
			_, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo([]byte(name), from)
		}
	}()
}

func (s *space) get(address string) func() string {
	return func() string {
		var answer string
		err := s.do(func() error {
			c, err := net.DialTimeout("tcp", address, time.Second)
			if err != nil {
				return err
			}
			defer c.Close()
			answer, err = bufio.NewReader(c).ReadString('\n')
			return err
		})
		if errors.Is(err, syscall.ECONNREFUSED) {
			return "refused"
		}
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(answer)
	}
}

// nftIn runs nft in the namespace.
type nftIn struct {
	knftables.Interface
	s *space
}

func (n nftIn) Run(ctx context.Context, tx *knftables.Transaction) error {
	return n.s.do(func() error { return n.Interface.Run(ctx, tx) })
}

func (n nftIn) List(ctx context.Context, kind string) (names []string, err error) {
	err = n.s.do(func() (err error) { names, err = n.Interface.List(ctx, kind); return err })
	return names, err
}

func TestKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	g := NewWithT(t)
	node := newSpace(t)
	g.Expect(node.do(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) })).To(Succeed())
	a, b, outside := join(t, node, 1), join(t, node, 2), join(t, node, 9)
	// Packets that are not rejected would leave by the default route, as on any node.
	g.Expect(node.h.RouteAdd(&netlink.Route{Gw: net.IPv4(10, 0, 9, 2)})).To(Succeed())
	a.serve("a", "10.0.1.2:8080")
	b.serve("b", "10.0.2.2:8080")

	var nft knftables.Interface
	g.Expect(node.do(func() error {
		i, err := knftables.New(knftables.IPv4Family, TableName("test"))
		nft = nftIn{i, node}
		return err
	})).To(Succeed())
	src := newSource(t)
	p, err := New(Config{NodeName: "node", NodeIPs: []string{"10.0.9.1"}, ClusterCIDRs: []string{"10.0.0.0/21"}, Cache: src, NFT: nft,
		Conntrack: NetlinkConntrack{node.h}})
	g.Expect(err).NotTo(HaveOccurred())

	web := service("web", "10.96.0.1", func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30080 })
	sticky := service("sticky", "10.96.0.2", func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	local := service("local", "10.96.0.3", func(s *corev1.Service) {
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.Spec.Ports[0].NodePort = 30081
	})
	empty := service("empty", "10.96.0.4", nil)
	udp := service("udp", "10.96.0.5", func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolUDP })
	lb := service("lb", "10.96.0.6", func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.ExternalIPs = []string{"203.0.113.1"}
		s.Spec.LoadBalancerSourceRanges = []string{"192.0.2.0/24", "198.51.100.0/24"}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.2"}}
	})
	for _, s := range []*corev1.Service{web, sticky, local, empty, udp, lb} {
		src.services.Add(s)
	}
	for _, name := range []string{"web", "sticky", "local", "lb"} {
		src.slices.Add(endpointSlice(name, 8080, "10.0.1.2", "10.0.2.2"))
	}
	udpSlice := endpointSlice("udp", 8080, "10.0.1.2")
	udpSlice.Ports[0].Protocol = new(corev1.ProtocolUDP)
	src.slices.Add(udpSlice)
	stop := run(t, p)

	for _, name := range []string{"a from 10.0.2.2", "b from 10.0.2.1"} { // b reaches itself by way of the node
		g.Eventually(b.get("10.96.0.1:80"), 5*time.Second, "1ms").Should(Equal(name))
	}
	for _, name := range []string{"a", "b"} { // from outside: masqueraded
		g.Eventually(outside.get("10.0.9.1:30080"), 5*time.Second, "1ms").Should(HavePrefix(name + " from 10.0."))
		g.Eventually(outside.get("10.0.9.1:30080"), 5*time.Second, "1ms").ShouldNot(HaveSuffix("10.0.9.2"))
		g.Eventually(outside.get("10.0.9.1:30081"), 5*time.Second, "1ms").Should(Equal(name + " from 10.0.9.2"))
		g.Eventually(outside.get("203.0.113.1:80"), 5*time.Second, "1ms").Should(HavePrefix(name + " from"))
	}
	g.Expect(b.get("10.96.0.4:80")()).To(Equal("refused"))
	g.Expect(b.get("10.96.0.1:81")()).To(Equal("refused"))
	g.Expect(outside.get("203.0.113.2:80")()).To(ContainSubstring("timeout"))

	first := b.get("10.96.0.2:80")()
	for range 20 {
		g.Expect(b.get("10.96.0.2:80")()).To(Equal(first))
	}

	// A UDP client that never pauses moves on when its endpoint goes.
	var c net.Conn
	g.Expect(outside.do(func() (err error) { c, err = net.Dial("udp", "10.96.0.5:80"); return err })).To(Succeed())
	defer c.Close()
	ask := func() string {
		_, _ = c.Write([]byte("?"))
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		buf := make([]byte, 10)
		n, err := c.Read(buf)
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	}
	g.Eventually(ask, 5*time.Second).Should(Equal("a"))
	moved := udpSlice.DeepCopy()
	moved.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.0.2.2"}}}
	src.slices.Modify(moved)
	g.Eventually(ask, 5*time.Second, "1ms").Should(Equal("b"))

	// Gone from the rotation, and then altogether.
	src.slices.Modify(endpointSlice("web", 8080, "10.0.1.2"))
	g.Eventually(func() string {
		for range 10 {
			if got := b.get("10.96.0.1:80")(); !strings.HasPrefix(got, "a ") {
				return got
			}
		}
		return "only a"
	}, 5*time.Second).Should(Equal("only a"))
	src.services.Delete(web)
	g.Eventually(b.get("10.96.0.1:80"), 5*time.Second).ShouldNot(HavePrefix("a "))
	chains, err := nft.List(t.Context(), "chains")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(chains).NotTo(ContainElement(ContainSubstring("/web/")))
	stop()
	g.Expect(p.Cleanup(t.Context())).To(Succeed())
	g.Expect(nft.List(t.Context(), "chains")).Error().To(HaveOccurred())
}

package peers_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apiserver/peers"
	"github.com/coracle-k8s/coracle/test/env"
)

// servers are members that share an API server, and a clock.
type servers struct {
	*WithT
	t     *testing.T
	env   *env.Env
	clock *clocktesting.FakeClock
}

func (s *servers) member(instance, address string, config *rest.Config) *peers.Member {
	m, err := peers.New(peers.Config{
		Server: config, Host: "host", Instance: instance, Address: netip.MustParseAddrPort(address),
		LeaseDuration: 15 * time.Second, Clock: s.clock, Report: func(err error) { s.t.Log(err) },
	})
	s.Expect(err).NotTo(HaveOccurred())
	return m
}

func (s *servers) round(members ...*peers.Member) (next time.Duration) {
	s.t.Helper()
	for _, m := range members {
		var err error
		next, err = m.Round(s.t.Context())
		s.Expect(err).NotTo(HaveOccurred())
	}
	return next
}

// led returns the addresses that the Service leads to, which Endpoints and
// EndpointSlices agree on.
func (s *servers) led() []string {
	s.t.Helper()
	var e corev1.Endpoints
	s.Expect(s.env.Client.Get(s.t.Context(), client.ObjectKey{Namespace: "default", Name: "kubernetes"}, &e)).To(Succeed())
	var all, sliced []string
	for _, subset := range e.Subsets {
		for _, a := range subset.Addresses {
			all = append(all, netip.AddrPortFrom(netip.MustParseAddr(a.IP), uint16(subset.Ports[0].Port)).String())
		}
	}
	var list discoveryv1.EndpointSliceList
	s.Expect(s.env.Client.List(s.t.Context(), &list, client.InNamespace("default"), client.MatchingLabels{discoveryv1.LabelServiceName: "kubernetes"})).To(Succeed())
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			sliced = append(sliced, netip.AddrPortFrom(netip.MustParseAddr(endpoint.Addresses[0]), uint16(*slice.Ports[0].Port)).String())
		}
	}
	s.Expect(sliced).To(ConsistOf(all), "the slices say what the Endpoints say")
	return all
}

func (s *servers) leases() int {
	var list coordinationv1.LeaseList
	s.Expect(s.env.Client.List(s.t.Context(), &list, client.InNamespace("kube-system"), client.MatchingLabels{"apiserver.kubernetes.io/identity": "kube-apiserver"})).To(Succeed())
	return len(list.Items)
}

// The Service leads to every server that lives: to one that died until its Lease
// has run out, to one that stops no more at once, and always to one at least.
func TestServersComeAndGo(t *testing.T) {
	s := &servers{NewWithT(t), t, env.Start(t, env.WithNodes(0)), clocktesting.NewFakeClock(time.Now())}
	const at, bt, ct, dt = "10.0.0.1:6443", "10.0.0.2:6443", "10.0.0.3:6443", "10.0.0.3:7443"
	a, b, c := s.member("a", at, s.env.Config), s.member("b", bt, s.env.Config), s.member("c", ct, s.env.Config)
	s.round(a)
	s.Expect(s.led()).To(Equal([]string{at}))
	s.round(b, c)
	s.Expect(s.led()).To(Equal([]string{at, bt, ct}))
	s.round(a)
	s.Expect(s.led()).To(Equal([]string{at, bt, ct}))

	for range 4 { // b is dead
		s.Expect(s.led()).To(ConsistOf(at, bt, ct))
		s.clock.Step(3 * time.Second)
		s.round(a, c)
	}
	s.Expect(s.led()).To(Equal([]string{at, ct}))
	s.Expect(s.leases()).To(Equal(2))
	s.round(b) // and back
	s.Expect(s.led()).To(Equal([]string{at, bt, ct}))

	d := s.member("d", dt, s.env.Config) // on a machine with another one
	s.round(d)
	s.Expect(s.led()).To(Equal([]string{at, bt, ct, dt}))
	s.Expect(c.Leave(t.Context())).To(Succeed())
	s.Expect(s.led()).To(Equal([]string{at, bt, dt}))
	for _, m := range []*peers.Member{a, b} {
		s.Expect(m.Leave(t.Context())).To(Succeed())
	}
	s.Expect(s.led()).To(Equal([]string{dt}))
	s.Expect(d.Leave(t.Context())).To(Succeed())
	s.Expect(s.led()).To(Equal([]string{dt}), "the last one stays")
	s.Expect(s.leases()).To(BeZero())
	s.round(s.member("a", "[fd00::1]:6443", s.env.Config))
	s.Expect(s.led()).To(Equal([]string{"[fd00::1]:6443"}))
}

// cuttable fails requests once it is cut.
type cuttable struct {
	http.RoundTripper
	cut atomic.Bool
}

func (c *cuttable) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		return nil, errors.New("cut off")
	}
	return c.RoundTripper.RoundTrip(r)
}

// A server that is cut off is removed by another, removes no other server itself,
// and comes back.
func TestServerIsCutOff(t *testing.T) {
	s := &servers{NewWithT(t), t, env.Start(t, env.WithNodes(0)), clocktesting.NewFakeClock(time.Now())}
	wire := &cuttable{}
	config := rest.CopyConfig(s.env.Config)
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { wire.RoundTripper = rt; return wire })
	a, b := s.member("a", "10.0.0.1:6443", s.env.Config), s.member("b", "10.0.0.2:6443", config)
	s.round(a, b, a)
	wire.cut.Store(true)
	for range 5 {
		s.clock.Step(3 * time.Second)
		s.round(a)
		_, err := b.Round(t.Context())
		s.Expect(err).To(HaveOccurred())
	}
	s.Expect(s.led()).To(Equal([]string{"10.0.0.1:6443"}))
	wire.cut.Store(false)
	s.round(b)
	s.Expect(s.led()).To(Equal([]string{"10.0.0.1:6443", "10.0.0.2:6443"}))
}

// A member runs until it is stopped, and then is away.
func TestMemberStops(t *testing.T) {
	s := &servers{NewWithT(t), t, env.Start(t, env.WithNodes(0)), clocktesting.NewFakeClock(time.Now())}
	a, b := s.member("a", "10.0.0.1:6443", s.env.Config), s.member("b", "10.0.0.2:6443", s.env.Config)
	s.round(a)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.Start(ctx) }()
	s.Eventually(s.leases).WithTimeout(time.Minute).Should(Equal(2))
	stop()
	s.Eventually(ended).WithTimeout(time.Minute).Should(Receive(BeNil()))
	s.Expect(s.leases()).To(Equal(1))
	s.Expect(s.led()).To(Equal([]string{"10.0.0.1:6443"}))
}

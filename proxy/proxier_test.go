//go:build linux

package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	fcache "k8s.io/client-go/tools/cache/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/knftables"
)

// source is a cache.Cache over real informers that a test feeds.
type source struct {
	cache.Cache
	services, slices, nodes *fcache.FakeControllerSource
	informers               map[string]toolscache.SharedIndexInformer
}

func newSource(t *testing.T) *source {
	t.Helper()
	s := &source{services: fcache.NewFakeControllerSource(), slices: fcache.NewFakeControllerSource(),
		nodes: fcache.NewFakeControllerSource(), informers: map[string]toolscache.SharedIndexInformer{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 3)
	for object, lw := range map[client.Object]*fcache.FakeControllerSource{
		&corev1.Service{}: s.services, &discoveryv1.EndpointSlice{}: s.slices, &corev1.Node{}: s.nodes,
	} {
		informer := toolscache.NewSharedIndexInformer(lw, object, 0, nil)
		s.informers[fmt.Sprintf("%T", object)] = informer
		go func() { informer.RunWithContext(ctx); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		cancel()
		for range 3 {
			<-done
		}
		s.services.Shutdown()
		s.slices.Shutdown()
		s.nodes.Shutdown()
	})
	return s
}

func (s *source) GetInformer(_ context.Context, object client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	return s.informers[fmt.Sprintf("%T", object)], nil
}

// run starts the Proxier and returns what ends it, at the latest with the test.
func run(t *testing.T, p *Proxier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func service(name, ip string, change func(*corev1.Service)) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: ip, ClusterIPs: []string{ip},
			Ports: []corev1.ServicePort{{Name: "p", Port: 80, Protocol: corev1.ProtocolTCP}}}}
	if change != nil {
		change(svc)
	}
	return svc
}

func endpointSlice(name string, port int32, ips ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("p"), Port: &port, Protocol: new(corev1.ProtocolTCP)}},
	}
	for _, ip := range ips {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{ip}, NodeName: new("node")})
	}
	return s
}

func verdicts(fake *knftables.Fake, container string) func() []string {
	return func() []string {
		fake.RLock()
		defer fake.RUnlock()
		var out []string
		if fake.Table == nil || fake.Table.Maps[container] == nil {
			return nil
		}
		for _, e := range fake.Table.Maps[container].Elements {
			out = append(out, fmt.Sprint(e.Key, " ", e.Value[0]))
		}
		return out
	}
}

func TestProxierFollows(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"), goleak.IgnoreCurrent())
	t.Run("", func(t *testing.T) {
		g := NewWithT(t)
		src := newSource(t)
		fake := knftables.NewFake(knftables.IPv4Family, TableName("test"))
		p, err := New(Config{NodeName: "node", NodeIPs: []string{"192.0.2.1"}, ClusterCIDRs: []string{"10.0.0.0/16"}, Cache: src, NFT: fake, MinSyncInterval: time.Millisecond})
		g.Expect(err).NotTo(HaveOccurred())
		src.services.Add(service("web", "10.96.0.1", nil))
		stop := run(t, p)
		g.Eventually(verdicts(fake, "no-endpoint-services")).Should(ConsistOf("[10.96.0.1 tcp 80] goto reject-chain"))
		slice := endpointSlice("web", 8080, "10.0.0.1", "10.0.0.2")
		src.slices.Add(slice)
		g.Eventually(verdicts(fake, "service-ips")).Should(ConsistOf(HavePrefix("[10.96.0.1 tcp 80] goto service-")))
		g.Expect(verdicts(fake, "no-endpoint-services")()).To(BeEmpty())

		// A terminating pod leaves.
		chains := func() (n int) {
			fake.RLock()
			defer fake.RUnlock()
			for name := range fake.Table.Chains {
				if len(name) > 9 && name[:9] == "endpoint-" {
					n++
				}
			}
			return n
		}
		g.Eventually(chains).Should(Equal(2))
		slice = slice.DeepCopy()
		slice.Endpoints[0].Conditions = discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)}
		src.slices.Modify(slice)
		g.Eventually(chains).Should(Equal(1))

		src.services.Delete(service("web", "10.96.0.1", nil))
		g.Eventually(verdicts(fake, "service-ips")).Should(BeEmpty())
		g.Eventually(chains).Should(BeZero())
		stop()
		g.Expect(p.Cleanup(t.Context())).To(Succeed())
		g.Expect(fake.Table).To(BeNil())
	})
}

// flaky fails its first transactions.
type flaky struct {
	*knftables.Fake
	failures int
}

func (f *flaky) Run(ctx context.Context, tx *knftables.Transaction) error {
	if f.failures > 0 {
		f.failures--
		return fmt.Errorf("busy")
	}
	return f.Fake.Run(ctx, tx)
}

func TestProxierRetries(t *testing.T) {
	g := NewWithT(t)
	src := newSource(t)
	nft := &flaky{knftables.NewFake(knftables.IPv4Family, TableName("test")), 2}
	p, err := New(Config{NodeName: "node", Cache: src, NFT: nft})
	g.Expect(err).NotTo(HaveOccurred())
	src.services.Add(service("web", "10.96.0.1", nil))
	run(t, p)
	g.Eventually(verdicts(nft.Fake, "no-endpoint-services"), 5*time.Second).Should(HaveLen(1))
}

func TestHealthCheckNodePort(t *testing.T) {
	g := NewWithT(t)
	src := newSource(t)
	opened := make(chan net.Listener, 1)
	p, err := New(Config{NodeName: "node", Cache: src, NFT: knftables.NewFake(knftables.IPv4Family, TableName("test")),
		Listen: func(network, address string) (net.Listener, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			opened <- l
			return l, err
		}})
	g.Expect(err).NotTo(HaveOccurred())
	src.services.Add(service("web", "10.96.0.1", func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		s.Spec.HealthCheckNodePort = 32000
	}))
	run(t, p)
	var l net.Listener
	g.Eventually(opened).Should(Receive(&l))
	ask := func() string {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(body))
	}
	g.Eventually(ask).Should(And(HavePrefix("503"), ContainSubstring(`"localEndpoints": 0`)))
	src.slices.Add(endpointSlice("web", 80, "10.0.0.1"))
	g.Eventually(ask).Should(And(HavePrefix("200"), ContainSubstring(`"localEndpoints": 1`)))
	http.DefaultClient.CloseIdleConnections()
}

func TestConfigIsChecked(t *testing.T) {
	g := NewWithT(t)
	_, err := New(Config{NodeIPs: []string{"x"}, ClusterCIDRs: []string{"y"}})
	g.Expect(err).To(MatchError(And(ContainSubstring("NodeName is required"), ContainSubstring("Cache is required"),
		ContainSubstring("NodeIPs"), ContainSubstring("ClusterCIDRs"))))
}

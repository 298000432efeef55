package cluster

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	proxyutil "k8s.io/apimachinery/pkg/util/proxy"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/connections"
	"github.com/coracle-k8s/coracle/cluster/agent"
	"github.com/coracle-k8s/coracle/cluster/joinserver"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
)

// home is the address of the machine that the tests pretend to run on.
const home = "10.0.0.7"

// start runs a control plane without nodes.
func start(t *testing.T) *Cluster {
	t.Helper()
	none := int32(0)
	c, err := Start(t.Context(), &v1alpha1.Cluster{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Nodes: &none, Storage: v1alpha1.Storage{UnsafeNoFsync: true}},
		func(o *options) {
			o.machine = func() ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr(home)}, nil }
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// core returns an administrator's client.
func (c *Cluster) core(t *testing.T) coreclient.CoreV1Interface {
	t.Helper()
	core, err := coreclient.NewForConfig(c.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	return core
}

// token returns a new join token.
func (c *Cluster) token(t *testing.T) jointoken.Token {
	t.Helper()
	token, err := jointoken.Create(t.Context(), c.core(t), time.Hour, "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// joiner returns an agent with a new token and an empty data directory.
func (c *Cluster) joiner(t *testing.T, node string) *agent.Joiner {
	t.Helper()
	server, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	pin, err := jointoken.NewPin(c.credentials.Authority.PEM)
	if err != nil {
		t.Fatal(err)
	}
	return &agent.Joiner{Server: server, Token: jointoken.Join(pin, c.token(t).String()), Node: node, Address: home, Dir: t.TempDir(), Clock: clock.RealClock{}}
}

func TestAgentJoins(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	joiner := c.joiner(t, "one")
	first, err := joiner.JoinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	second, err := c.joiner(t, "two").Join(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	again, err := joiner.Join(t.Context())
	g.Expect(err).NotTo(HaveOccurred())

	g.Expect(first.NodePodCIDR).To(Equal("10.244.0.0/24"))
	g.Expect(second.NodePodCIDR).To(Equal("10.244.1.0/24"))
	g.Expect(again.NodePodCIDR).To(Equal(first.NodePodCIDR))
	g.Expect(again.Client.Leaf.PublicKey).NotTo(Equal(first.Client.Leaf.PublicKey))
	g.Expect(first.Client.Leaf.Subject.CommonName).To(Equal("system:node:one"))
	g.Expect(first.Client.Leaf.Subject.Organization).To(ConsistOf("system:nodes", joinserver.AgentGroup))
	g.Expect(first.Serving.Leaf.DNSNames).To(Equal([]string{"one"}))

	t.Run("it sees what is its own", func(t *testing.T) { seesItsOwn(t, c, first) })
	t.Run("its API is the server's alone", func(t *testing.T) { servesTheServer(t, c, first) })
	t.Run("the server takes no other agent for it", func(t *testing.T) { isItself(t, c, first, second) })
}

// isItself has the node write the addresses of other servers, which have certificates
// of the cluster for that address too: another agent, and the server itself.
func isItself(t *testing.T, c *Cluster, one, two *agent.Membership) {
	g := NewWithT(t)
	asked := func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }
	other := httptest.NewUnstartedServer(http.HandlerFunc(asked))
	other.TLS = &tls.Config{Certificates: []tls.Certificate{two.Serving}}
	other.StartTLS()
	defer other.Close()
	server, err := url.Parse(c.URL())
	g.Expect(err).NotTo(HaveOccurred())
	listener, err := url.Parse(other.URL)
	g.Expect(err).NotTo(HaveOccurred())

	for name, at := range map[string]*url.URL{"another agent": listener, "the server": server} {
		port, err := strconv.Atoi(at.Port())
		g.Expect(err).NotTo(HaveOccurred())
		g.Eventually(func() error {
			node := &corev1.Node{}
			if err := c.Client().Get(t.Context(), client.ObjectKey{Name: "one"}, node); err != nil {
				return err
			}
			node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: at.Hostname()}}
			node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
			return c.Client().Status().Update(t.Context(), node)
		}).Should(Succeed(), "the cache shows the node as it is")
		to, transport, err := c.nodes.Connect(t.Context(), "one")
		g.Expect(err).NotTo(HaveOccurred())
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.JoinPath("healthz").String(), nil)
		g.Expect(err).NotTo(HaveOccurred())
		_, err = transport.RoundTrip(request)
		g.Expect(err).To(MatchError(ContainSubstring("certificate")), name)
		_, err = proxyutil.DialURL(t.Context(), to, transport)
		g.Expect(err).To(MatchError(ContainSubstring("certificate")), "%s, for a stream", name)
	}
	g.Expect(one.Serving.Leaf.IPAddresses).To(Equal(two.Serving.Leaf.IPAddresses), "else the address alone would have told")
}

func seesItsOwn(t *testing.T, c *Cluster, m *agent.Membership) {
	g := NewWithT(t)
	remote := agent.NewRemote(c.URL(), m)
	defer remote.Dialer.CloseAll()
	kube, err := client.New(remote.Config, client.Options{Scheme: c.Scheme()})
	g.Expect(err).NotTo(HaveOccurred())
	ctx := t.Context()

	g.Expect(kube.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "one"}})).To(Succeed())
	g.Expect(apierrors.IsForbidden(kube.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "other"}}))).To(BeTrue())
	g.Expect(kube.List(ctx, &corev1.PodList{}, client.MatchingFields{"spec.nodeName": "one"})).To(Succeed())
	g.Expect(apierrors.IsForbidden(kube.List(ctx, &corev1.PodList{}, client.MatchingFields{"spec.nodeName": "two"}))).To(BeTrue())
	g.Expect(kube.List(ctx, &corev1.ServiceList{})).To(Succeed())
	g.Eventually(func() error { return kube.List(ctx, &discoveryv1.EndpointSliceList{}) }).Should(Succeed())
	g.Expect(apierrors.IsForbidden(kube.List(ctx, &corev1.SecretList{}))).To(BeTrue())

	remote.Replace(m)
	g.Expect(kube.List(ctx, &corev1.ServiceList{})).To(Succeed(), "after a renewal")
}

func servesTheServer(t *testing.T, c *Cluster, m *agent.Membership) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	remote := agent.NewRemote(c.URL(), m)
	api := &agent.API{Listener: listener, Remote: remote, Clients: m, Connections: connections.New(connections.Limits{Total: 9, Unauthenticated: 9, PerAddress: 9}, c.options.clock, func(error) {})}
	ended := make(chan error, 1)
	go func() { ended <- api.Start(t.Context()) }()

	node := &corev1.Node{}
	g.Eventually(func() error { return c.Client().Get(t.Context(), client.ObjectKey{Name: "one"}, node) }).Should(Succeed(), "in the cache")
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = api.Port()
	g.Expect(c.Client().Status().Update(t.Context(), node)).To(Succeed())

	ask := func(transport http.RoundTripper, to *url.URL) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.JoinPath("healthz").String(), nil)
		g.Expect(err).NotTo(HaveOccurred())
		response, err := transport.RoundTrip(request)
		g.Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		g.Expect(err).NotTo(HaveOccurred())
		return response.StatusCode, string(text)
	}
	to, transport, err := c.nodes.Connect(t.Context(), "one")
	g.Expect(err).NotTo(HaveOccurred())
	code, _ := ask(transport, to)
	g.Expect(code).To(Equal(http.StatusServiceUnavailable), "before the node is up")
	api.Set("one", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }))
	code, text := ask(transport, to)
	g.Expect(code).To(Equal(http.StatusOK))
	g.Expect(text).To(Equal("fine"))
	node2 := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.credentials.NodeAuthority.Pool(), ServerName: "one", Certificates: []tls.Certificate{m.Client}}}
	defer node2.CloseIdleConnections()
	code, _ = ask(node2, &url.URL{Scheme: "https", Host: listener.Addr().String()})
	g.Expect(code).To(Equal(http.StatusForbidden), "to another node")

	listener.Close()
	g.Eventually(ended).Should(Receive())
}

func TestConnectorReachesNodesOfTheProcess(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	c.nodes.Add("here", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	to, transport, err := c.nodes.Connect(t.Context(), "here")
	g.Expect(err).NotTo(HaveOccurred())
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to.String(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	response, err := transport.RoundTrip(request)
	g.Expect(err).NotTo(HaveOccurred())
	response.Body.Close()
	g.Expect(response.StatusCode).To(Equal(http.StatusTeapot))

	_, _, err = c.nodes.Connect(t.Context(), "nowhere")
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "got %v", err)

	nodes := int32(2)
	c.config.Nodes, c.config.Node.Name = &nodes, "here" // as if they were still coming up
	for name, why := range map[string]string{
		"here": "runs in the server's own process", "here-1": "runs in the server's own process", "simulated-7": "has the name of a simulated node",
	} {
		_, err = c.joiner(t, name).JoinPatiently(t.Context(), func(string) {})
		var no *agent.Refused
		g.Expect(errors.As(err, &no)).To(BeTrue(), name)
		g.Expect(err).To(MatchError(ContainSubstring(why)))
	}
}

func TestAgentIsRefused(t *testing.T) {
	c := start(t)
	// The server must have allowed joining before it can refuse for a reason.
	if _, err := c.joiner(t, "first").JoinPatiently(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*agent.Joiner){
		"the server does not know the token":          func(j *agent.Joiner) { j.Token = j.Token[:len(j.Token)-16] + "0123456789abcdef" },
		"is not of the cluster that the token is for": func(j *agent.Joiner) { j.Token = flip(j.Token) },
		"make one with coracle token create":          func(j *agent.Joiner) { j.Token = "secret" },
		"has no certificate of node node that is":     func(j *agent.Joiner) { j.Token = "" },
		`address "nowhere" is not an IP address`:      func(j *agent.Joiner) { j.Address = "nowhere" },
		`node "A B": a lowercase RFC 1123 subdomain`:  func(j *agent.Joiner) { j.Node = "A B" },
		"has the name of the API server's Service":    func(j *agent.Joiner) { j.Node, j.Address = "kubernetes.default.svc", "10.96.0.1" },
		"has a name of every machine":                 func(j *agent.Joiner) { j.Node = "localhost" },
		"address 127.0.0.1 is of every machine":       func(j *agent.Joiner) { j.Address = "127.0.0.1" },
		"range 10.96.0.0/16 of Services":              func(j *agent.Joiner) { j.Address = "10.96.0.1" },
		"is not the one that the agent's connection":  func(j *agent.Joiner) { j.Address = "10.0.0.8" },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			j := c.joiner(t, "node")
			change(j)
			_, err := j.Join(t.Context())
			var no *agent.Refused
			g.Expect(errors.As(err, &no)).To(BeTrue(), "got %v", err)
			g.Expect(err).To(MatchError(ContainSubstring(name)))
		})
	}
}

// flip changes the first digit of a token's hash.
func flip(token string) string {
	if token[0] == '0' {
		return "1" + token[1:]
	}
	return "0" + token[1:]
}

package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// refusal returns the reason why an agent is refused for good.
func refusal(t *testing.T, j *joiner) string {
	t.Helper()
	_, err := j.join(t.Context())
	var no *refused
	if !errors.As(err, &no) {
		t.Fatalf("joining as %s: got %v, want a refusal", j.node, err)
	}
	return no.reason
}

// A name belongs to the agent with its certificate, until its Node is deleted;
// the token that it came with is not needed any more.
func TestNameBelongsToItsAgent(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	agent := c.joiner(t, "one")
	_, err := agent.joinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())

	_, err = c.joiner(t, "one").join(t.Context())
	var wait *later
	g.Expect(errors.As(err, &wait)).To(BeTrue(), "got %v", err)
	g.Expect(wait.reason).To(ContainSubstring("is another agent's that has joined and is about to register"))
	g.Expect(wait.after).To(And(BeNumerically(">", 0), BeNumerically("<=", joins.Bound)))

	nodes := c.core(t).Nodes()
	_, err = nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "one"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(refusal(t, c.joiner(t, "one"))).To(ContainSubstring(`node "one" exists`))

	_, bootstrap, err := jointoken.Parse(agent.token)
	g.Expect(err).NotTo(HaveOccurred())
	id, err := jointoken.ID(bootstrap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(jointoken.Delete(t.Context(), c.core(t), id)).To(Succeed())
	for _, token := range []string{agent.token, ""} { // as after a restart, too
		restarted := *agent
		restarted.token = token
		_, err = restarted.join(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
	}
	stolen := *agent
	stolen.node = "two"
	g.Expect(refusal(t, &stolen)).To(ContainSubstring("the server does not know the token"), "its certificate is for its own name")

	g.Expect(nodes.Delete(t.Context(), "one", metav1.DeleteOptions{})).To(Succeed())
	_, err = c.joiner(t, "one").join(t.Context())
	g.Expect(err).NotTo(HaveOccurred(), "nobody has it")
}

// An answer that got lost is asked for again, with the key that the name was
// reserved for, by an agent that was killed meanwhile as well.
func TestLostAnswer(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	agent := c.joiner(t, "one")
	first, err := agent.joinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	kept, err := readAgentIdentity(agent.dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect((&agentIdentity{key: kept.key}).write(agent.dir)).To(Succeed())
	again, err := agent.join(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.client.Leaf.PublicKey).To(Equal(first.client.Leaf.PublicKey))
	g.Expect(again.NodePodCIDR).To(Equal(first.NodePodCIDR))
}

// An agent's certificates are good for nothing but being that agent. Clients of the
// cluster do not accept it as the API server, nor the API server as another agent.
// The client certificate cannot serve, nor the serving certificate be a client's.
func TestCertificatesOfAgents(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	m, err := c.joiner(t, "one").joinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for name, v := range map[string]struct {
		cert  *x509.Certificate
		roots *x509.CertPool
		usage x509.ExtKeyUsage
		host  string
		good  bool
	}{
		"serving as itself":                     {m.serving.Leaf, c.nodeCA.Pool(), server, "one", true},
		"serving at its address":                {m.serving.Leaf, c.nodeCA.Pool(), server, home, true},
		"serving as another":                    {m.serving.Leaf, c.nodeCA.Pool(), server, "two", false},
		"serving, to clients of the cluster":    {m.serving.Leaf, m.authority, server, "one", false},
		"serving, to users of the kubeconfig":   {m.serving.Leaf, c.pki.Pool(), server, home, false},
		"a client with what it serves with":     {m.serving.Leaf, c.nodeCA.Pool(), client, "", false},
		"a client with what it serves with too": {m.serving.Leaf, c.pki.Pool(), client, "", false},
		"a client":                              {m.client.Leaf, c.pki.Pool(), client, "", true},
		"serving with the client certificate":   {m.client.Leaf, c.pki.Pool(), server, "", false},
		"a client with a node's authority":      {m.client.Leaf, c.nodeCA.Pool(), client, "", false},
	} {
		_, err := v.cert.Verify(x509.VerifyOptions{Roots: v.roots, KeyUsages: []x509.ExtKeyUsage{v.usage}, DNSName: v.host})
		g.Expect(err == nil).To(Equal(v.good), "%s: %v", name, err)
	}

	impostor := httptest.NewUnstartedServer(http.NotFoundHandler())
	impostor.TLS = &tls.Config{Certificates: []tls.Certificate{m.serving}}
	impostor.StartTLS()
	defer impostor.Close()
	victim := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.pki.Pool(), ServerName: "one"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, impostor.URL, nil)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = victim.RoundTrip(request)
	var unknown x509.UnknownAuthorityError
	g.Expect(errors.As(err, &unknown)).To(BeTrue(), "got %v", err)
}

// A token is good for a bounded number of joins; the server's answer has the time to ask again.
func TestTooManyJoins(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	agent := c.joiner(t, "n0")
	_, err := agent.joinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	names := 1
	for ; err == nil && names < 10*joins.Burst; names++ {
		next := *agent
		next.node, next.dir = fmt.Sprint("n", names), t.TempDir()
		_, err = next.join(t.Context())
	}
	var wait *later
	g.Expect(errors.As(err, &wait)).To(BeTrue(), "got %v", err)
	g.Expect(wait.reason).To(ContainSubstring("too many joins: try again in"))
	g.Expect(wait.after).To(BeNumerically("<=", joins.Refill))
	g.Expect(names).To(BeNumerically(">=", joins.Burst))
	_, err = agent.join(t.Context())
	g.Expect(err).NotTo(HaveOccurred(), "a member renews")
}

// The joiner waits for the time in Retry-After.
func TestJoinerHonoursRetryAfter(t *testing.T) {
	g := NewWithT(t)
	asked := make(chan struct{}, 2)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked <- struct{}{}; len(asked) < 2 {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "that was all")
	}))
	defer server.Close()
	to, err := url.Parse(server.URL)
	g.Expect(err).NotTo(HaveOccurred())
	pin := keyHash(server.Certificate().Raw) // the certificate is its own authority
	clock := testclock.NewFakeClock(time.Now())
	j := &joiner{server: to, token: pin + ".abcdef.0123456789abcdef", node: "n", address: "127.0.0.1", dir: t.TempDir(), clock: clock}
	ended := make(chan error, 1)
	go func() {
		_, err := j.joinPatiently(t.Context(), func(string) {})
		ended <- err
	}()
	g.Eventually(clock.HasWaiters).Should(BeTrue(), "it waits")
	clock.Step(7*time.Second - time.Millisecond)
	g.Consistently(asked).WithTimeout(100 * time.Millisecond).Should(HaveLen(1))
	clock.Step(time.Millisecond)
	g.Eventually(ended).Should(Receive(MatchError(ContainSubstring("that was all"))))
}

// An agent's key is its own; one that others may read is an error, not used.
func TestIdentityIsTheAgentsAlone(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	agent := c.joiner(t, "one")
	_, err := agent.joinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(agent.dir, "pki", clientFile)
	for path, mode := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		info, err := os.Stat(path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode().Perm()).To(Equal(mode), path)
	}
	g.Expect(os.Chmod(file, 0o640)).To(Succeed())
	g.Expect(refusal(t, agent)).To(ContainSubstring("others may read " + file))
}

// The token of earlier versions, which never expired, is gone and good for nothing.
func TestOldTokenIsRemoved(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	c.Stop()
	old := c.path(datadir.OldTokenFile)
	g.Expect(os.WriteFile(old, []byte("x"), 0o600)).To(Succeed())
	for _, none := range []string{keys.NodeAuthority, datadir.IdentityFile} {
		g.Expect(os.RemoveAll(c.path(none))).To(Succeed(), "it had none")
	}
	var said string
	again, err := Start(t.Context(), c.Config(), WithProgress(func(step string) { said += step + "\n" }))
	g.Expect(err).NotTo(HaveOccurred())
	defer again.Stop()
	g.Expect(old).NotTo(BeAnExistingFile())
	g.Expect(said).To(ContainSubstring("removed the file agent-token"))
	g.Expect(again.path(keys.NodeAuthority, "ca.crt")).To(BeAnExistingFile())
}

package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/cluster/agent"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/joins"
	"github.com/coracle-k8s/coracle/cluster/jointoken"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// refusal returns the reason why an agent is refused for good.
func refusal(t *testing.T, j *agent.Joiner) string {
	t.Helper()
	_, err := j.Join(t.Context())
	var no *agent.Refused
	if !errors.As(err, &no) {
		t.Fatalf("joining as %s: got %v, want a refusal", j.Node, err)
	}
	return no.Reason
}

// A name belongs to the agent with its certificate, until its Node is deleted;
// the token that it came with is not needed any more.
func TestNameBelongsToItsAgent(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	joiner := c.joiner(t, "one")
	_, err := joiner.JoinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())

	_, err = c.joiner(t, "one").Join(t.Context())
	var wait *agent.Later
	g.Expect(errors.As(err, &wait)).To(BeTrue(), "got %v", err)
	g.Expect(wait.Reason).To(ContainSubstring("is another agent's that has joined and is about to register"))
	g.Expect(wait.After).To(And(BeNumerically(">", 0), BeNumerically("<=", joins.Bound)))

	nodes := c.core(t).Nodes()
	_, err = nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "one"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(refusal(t, c.joiner(t, "one"))).To(ContainSubstring(`node "one" exists`))

	_, bootstrap, err := jointoken.Parse(joiner.Token)
	g.Expect(err).NotTo(HaveOccurred())
	id, err := jointoken.ID(bootstrap)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(jointoken.Delete(t.Context(), c.core(t), id)).To(Succeed())
	for _, token := range []string{joiner.Token, ""} { // as after a restart, too
		restarted := *joiner
		restarted.Token = token
		_, err = restarted.Join(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
	}
	stolen := *joiner
	stolen.Node = "two"
	g.Expect(refusal(t, &stolen)).To(ContainSubstring("the server does not know the token"), "its certificate is for its own name")

	g.Expect(nodes.Delete(t.Context(), "one", metav1.DeleteOptions{})).To(Succeed())
	_, err = c.joiner(t, "one").Join(t.Context())
	g.Expect(err).NotTo(HaveOccurred(), "no agent has it")
}

// An answer that got lost is asked for again, with the key that the name was
// reserved for, by an agent that was killed meanwhile as well.
func TestLostAnswer(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	joiner := c.joiner(t, "one")
	first, err := joiner.JoinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(joiner.Dir, "pki", "client.pem")
	text, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	key, _ := pem.Decode(text)
	g.Expect(os.WriteFile(file, pem.EncodeToMemory(key), 0o600)).To(Succeed(), "the key without its certificate")
	again, err := joiner.Join(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.Client.Leaf.PublicKey).To(Equal(first.Client.Leaf.PublicKey))
	g.Expect(again.NodePodCIDR).To(Equal(first.NodePodCIDR))
}

// An agent's certificates are good for nothing but being that agent. Clients of the
// cluster do not accept it as the API server, nor the API server as another agent.
// The client certificate cannot serve, nor the serving certificate be a client's.
func TestCertificatesOfAgents(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	m, err := c.joiner(t, "one").JoinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for name, v := range map[string]struct {
		cert  *x509.Certificate
		roots *x509.CertPool
		usage x509.ExtKeyUsage
		host  string
		good  bool
	}{
		"serving as itself":                     {m.Serving.Leaf, c.credentials.NodeAuthority.Pool(), server, "one", true},
		"serving at its address":                {m.Serving.Leaf, c.credentials.NodeAuthority.Pool(), server, home, true},
		"serving as another":                    {m.Serving.Leaf, c.credentials.NodeAuthority.Pool(), server, "two", false},
		"serving, to clients of the cluster":    {m.Serving.Leaf, m.Authority, server, "one", false},
		"serving, to users of the kubeconfig":   {m.Serving.Leaf, c.credentials.Authority.Pool(), server, home, false},
		"a client with what it serves with":     {m.Serving.Leaf, c.credentials.NodeAuthority.Pool(), client, "", false},
		"a client with what it serves with too": {m.Serving.Leaf, c.credentials.Authority.Pool(), client, "", false},
		"a client":                              {m.Client.Leaf, c.credentials.Authority.Pool(), client, "", true},
		"serving with the client certificate":   {m.Client.Leaf, c.credentials.Authority.Pool(), server, "", false},
		"a client with a node's authority":      {m.Client.Leaf, c.credentials.NodeAuthority.Pool(), client, "", false},
	} {
		_, err := v.cert.Verify(x509.VerifyOptions{Roots: v.roots, KeyUsages: []x509.ExtKeyUsage{v.usage}, DNSName: v.host})
		g.Expect(err == nil).To(Equal(v.good), "%s: %v", name, err)
	}

	impostor := httptest.NewUnstartedServer(http.NotFoundHandler())
	impostor.TLS = &tls.Config{Certificates: []tls.Certificate{m.Serving}}
	impostor.StartTLS()
	defer impostor.Close()
	victim := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.credentials.Authority.Pool(), ServerName: "one"}}
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
	joiner := c.joiner(t, "n0")
	_, err := joiner.JoinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	names := 1
	for ; err == nil && names < 10*joins.Burst; names++ {
		next := *joiner
		next.Node, next.Dir = fmt.Sprint("n", names), t.TempDir()
		_, err = next.Join(t.Context())
	}
	var wait *agent.Later
	g.Expect(errors.As(err, &wait)).To(BeTrue(), "got %v", err)
	g.Expect(wait.Reason).To(ContainSubstring("too many joins: try again in"))
	g.Expect(wait.After).To(BeNumerically("<=", joins.Refill))
	g.Expect(names).To(BeNumerically(">=", joins.Burst))
	_, err = joiner.Join(t.Context())
	g.Expect(err).NotTo(HaveOccurred(), "a member renews")
}

// An agent's key is its own; one that others may read is an error, not used.
func TestIdentityIsTheAgentsAlone(t *testing.T) {
	g := NewWithT(t)
	c := start(t)
	joiner := c.joiner(t, "one")
	_, err := joiner.JoinPatiently(t.Context(), func(string) {})
	g.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(joiner.Dir, "pki", "client.pem")
	for path, mode := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		info, err := os.Stat(path)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode().Perm()).To(Equal(mode), path)
	}
	g.Expect(os.Chmod(file, 0o640)).To(Succeed())
	g.Expect(refusal(t, joiner)).To(ContainSubstring("others may read " + file))
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

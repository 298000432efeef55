package cluster_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/cluster"
)

// hostAddress returns an address of this machine that the API server may dial.
func hostAddress(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has loopback alone, which the API server does not dial for users")
	return ""
}

// outside is an authority of its own, a client's certificate of it in files, and a
// server with another one of it that answers with the client's name.
type outside struct {
	authority, cert, key string
	address              string
	port                 int32
}

func newOutside(t *testing.T, client string) outside {
	t.Helper()
	g := NewWithT(t)
	dir := t.TempDir()
	authority, err := pki.Open(filepath.Join(dir, "pki"), time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	o := outside{authority: filepath.Join(dir, "ca.pem"), cert: filepath.Join(dir, "client.pem"), key: filepath.Join(dir, "client.key"), address: hostAddress(t)}
	clients, err := authority.Certificate(pki.Request{Name: "client", User: client}, time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	for file, data := range map[string][]byte{o.authority: authority.PEM, o.cert: clients.Cert, o.key: clients.Key} {
		g.Expect(os.WriteFile(file, data, 0o600)).To(Succeed())
	}
	pair, err := authority.Certificate(pki.Request{Name: "server", User: "server", Hosts: []string{o.address}}, time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	serving, err := pair.TLS()
	g.Expect(err).NotTo(HaveOccurred())
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s asks for %s", r.TLS.PeerCertificates[0].Subject.CommonName, r.URL.Path)
	}))
	server.Listener.Close()
	server.Listener, err = net.Listen("tcp", net.JoinHostPort(o.address, "0"))
	g.Expect(err).NotTo(HaveOccurred())
	pool := x509.NewCertPool()
	g.Expect(pool.AppendCertsFromPEM(authority.PEM)).To(BeTrue())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{serving}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	o.port = int32(server.Listener.Addr().(*net.TCPAddr).Port)
	return o
}

func startWith(t *testing.T, settings v1alpha1.APIServer) *kubernetes.Clientset {
	t.Helper()
	g := NewWithT(t)
	c, err := cluster.Start(t.Context(), &v1alpha1.Cluster{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Nodes: ptr.To[int32](0),
		Storage: v1alpha1.Storage{UnsafeNoFsync: true}, APIServer: settings})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(c.Stop)
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	g.Expect(err).NotTo(HaveOccurred())
	kube, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	return kube
}

// TestKubeletSettings reads logs of an agent whose certificates are of an authority of
// their own, as the settings name it, and as they do not.
func TestKubeletSettings(t *testing.T) {
	agent := newOutside(t, "logs-client")
	for name, c := range map[string]struct {
		settings v1alpha1.Kubelet
		log, err string
	}{
		"authority and certificate": {v1alpha1.Kubelet{CAFile: agent.authority, CertFile: agent.cert, KeyFile: agent.key}, "logs-client asks for /containerLogs/default/p/c", ""},
		"no certificate":            {v1alpha1.Kubelet{CAFile: agent.authority}, "", "certificate"},
		"no authority":              {v1alpha1.Kubelet{CertFile: agent.cert, KeyFile: agent.key}, "", "failed to verify certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			core := startWith(t, v1alpha1.APIServer{Kubelet: c.settings}).CoreV1()
			_, err := core.Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
			g.Expect(err).NotTo(HaveOccurred())
			status := fmt.Sprintf(`{"status":{"addresses":[{"type":"InternalIP","address":%q}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, agent.address, agent.port)
			_, err = core.Nodes().Patch(t.Context(), "x", types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status")
			g.Expect(err).NotTo(HaveOccurred())
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{NodeName: "x", Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
			g.Eventually(func() error { // the default ServiceAccount is made after the namespace
				_, err := core.Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
				return err
			}).Should(Succeed())
			log, err := core.RESTClient().Get().AbsPath("/api/v1/namespaces/default/pods/p/log").DoRaw(t.Context())
			if c.err != "" {
				g.Expect(err).To(HaveOccurred())
				g.Expect(string(log)).To(ContainSubstring(c.err))
				return
			}
			g.Expect(err).NotTo(HaveOccurred(), string(log))
			g.Expect(string(log)).To(Equal(c.log))
		})
	}
}

// TestProxyCertificate shows an aggregated server the configured certificate.
func TestProxyCertificate(t *testing.T) {
	g := NewWithT(t)
	other := newOutside(t, "front")
	kube := startWith(t, v1alpha1.APIServer{
		Proxy:          v1alpha1.Certificate{CertFile: other.cert, KeyFile: other.key},
		Authentication: v1alpha1.Authentication{RequestHeader: v1alpha1.RequestHeader{ClientCAFile: other.authority, AllowedNames: []string{"front"}}},
	})
	_, err := kube.CoreV1().Services("default").Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "other"},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(other.port)}}}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = kube.DiscoveryV1().EndpointSlices("default").Create(t.Context(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "other", Labels: map[string]string{discoveryv1.LabelServiceName: "other"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{other.address}}},
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: &other.port}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	registration := `{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.other.example.com"},"spec":{"group":"other.example.com","version":"v1","groupPriorityMinimum":100,"versionPriority":100,"insecureSkipTLSVerify":true,"service":{"namespace":"default","name":"other"}}}`
	rest := kube.Discovery().RESTClient()
	_, err = rest.Post().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices").Body([]byte(registration)).SetHeader("Content-Type", "application/json").DoRaw(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() string {
		body, err := rest.Get().AbsPath("/apis/other.example.com/v1/things").DoRaw(t.Context())
		return strings.TrimSpace(fmt.Sprint(string(body), err))
	}).Should(HavePrefix("front asks for /apis/other.example.com/v1/things"))
	published, err := kube.CoreV1().ConfigMaps("kube-system").Get(t.Context(), "extension-apiserver-authentication", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	authority, err := os.ReadFile(other.authority)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(published.Data).To(HaveKeyWithValue("requestheader-client-ca-file", string(authority)))
}

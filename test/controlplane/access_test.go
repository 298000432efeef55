package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

var _ = Describe("access", Ordered, func() {
	var w world
	var admin *kubernetes.Clientset
	// anybody configures a client of the server's socket without credentials.
	var anybody *rest.Config

	BeforeAll(func() {
		w = begin()
		config := w.TLSConfig(GinkgoTB())
		var err error
		admin, err = kubernetes.NewForConfig(config)
		Expect(err).NotTo(HaveOccurred())
		anybody = rest.AnonymousClientConfig(config)
	})

	bearer := func(token string) *kubernetes.Clientset {
		GinkgoHelper()
		config := rest.CopyConfig(anybody)
		config.BearerToken = token
		c, err := kubernetes.NewForConfig(config)
		Expect(err).NotTo(HaveOccurred())
		return c
	}

	It("lets everybody see health, and nothing else", func(ctx SpecContext) {
		client, err := rest.HTTPClientFor(anybody)
		Expect(err).NotTo(HaveOccurred())
		defer client.CloseIdleConnections()
		for path, want := range map[string]int{
			"/healthz": 200, "/livez": 200, "/readyz": 200,
			"/api": 401, "/apis": 401, "/api/v1/namespaces/default/pods": 401, "/metrics": 401, "/openapi/v2": 401, "/version": 401, "/api/v1/nodes": 401,
		} {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.Cluster.URL()+path, nil)
			Expect(err).NotTo(HaveOccurred())
			response, err := client.Do(r)
			Expect(err).NotTo(HaveOccurred())
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			Expect(response.StatusCode).To(Equal(want), "%s: %s", path, body)
		}
		_, err = bearer("not-a-token").CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		Expect(apierrors.IsUnauthorized(err)).To(BeTrue(), "%v", err)
	}, SpecTimeout(time.Minute))

	It("issues service account tokens, and reviews them", func(ctx SpecContext) {
		Eventually(func() error { _, err := w.tryGet("serviceaccount", "default"); return err }).Should(Succeed(), "the default ServiceAccount exists")
		token := w.ok("create", "token", "default", "--duration=10m", "--audience=https://kubernetes.default.svc.cluster.local")
		who, err := bearer(token).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(who.Status.UserInfo.Username).To(Equal("system:serviceaccount:default:default"))
		Expect(who.Status.UserInfo.Groups).To(ConsistOf("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"))

		review, err := admin.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(review.Status.Authenticated).To(BeTrue(), review.Status.Error)
		review, err = admin.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{"other"}}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(review.Status.Authenticated).To(BeFalse(), "a token for another audience")
	}, SpecTimeout(time.Minute))

	It("ends a token with the pod it is bound to", func(ctx SpecContext) {
		w.apply(pod("bound"))
		var p corev1.Pod
		w.get(&p, "default", "bound")
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: ptr.To[int64](600), BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "bound", UID: p.UID},
		}}
		issued, err := admin.CoreV1().ServiceAccounts("default").CreateToken(ctx, "default", request, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		as := bearer(issued.Status.Token)
		who, err := as.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(who.Status.UserInfo.Extra).To(HaveKeyWithValue("authentication.kubernetes.io/pod-name", authenticationv1.ExtraValue{"bound"}))
		w.ok("delete", "pod", "bound")
		Eventually(func() bool {
			_, err := as.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
			return apierrors.IsUnauthorized(err)
		}).Should(BeTrue(), "the token of a deleted pod is refused")
	}, SpecTimeout(time.Minute))

	It("keeps a pod's service account to what RBAC allows it", func(ctx SpecContext) {
		as := bearer(w.ok("create", "token", "default"))
		_, err := as.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		Expect(err).To(MatchError(`secrets is forbidden: User "system:serviceaccount:default:default" cannot list resource "secrets" in API group "" in the namespace "default"`))
		w.ok("create", "role", "reader", "--verb=get,list", "--resource=secrets")
		w.ok("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:default")
		Eventually(func() error {
			_, err := as.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
			return err
		}).Should(Succeed(), "the binding works")
		Expect(apierrors.IsForbidden(as.CoreV1().Secrets("default").Delete(ctx, "x", metav1.DeleteOptions{}))).To(BeTrue())
		_, err = as.CoreV1().Secrets("kube-system").List(ctx, metav1.ListOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		w.ok("delete", "rolebinding", "reader")
		Eventually(func() bool {
			_, err := as.CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
			return apierrors.IsForbidden(err)
		}).Should(BeTrue(), "without the binding it is forbidden again")
	}, SpecTimeout(time.Minute))

	It("lets a user with a certificate view one namespace", func() {
		k := w.namespace("viewed")
		k.ok("create", "rolebinding", "see", "--clusterrole=view", "--user=jane")
		jane := newKubectl(userKubeconfig(w, "jane", "devs")).in("viewed")
		Eventually(func() string { out, _, _ := jane.run("", "auth", "can-i", "list", "pods", "-n", "viewed"); return out }).Should(Equal("yes\n"))
		Expect(jane.ok("auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}")).To(Equal(`jane ["devs","system:authenticated"]`))
		Expect(jane.ok("get", "configmaps", "-o", "name")).To(ContainSubstring("configmap/kube-root-ca.crt"))
		Expect(jane.fails("", "get", "secrets")).To(ContainSubstring(`Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "viewed"`))
		Expect(jane.fails("", "create", "configmap", "x")).To(ContainSubstring(`cannot create resource "configmaps"`))
		Expect(jane.in("default").fails("", "get", "pods")).To(ContainSubstring("Forbidden"))
		Expect(jane.fails("", "get", "nodes")).To(ContainSubstring("at the cluster scope"))
		stdout, _, err := jane.run("", "auth", "can-i", "delete", "pods", "-n", "viewed")
		Expect(err).To(HaveOccurred(), "can-i says no by its exit code")
		Expect(stdout).To(Equal("no\n"))
		Expect(jane.ok("auth", "can-i", "--list")).To(MatchRegexp(`pods +\[\] +\[\] +\[get list watch\]`))
	})

	It("lets no user grant more than he has", func() {
		w.ok("create", "rolebinding", "edit", "--clusterrole=admin", "--user=joe", "-n", "viewed")
		joe := newKubectl(userKubeconfig(w, "joe")).in("viewed")
		Eventually(func() string {
			out, _, _ := joe.run("", "auth", "can-i", "create", "roles", "-n", "viewed")
			return out
		}).Should(Equal("yes\n"))
		Expect(joe.fails("", "create", "role", "too-much", "--verb=*", "--resource=nodes")).To(
			And(ContainSubstring(`user "joe" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held`), ContainSubstring(`{APIGroups:[""], Resources:["nodes"], Verbs:["*"]}`)))
		Expect(joe.fails("", "create", "rolebinding", "all", "--clusterrole=cluster-admin", "--user=joe")).To(ContainSubstring("not currently held"))
		joe.ok("create", "role", "less", "--verb=get", "--resource=pods")
	})

	It("impersonates for those who may", func() {
		Expect(w.ok("get", "pods", "--as=jane", "-n", "viewed", "-o", "name")).To(BeEmpty())
		Expect(w.fails("", "get", "secrets", "--as=jane", "-n", "viewed")).To(ContainSubstring(`User "jane" cannot list resource "secrets"`))
		jane := newKubectl(userKubeconfig(w, "jane"))
		Expect(jane.fails("", "get", "--raw", "/api/v1/namespaces/viewed/pods", "--as=joe")).To(ContainSubstring(`pods is forbidden: User "jane" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "viewed"`))
	})
})

// tryGet reads the name of an object that may not be there yet.
func (w world) tryGet(kind, name string) (string, error) {
	out, said, err := w.run("", w.with([]string{"get", kind, name, "-o", "name"})...)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said)
	}
	return out, err
}

// userKubeconfig makes a client certificate with the cluster's own authority,
// as an administrator of the machine can, and a kubeconfig with it.
func userKubeconfig(w world, name string, groups ...string) string {
	GinkgoHelper()
	dir := filepath.Join(w.Cluster.Config().DataDir, "pki")
	read := func(file string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, file))
		Expect(err).NotTo(HaveOccurred())
		block, _ := pem.Decode(data)
		Expect(block).NotTo(BeNil())
		return block.Bytes
	}
	ca, err := x509.ParseCertificate(read("ca.crt"))
	Expect(err).NotTo(HaveOccurred())
	signer, err := parseKey(read("ca.key"))
	Expect(err).NotTo(HaveOccurred())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: groups},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, key.Public(), signer)
	Expect(err).NotTo(HaveOccurred())
	keyDER, err := x509.MarshalECPrivateKey(key)
	Expect(err).NotTo(HaveOccurred())

	home := GinkgoTB().TempDir()
	cert, keyFile, config := filepath.Join(home, "crt"), filepath.Join(home, "key"), filepath.Join(home, "kubeconfig")
	Expect(os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)).To(Succeed())
	Expect(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600)).To(Succeed())
	k := newKubectl(config)
	k.ok("config", "set-cluster", "c", "--server="+w.Cluster.URL(), "--certificate-authority="+filepath.Join(dir, "ca.crt"))
	k.ok("config", "set-credentials", "u", "--client-certificate="+cert, "--client-key="+keyFile)
	k.ok("config", "set-context", "x", "--cluster=c", "--user=u")
	k.ok("config", "use-context", "x")
	return config
}

func parseKey(der []byte) (any, error) {
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return x509.ParsePKCS8PrivateKey(der)
}

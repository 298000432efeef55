package controlplane

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/test/env"
)

// file writes one of the files that a configuration names.
func file(dir, name, content string) string {
	GinkgoHelper()
	path := filepath.Join(dir, name)
	Expect(os.WriteFile(path, []byte(content), 0o600)).To(Succeed())
	return path
}

// replace gives a file another content as editors and kubelets do: at once.
func replace(path, content string) {
	GinkgoHelper()
	Expect(os.WriteFile(path+".new", []byte(content), 0o600)).To(Succeed())
	Expect(os.Rename(path+".new", path)).To(Succeed())
}

// socket is the way of strangers to the API server.
type socket struct {
	config *rest.Config
	url    string
}

func (s socket) bearer(token string) *kubernetes.Clientset {
	GinkgoHelper()
	config := rest.CopyConfig(s.config)
	config.BearerToken = token
	c, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	return c
}

// whoami returns the user of a client.
func whoami(ctx context.Context, c kubernetes.Interface) (authenticationv1.UserInfo, error) {
	review, err := c.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return authenticationv1.UserInfo{}, err
	}
	return review.Status.UserInfo, nil
}

func oidcConfiguration(i *issuer, prefix string) string {
	return fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions: [{path: /livez}, {path: /version}]
jwt:
- issuer:
    url: %s
    audiences: [cluster]
    certificateAuthority: %q
  claimValidationRules:
  - expression: "claims.?hired.orValue(true) == true"
    message: only those who work here
  claimMappings:
    username: {expression: "'%s' + claims.sub"}
    groups: {claim: teams, prefix: "team:"}
    extra: [{key: example.com/desk, valueExpression: "claims.?desk.orValue('none')"}]
`, i.URL, certificateOf(i.Server), prefix)
}

var _ = Describe("authentication and authorization by files", Ordered, func() {
	var (
		w             world
		admin         *kubernetes.Clientset
		strangers     socket
		idp           *issuer
		tokens, rules *review
		proxies       *authority
		authenticate  string
		authorize     string
		dir           string
	)
	BeforeAll(func() {
		dir = GinkgoTB().TempDir()
		idp = newIssuer()
		tokens = newReview(func(spec map[string]any) map[string]any {
			if spec["token"] != "from-afar" {
				return map[string]any{"authenticated": false}
			}
			return map[string]any{"authenticated": true, "user": map[string]any{"username": "far", "uid": "7", "groups": []string{"away"}, "extra": map[string][]string{"k": {"v"}}}}
		})
		rules = newReview(func(spec map[string]any) map[string]any {
			switch spec["user"] {
			case "mallory":
				return map[string]any{"allowed": false, "denied": true, "reason": "we know her"}
			case "far":
				return map[string]any{"allowed": true}
			}
			return map[string]any{"allowed": false}
		})
		proxies = newAuthority("proxies")
		authenticate = file(dir, "authentication.yaml", oidcConfiguration(idp, "oidc:"))
		authorize = file(dir, "authorization.yaml", fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- {type: Node, name: node}
- type: Webhook
  name: rules.example.com
  webhook:
    timeout: 3s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: Deny
    authorizedTTL: 1m
    unauthorizedTTL: 1m
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: %s}
    matchConditions:
    - expression: "has(request.resourceAttributes) && request.resourceAttributes.namespace == 'hooked'"
- {type: RBAC, name: rbac}
`, webhookKubeconfig(dir, rules.Server)))
		w = begin(env.WithNodes(0), env.WithConfig(func(c *v1alpha1.Cluster) {
			c.APIServer.Authentication = v1alpha1.Authentication{
				ConfigFile:    authenticate,
				TokenWebhook:  v1alpha1.TokenWebhook{KubeconfigFile: webhookKubeconfig(dir, tokens.Server)},
				RequestHeader: v1alpha1.RequestHeader{ClientCAFile: proxies.file(dir), AllowedNames: []string{"front"}},
			}
			c.APIServer.Authorization.ConfigFile = authorize
		}))
		config := w.TLSConfig(GinkgoTB())
		var err error
		admin, err = kubernetes.NewForConfig(config)
		Expect(err).NotTo(HaveOccurred())
		strangers = socket{config: rest.AnonymousClientConfig(config), url: w.Cluster.URL()}
	})

	It("believes an OIDC issuer, and maps its claims", func(ctx SpecContext) {
		var who authenticationv1.UserInfo
		Eventually(func() (err error) {
			who, err = whoami(ctx, strangers.bearer(idp.token(map[string]any{"sub": "ann", "teams": []string{"a", "b"}, "desk": "12"})))
			return err
		}).Should(Succeed(), "the issuer's keys are known")
		Expect(who.Username).To(Equal("oidc:ann"))
		Expect(who.Groups).To(ConsistOf("team:a", "team:b", "system:authenticated"))
		Expect(who.Extra).To(HaveKeyWithValue("example.com/desk", authenticationv1.ExtraValue{"12"}))
		for name, claims := range map[string]map[string]any{
			"another audience": {"sub": "ann", "aud": "other"},
			"expired":          {"sub": "ann", "exp": time.Now().Add(-time.Hour).Unix()},
			"against a rule":   {"sub": "ann", "hired": false},
			"another issuer":   {"sub": "ann", "iss": "https://example.com"},
			"without a name":   {},
		} {
			_, err := whoami(ctx, strangers.bearer(idp.token(claims)))
			Expect(apierrors.IsUnauthorized(err)).To(BeTrue(), "%s: %v", name, err)
		}
	}, SpecTimeout(time.Minute))

	It("lets the anonymous see what the file says", func(ctx SpecContext) {
		for path, want := range map[string]int{"/livez": 200, "/version": 200, "/readyz": 401, "/api": 401} {
			var code int
			c := strangers.bearer("")
			c.RESTClient().Get().AbsPath(path).Do(ctx).StatusCode(&code)
			Expect(code).To(Equal(want), path)
		}
	}, SpecTimeout(time.Minute))

	It("follows the file of issuers, and keeps to the last good one", func(ctx SpecContext) {
		token := idp.token(map[string]any{"sub": "ann"})
		replace(authenticate, "jwt: nonsense")
		Consistently(func() error { _, err := whoami(ctx, strangers.bearer(token)); return err }).WithTimeout(300 * time.Millisecond).Should(Succeed())
		replace(authenticate, oidcConfiguration(idp, "new:"))
		Eventually(func() (string, error) { who, err := whoami(ctx, strangers.bearer(token)); return who.Username, err }).Should(Equal("new:ann"))
	}, SpecTimeout(time.Minute))

	It("asks the token webhook once", func(ctx SpecContext) {
		before := tokens.asked.Load()
		for range 5 {
			who, err := whoami(ctx, strangers.bearer("from-afar"))
			Expect(err).NotTo(HaveOccurred())
			Expect(who.Username + who.UID).To(Equal("far7"))
			Expect(who.Groups).To(ConsistOf("away", "system:authenticated"))
			Expect(who.Extra).To(HaveKeyWithValue("k", authenticationv1.ExtraValue{"v"}))
		}
		Expect(tokens.asked.Load() - before).To(BeEquivalentTo(1))
		_, err := whoami(ctx, strangers.bearer("guess"))
		Expect(apierrors.IsUnauthorized(err)).To(BeTrue(), "%v", err)
	}, SpecTimeout(time.Minute))

	It("trusts the headers of its front proxy only", func(ctx SpecContext) {
		ask := func(name string, by *authority) (int, authenticationv1.UserInfo) {
			GinkgoHelper()
			certificate, key := issue(pkix.Name{CommonName: name}, by)
			return viaProxy(ctx, strangers, certificate, key)
		}
		code, who := ask("front", proxies)
		Expect(code).To(Equal(http.StatusCreated))
		Expect(who.Username + who.UID).To(Equal("zoe9"))
		Expect(who.Groups).To(ConsistOf("x", "y", "system:authenticated"))
		Expect(who.Extra).To(HaveKeyWithValue("scope", authenticationv1.ExtraValue{"s"}))
		code, _ = ask("back", proxies)
		Expect(code).To(Equal(http.StatusUnauthorized), "a name that is not allowed")
		code, _ = ask("front", newAuthority("others"))
		Expect(code).To(Equal(http.StatusUnauthorized), "another authority")
	}, SpecTimeout(time.Minute))

	It("asks the authorization webhook where its conditions match", func(ctx SpecContext) {
		w.namespace("hooked")
		far := strangers.bearer("from-afar")
		before := rules.asked.Load()
		for range 3 {
			_, err := far.CoreV1().ConfigMaps("hooked").List(ctx, metav1.ListOptions{})
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(rules.asked.Load()-before).To(BeEquivalentTo(1), "its answer is kept")
		_, err := far.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		Expect(rules.asked.Load()-before).To(BeEquivalentTo(1), "it is not asked elsewhere")

		review, err := admin.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "mallory", ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "hooked", Verb: "get", Resource: "pods"},
		}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(review.Status.Denied).To(BeTrue())
		Expect(review.Status.Reason).To(Equal("we know her"))
	}, SpecTimeout(time.Minute))

	It("follows the file of authorizers", func(ctx SpecContext) {
		far := strangers.bearer("from-afar")
		replace(authorize, "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n- {type: AlwaysDeny, name: alwaysdeny}\n")
		Consistently(func() error { _, err := far.CoreV1().Pods("hooked").List(ctx, metav1.ListOptions{}); return err }).
			WithTimeout(300*time.Millisecond).Should(Succeed(), "RBAC was there first and may not go")
		replace(authorize, "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n")
		Eventually(func() bool {
			_, err := far.CoreV1().Pods("hooked").List(ctx, metav1.ListOptions{})
			return apierrors.IsForbidden(err)
		}).Should(BeTrue())
	}, SpecTimeout(time.Minute))

	It("believes bootstrap tokens in Secrets", func(ctx SpecContext) {
		boot := strangers.bearer("abcdef.0123456789abcdef")
		_, err := whoami(ctx, boot)
		Expect(apierrors.IsUnauthorized(err)).To(BeTrue(), "%v", err)
		secret := &corev1.Secret{ObjectMeta: named("kube-system", "bootstrap-token-abcdef"), Type: "bootstrap.kubernetes.io/token", StringData: map[string]string{
			"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", "auth-extra-groups": "system:bootstrappers:rack",
			"expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}}
		Expect(w.Client.Create(ctx, secret)).To(Succeed())
		Eventually(func() error { _, err := whoami(ctx, boot); return err }).Should(Succeed())
		who, err := whoami(ctx, boot)
		Expect(err).NotTo(HaveOccurred())
		Expect(who.Username).To(Equal("system:bootstrap:abcdef"))
		Expect(who.Groups).To(ConsistOf("system:bootstrappers", "system:bootstrappers:rack", "system:authenticated"))
		Expect(w.Client.Delete(ctx, secret)).To(Succeed())
		Eventually(func() bool { _, err := whoami(ctx, boot); return apierrors.IsUnauthorized(err) }).Should(BeTrue())
	}, SpecTimeout(time.Minute))

	It("notes when the token of a Secret was used", func(ctx SpecContext) {
		secret := &corev1.Secret{ObjectMeta: named("default", "old"), Type: corev1.SecretTypeServiceAccountToken}
		secret.Annotations = map[string]string{corev1.ServiceAccountNameKey: "default"}
		Eventually(func() error { return w.Client.Create(ctx, secret.DeepCopy()) }).Should(Succeed())
		Eventually(func() []byte { w.get(secret, "default", "old"); return secret.Data["token"] }).ShouldNot(BeEmpty())
		Expect(secret.Labels).NotTo(HaveKey("kubernetes.io/legacy-token-last-used"))
		who, err := whoami(ctx, strangers.bearer(string(secret.Data["token"])))
		Expect(err).NotTo(HaveOccurred())
		Expect(who.Username).To(Equal("system:serviceaccount:default:default"))
		w.get(secret, "default", "old")
		Expect(secret.Labels).To(HaveKeyWithValue("kubernetes.io/legacy-token-last-used", time.Now().UTC().Format(time.DateOnly)))
	}, SpecTimeout(time.Minute))

	It("lets users impersonate who may", func(ctx SpecContext) {
		as := func(c rest.ImpersonationConfig, token string) (authenticationv1.UserInfo, error) {
			GinkgoHelper()
			config := rest.CopyConfig(strangers.config)
			config.BearerToken, config.Impersonate = token, c
			client, err := kubernetes.NewForConfig(config)
			Expect(err).NotTo(HaveOccurred())
			return whoami(ctx, client)
		}
		want := rest.ImpersonationConfig{UserName: "bob", UID: "42", Groups: []string{"g"}, Extra: map[string][]string{"example.com/k": {"v"}}}
		_, err := as(want, "from-afar")
		Expect(err).To(MatchError(ContainSubstring(`cannot impersonate-on:user-info:create resource "selfsubjectreviews"`)), "the first mode that fits tells why")
		role := &rbacv1.ClusterRole{ObjectMeta: named("", "actors"), Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"impersonate"}, APIGroups: []string{""}, Resources: []string{"users", "groups"}, ResourceNames: []string{"bob", "g"}},
			{Verbs: []string{"impersonate"}, APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"uids", "userextras/example.com/k"}},
		}}
		Expect(w.Client.Create(ctx, role)).To(Succeed())
		Expect(w.Client.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: named("", "actors"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "actors"},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "far"}}})).To(Succeed())
		var who authenticationv1.UserInfo
		Eventually(func() (err error) { who, err = as(want, "from-afar"); return err }).Should(Succeed())
		Expect(who.Username + who.UID).To(Equal("bob42"))
		Expect(who.Groups).To(ConsistOf("g", "system:authenticated"))
		Expect(who.Extra).To(HaveKeyWithValue("example.com/k", authenticationv1.ExtraValue{"v"}))
		want.Groups = []string{"system:masters"}
		_, err = as(want, "from-afar")
		Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
	}, SpecTimeout(time.Minute))

	It("gives aggregated cluster roles what they select", func(ctx SpecContext) {
		Expect(w.Client.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: named("", "mine"), AggregationRule: &rbacv1.AggregationRule{
			ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"to": "mine"}}},
		}})).To(Succeed())
		part := &rbacv1.ClusterRole{ObjectMeta: named("", "part"), Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{"example.com"}, Resources: []string{"things"}}}}
		part.Labels = map[string]string{"to": "mine", "rbac.authorization.k8s.io/aggregate-to-view": "true"}
		Expect(w.Client.Create(ctx, part)).To(Succeed())
		rulesOf := func(name string) func() []rbacv1.PolicyRule {
			return func() []rbacv1.PolicyRule { var r rbacv1.ClusterRole; w.get(&r, "", name); return r.Rules }
		}
		Eventually(rulesOf("mine")).Should(Equal(part.Rules))
		for _, name := range []string{"view", "edit", "admin"} {
			Eventually(rulesOf(name)).Should(ContainElement(part.Rules[0]), name)
		}
		Expect(w.Client.Delete(ctx, part)).To(Succeed())
		Eventually(rulesOf("mine")).Should(BeEmpty())
	}, SpecTimeout(time.Minute))
})

// viaProxy returns the user that the server sees in a client of a proxy with
// this certificate.
func viaProxy(ctx context.Context, to socket, certificate *x509.Certificate, key *ecdsa.PrivateKey) (int, authenticationv1.UserInfo) {
	GinkgoHelper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(to.config.CAData)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}}}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url+"/apis/authentication.k8s.io/v1/selfsubjectreviews",
		strings.NewReader(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`))
	Expect(err).NotTo(HaveOccurred())
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Remote-User": {"zoe"}, "X-Remote-Uid": {"9"}, "X-Remote-Group": {"x", "y"}, "X-Remote-Extra-Scope": {"s"}}
	response, err := (&http.Client{Transport: transport}).Do(req)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	var review authenticationv1.SelfSubjectReview
	_ = json.NewDecoder(response.Body).Decode(&review)
	return response.StatusCode, review.Status.UserInfo
}

func read(path string) []byte {
	GinkgoHelper()
	data, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred())
	return data
}

// metrics returns a scrape of the API server.
func metrics(ctx context.Context, e *env.Env) string {
	GinkgoHelper()
	c, err := kubernetes.NewForConfig(e.Config)
	Expect(err).NotTo(HaveOccurred())
	body, err := c.RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	return string(body)
}

// raw reads what a stopped cluster has stored.
func raw(ctx context.Context, dir string) func(key string) string {
	GinkgoHelper()
	server, err := etcd.Start(ctx, etcd.Config{Dir: dir, UnsafeNoFsync: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(server.Stop)
	return func(key string) string {
		GinkgoHelper()
		response, err := server.Client.Client.Get(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(response.Kvs).To(HaveLen(1), key)
		return string(response.Kvs[0].Value)
	}
}

var _ = Describe("what is written down", Ordered, func() {
	It("encrypts what it stores, and reads what it stored before", func(ctx SpecContext) {
		dir := GinkgoTB().TempDir()
		key := func(name string) string {
			return fmt.Sprintf("{name: %s, secret: %s}", name, "c2VjcmV0IGlzIHNlY3VyZSwgSSB0aGluazEyMzQ1Njc=")
		}
		path := file(dir, "encryption.yaml", fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: [{secretbox: {keys: [%s]}}, {identity: {}}]
- resources: [configmaps]
  providers: [{identity: {}}, {aesgcm: {keys: [%s]}}]
`, key("one"), key("two")))
		data := filepath.Join(dir, "data")
		plain := env.Start(GinkgoTB(), env.WithDir(data), env.WithNodes(0))
		Expect(plain.Client.Create(ctx, &corev1.Secret{ObjectMeta: named("default", "before"), StringData: map[string]string{"k": "plain-as-day"}})).To(Succeed())
		plain.Cluster.Stop()

		e := env.Start(GinkgoTB(), env.Beside(), env.WithDir(data), env.WithNodes(0), env.WithConfig(func(c *v1alpha1.Cluster) {
			c.APIServer.Encryption = v1alpha1.Encryption{ConfigFile: path, Reload: true}
		}))
		var secret corev1.Secret
		Expect(e.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "before"}, &secret)).To(Succeed())
		Expect(secret.Data).To(HaveKeyWithValue("k", []byte("plain-as-day")))
		Expect(e.Client.Create(ctx, &corev1.Secret{ObjectMeta: named("default", "after"), StringData: map[string]string{"k": "hidden-at-rest"}})).To(Succeed())
		Expect(e.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: named("default", "seen"), Data: map[string]string{"k": "seen-by-all"}})).To(Succeed())
		const reloads = `apiserver_encryption_config_controller_automatic_reloads_total{apiserver_id_hash="sha256:`
		Expect(metrics(ctx, e)).NotTo(ContainSubstring(reloads))
		replace(path, strings.Replace(string(read(path)), "[{identity: {}}, {aesgcm", "[{aesgcm", 1))
		Eventually(func() string { return metrics(ctx, e) }).Should(ContainSubstring(reloads), "the changed file is in force")
		Expect(e.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: named("default", "unseen"), Data: map[string]string{"k": "seen-by-few"}})).To(Succeed())
		Expect(e.Client.Get(ctx, client.ObjectKey{Namespace: "default", Name: "after"}, &secret)).To(Succeed())
		Expect(secret.Data).To(HaveKeyWithValue("k", []byte("hidden-at-rest")))
		e.Cluster.Stop()

		stored := raw(ctx, filepath.Join(data, "etcd"))
		Expect(stored("/registry/secrets/default/after")).To(And(HavePrefix("k8s:enc:secretbox:v1:one:"), Not(ContainSubstring("hidden-at-rest"))))
		Expect(stored("/registry/secrets/default/before")).To(ContainSubstring("plain-as-day"))
		Expect(stored("/registry/configmaps/default/seen")).To(ContainSubstring("seen-by-all"))
		Expect(stored("/registry/configmaps/default/unseen")).To(And(HavePrefix("k8s:enc:aesgcm:v1:two:"), Not(ContainSubstring("seen-by-few"))))
	}, SpecTimeout(2*time.Minute))

	It("records who asked for what", func(ctx SpecContext) {
		dir := GinkgoTB().TempDir()
		path := filepath.Join(dir, "log", "audit.log")
		w := begin(env.WithNodes(0), env.WithConfig(func(c *v1alpha1.Cluster) {
			c.APIServer.Audit = v1alpha1.Audit{LogPath: path, PolicyFile: file(dir, "policy.yaml", `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- {level: RequestResponse, resources: [{resources: [configmaps]}], namespaces: [default]}
- {level: Metadata, resources: [{resources: [secrets, pods]}]}
- {level: None}
`)}
		}))
		config := w.TLSConfig(GinkgoTB())
		admin, err := kubernetes.NewForConfig(config)
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: named("", "audited"), Data: map[string]string{"k": "v"}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		_, err = admin.CoreV1().Secrets("default").Create(ctx, &corev1.Secret{ObjectMeta: named("", "quiet"), StringData: map[string]string{"k": "unspoken"}}, metav1.CreateOptions{})
		Expect(err).NotTo(HaveOccurred())
		Expect(w.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: named("default", "inside"), Data: map[string]string{"k": "v"}})).To(Succeed())
		response := admin.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces/default/configmaps/audited").Do(ctx)
		Expect(response.Error()).NotTo(HaveOccurred())
		_, err = socket{config: rest.AnonymousClientConfig(config)}.bearer("guess").CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
		Expect(apierrors.IsUnauthorized(err)).To(BeTrue())
		watched, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		stream, err := admin.CoreV1().ConfigMaps("default").Watch(watched, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		for range stream.ResultChan() {
		}
		w.Cluster.Stop()

		var lines []string
		for line := range strings.Lines(string(read(path))) {
			var e struct {
				Level, Stage, Verb, AuditID      string
				User                             authenticationv1.UserInfo
				ObjectRef                        struct{ Resource, Name string }
				ResponseStatus                   metav1.Status
				RequestObject, ResponseObject    map[string]any
				RequestReceivedTimestamp, Source string
			}
			Expect(yaml.Unmarshal([]byte(line), &e)).To(Succeed())
			Expect(e.AuditID).NotTo(BeEmpty())
			lines = append(lines, fmt.Sprintf("%s %s %s %s %s/%s %d %t", e.Level, e.Stage, e.User.Username, e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, e.ResponseStatus.Code, e.RequestObject != nil))
		}
		Expect(lines).To(ContainElements(
			"RequestResponse RequestReceived kubernetes-admin create configmaps/ 0 false",
			"RequestResponse ResponseComplete kubernetes-admin create configmaps/audited 201 true",
			"Metadata ResponseComplete kubernetes-admin create secrets/quiet 201 false",
			"RequestResponse ResponseComplete system:apiserver create configmaps/inside 201 true",
			"RequestResponse ResponseComplete kubernetes-admin get configmaps/audited 200 false",
			"RequestResponse ResponseStarted kubernetes-admin watch configmaps/ 200 false",
			"RequestResponse ResponseComplete kubernetes-admin watch configmaps/ 200 false",
		))
		Expect(lines).To(ContainElement(MatchRegexp(`^Metadata Response\w+  list secrets/ 401 false$`)))
		Expect(string(read(path))).NotTo(ContainSubstring("unspoken"))
	}, SpecTimeout(time.Minute))
})

var _ = Describe("what the API server reports of itself", Ordered, func() {
	var w world
	var admin *kubernetes.Clientset
	BeforeAll(func() {
		w = begin(env.WithNodes(0))
		var err error
		admin, err = kubernetes.NewForConfig(w.TLSConfig(GinkgoTB()))
		Expect(err).NotTo(HaveOccurred())
	})
	get := func(ctx context.Context, path string) string {
		GinkgoHelper()
		body, err := admin.RESTClient().Get().RequestURI(path).DoRaw(ctx)
		Expect(err).NotTo(HaveOccurred(), path)
		return string(body)
	}

	It("has health checks by name", func(ctx SpecContext) {
		Expect(get(ctx, "/readyz?verbose")).To(And(ContainSubstring("[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n"), HaveSuffix("readyz check passed\n")))
		Expect(get(ctx, "/livez?verbose&exclude=etcd")).To(And(ContainSubstring("[+]etcd excluded: ok\n"), HaveSuffix("livez check passed\n")))
		for _, path := range []string{"/livez", "/readyz/etcd", "/readyz/shutdown", "/healthz/ping", "/livez/etcd"} {
			Expect(get(ctx, path)).To(Equal("ok"), path)
		}
	}, SpecTimeout(time.Minute))

	It("counts under upstream's names", func(ctx SpecContext) {
		_, err := admin.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		names := []string{
			`apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="namespace",subresource="",verb="LIST",version="v1"}`,
			"apiserver_request_duration_seconds_bucket{", "apiserver_current_inflight_requests{", "apiserver_longrunning_requests{", "apiserver_response_sizes_bucket{",
			`apiserver_resource_objects{group="",resource="namespaces"} `, `apiserver_storage_objects{resource="namespaces"} `, "apiserver_storage_size_bytes{", "etcd_request_duration_seconds_bucket{",
			"apiserver_watch_cache_events_received_total{", "authentication_attempts{", "authenticated_user_requests{", "authorization_attempts_total{",
			`kubernetes_build_info{`, `workqueue_adds_total{name="serviceaccount"} `, `workqueue_depth{name="deployment"} 0`, "rest_client_requests_total{",
			"scheduler_pending_pods{", "process_cpu_seconds_total ", "go_goroutines ",
		}
		// The requests in flight are counted once a second.
		Eventually(func() []string {
			scraped := get(ctx, "/metrics")
			return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.Contains(scraped, name) })
		}).WithContext(ctx).Should(BeEmpty(), "missing in /metrics")
		Expect(get(ctx, "/metrics/slis")).To(ContainSubstring(`kubernetes_healthcheck{name="etcd",type="readyz"} 1`))
	}, SpecTimeout(time.Minute))

	It("shows profiles to who may", func(ctx SpecContext) {
		Expect(get(ctx, "/debug/pprof/goroutine?debug=1")).To(ContainSubstring("goroutine profile: total"))
		_, err := strangersOf(w).bearer("").RESTClient().Get().AbsPath("/debug/pprof/goroutine").DoRaw(ctx)
		Expect(apierrors.IsUnauthorized(err)).To(BeTrue(), "%v", err)
	}, SpecTimeout(time.Minute))
})

func strangersOf(w world) socket {
	GinkgoHelper()
	return socket{config: rest.AnonymousClientConfig(w.TLSConfig(GinkgoTB())), url: w.Cluster.URL()}
}

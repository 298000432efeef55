package tokens_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	testclock "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/apiserver/auth/tokens"
)

type world struct {
	accounts map[string]*corev1.ServiceAccount
	pods     map[string]*corev1.Pod
	secrets  map[string]*corev1.Secret
	nodes    map[string]*corev1.Node
}

func get[T any](m map[string]*T, key string) (*T, error) {
	if o, ok := m[key]; ok {
		return o, nil
	}
	return nil, apierrors.NewNotFound(corev1.Resource("things"), key)
}

func (w world) ServiceAccount(_ context.Context, ns, name string) (*corev1.ServiceAccount, error) {
	return get(w.accounts, ns+"/"+name)
}
func (w world) Pod(_ context.Context, ns, name string) (*corev1.Pod, error) {
	return get(w.pods, ns+"/"+name)
}
func (w world) Secret(_ context.Context, ns, name string) (*corev1.Secret, error) {
	return get(w.secrets, ns+"/"+name)
}
func (w world) Node(_ context.Context, name string) (*corev1.Node, error) { return get(w.nodes, name) }

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name + "-uid")}
}

func newWorld() world {
	return world{
		accounts: map[string]*corev1.ServiceAccount{"ns/sa": {ObjectMeta: meta("sa")}},
		pods:     map[string]*corev1.Pod{"ns/pod": {ObjectMeta: meta("pod")}},
		secrets:  map[string]*corev1.Secret{"ns/secret": {ObjectMeta: meta("secret")}},
		nodes:    map[string]*corev1.Node{"node": {ObjectMeta: meta("node")}},
	}
}

const issuer, audience = "https://kubernetes.default.svc", "https://kubernetes.default.svc"

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func setup(t *testing.T, w world) (*tokens.Signer, *tokens.Authenticator, *testclock.FakePassiveClock, crypto.Signer) {
	g := NewWithT(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	clock := testclock.NewFakePassiveClock(start)
	signer, err := tokens.NewSigner(tokens.SignerConfig{Issuer: issuer, Audiences: []string{audience}, Key: key, Clock: clock})
	g.Expect(err).NotTo(HaveOccurred())
	auth, err := tokens.NewAuthenticator(tokens.AuthenticatorConfig{Issuers: []string{issuer}, Audiences: []string{audience}, Keys: []crypto.PublicKey{key.Public()}, Getter: w, Clock: clock})
	g.Expect(err).NotTo(HaveOccurred())
	return signer, auth, clock, key
}

func ref(name string) *tokens.Ref { return &tokens.Ref{Name: name, UID: name + "-uid"} }

func claims() tokens.TokenClaims {
	return tokens.TokenClaims{Namespace: "ns", ServiceAccount: *ref("sa"), Expiration: time.Hour}
}

func payload(t *testing.T, token string) map[string]any {
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	g := NewWithT(t)
	signer, auth, _, _ := setup(t, newWorld())
	c := claims()
	c.Pod, c.Node = ref("pod"), ref("node")
	ctx := audit.WithAuditContext(t.Context())
	token, expires, err := signer.Issue(ctx, c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(expires).To(Equal(start.Add(time.Hour)))
	id, _ := audit.AuditContextFrom(ctx).GetEventAnnotation("authentication.kubernetes.io/issued-credential-id")
	g.Expect(id).To(Equal("JTI=" + payload(t, token)["jti"].(string)))

	res, ok, err := auth.AuthenticateToken(t.Context(), token)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ok).To(BeTrue())
	g.Expect(res.User.GetName()).To(Equal("system:serviceaccount:ns:sa"))
	g.Expect(res.User.GetUID()).To(Equal("sa-uid"))
	g.Expect(res.User.GetGroups()).To(Equal([]string{"system:serviceaccounts", "system:serviceaccounts:ns"}))
	g.Expect(res.User.GetExtra()).To(And(
		HaveKeyWithValue("authentication.kubernetes.io/pod-name", []string{"pod"}),
		HaveKeyWithValue("authentication.kubernetes.io/pod-uid", []string{"pod-uid"}),
		HaveKeyWithValue("authentication.kubernetes.io/node-name", []string{"node"}),
		HaveKeyWithValue("authentication.kubernetes.io/node-uid", []string{"node-uid"}),
		HaveKeyWithValue("authentication.kubernetes.io/credential-id", []string{"JTI=" + payload(t, token)["jti"].(string)}),
	))
	g.Expect(res.Audiences).To(Equal(authenticator.Audiences{audience}))
}

func TestWarnAfter(t *testing.T) {
	g := NewWithT(t)
	signer, _, _, _ := setup(t, newWorld())
	c := claims()
	c.Pod, c.Expiration, c.WarnAfter = ref("pod"), 365*24*time.Hour, 3607*time.Second
	token, expires, err := signer.Issue(t.Context(), c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(expires).To(Equal(start.Add(365 * 24 * time.Hour)))
	p := payload(t, token)
	g.Expect(p["exp"]).To(BeEquivalentTo(start.Add(365 * 24 * time.Hour).Unix()))
	g.Expect(p["kubernetes.io"]).To(HaveKeyWithValue("warnafter", BeEquivalentTo(start.Add(3607*time.Second).Unix())))
}

func TestRejections(t *testing.T) {
	deleted := func(o metav1.Object, ago time.Duration) {
		at := metav1.NewTime(start.Add(-ago))
		o.SetDeletionTimestamp(&at)
	}
	for name, tc := range map[string]struct {
		claims func(*tokens.TokenClaims)
		world  func(world)
		later  time.Duration
		ask    []string
		err    string // empty: accepted
	}{
		"plain":                   {},
		"expired":                 {later: time.Hour + 2*time.Minute, err: "service account token has expired"},
		"not yet":                 {later: -2 * time.Minute, err: "service account token is not valid yet"},
		"other audience":          {ask: []string{"vault"}, err: "invalid for the target audiences"},
		"asked audience":          {claims: func(c *tokens.TokenClaims) { c.Audiences = []string{"vault"} }, ask: []string{"vault"}},
		"not for us":              {claims: func(c *tokens.TokenClaims) { c.Audiences = []string{"vault"} }, err: "invalid for the target audiences"},
		"account gone":            {world: func(w world) { delete(w.accounts, "ns/sa") }, err: "has been invalidated"},
		"account made again":      {world: func(w world) { w.accounts["ns/sa"].UID = "x" }, err: "has been invalidated"},
		"pod gone":                {claims: func(c *tokens.TokenClaims) { c.Pod = ref("pod") }, world: func(w world) { delete(w.pods, "ns/pod") }, err: "has been invalidated"},
		"pod made again":          {claims: func(c *tokens.TokenClaims) { c.Pod = ref("pod") }, world: func(w world) { w.pods["ns/pod"].UID = "x" }, err: "has been invalidated"},
		"pod terminating":         {claims: func(c *tokens.TokenClaims) { c.Pod = ref("pod") }, world: func(w world) { deleted(w.pods["ns/pod"], 30*time.Second) }},
		"pod should be long gone": {claims: func(c *tokens.TokenClaims) { c.Pod = ref("pod") }, world: func(w world) { deleted(w.pods["ns/pod"], 61*time.Second) }, err: "has been invalidated"},
		"pod's node gone":         {claims: func(c *tokens.TokenClaims) { c.Pod, c.Node = ref("pod"), ref("node") }, world: func(w world) { delete(w.nodes, "node") }},
		"node gone":               {claims: func(c *tokens.TokenClaims) { c.Node = ref("node") }, world: func(w world) { delete(w.nodes, "node") }, err: "has been invalidated"},
		"secret":                  {claims: func(c *tokens.TokenClaims) { c.Secret = ref("secret") }},
		"secret gone":             {claims: func(c *tokens.TokenClaims) { c.Secret = ref("secret") }, world: func(w world) { delete(w.secrets, "ns/secret") }, err: "has been invalidated"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld()
			signer, auth, clock, _ := setup(t, w)
			c := claims()
			if tc.claims != nil {
				tc.claims(&c)
			}
			token, _, err := signer.Issue(t.Context(), c)
			g.Expect(err).NotTo(HaveOccurred())
			if tc.world != nil {
				tc.world(w)
			}
			clock.SetTime(start.Add(tc.later))
			ctx := t.Context()
			if tc.ask != nil {
				ctx = authenticator.WithAudiences(ctx, tc.ask)
			}
			_, ok, err := auth.AuthenticateToken(ctx, token)
			g.Expect(ok).To(Equal(tc.err == ""))
			if tc.err != "" {
				g.Expect(err).To(MatchError(ContainSubstring(tc.err)))
			}
		})
	}
}

func TestForeignTokens(t *testing.T) {
	g := NewWithT(t)
	_, auth, clock, _ := setup(t, newWorld())
	for _, token := range []string{"", "abc", "a.b.c", "static-token", "e30.e30."} {
		_, ok, err := auth.AuthenticateToken(t.Context(), token)
		g.Expect(ok).To(BeFalse())
		g.Expect(err).NotTo(HaveOccurred(), "left to other authenticators")
	}
	// Right issuer, wrong key.
	forged, _, _, _ := setup(t, newWorld())
	token, _, err := forged.Issue(t.Context(), claims())
	g.Expect(err).NotTo(HaveOccurred())
	_, ok, err := auth.AuthenticateToken(t.Context(), token)
	g.Expect(ok).To(BeFalse())
	g.Expect(err).To(HaveOccurred())
	_ = clock
}

func TestLegacy(t *testing.T) {
	g := NewWithT(t)
	w := newWorld()
	signer, auth, clock, _ := setup(t, w)
	token, err := signer.IssueLegacy("ns", *ref("sa"), "secret")
	g.Expect(err).NotTo(HaveOccurred())
	_, _, err = auth.AuthenticateToken(t.Context(), token)
	g.Expect(err).To(MatchError("service account token has been invalidated"), "not in the Secret")
	w.secrets["ns/secret"].Data = map[string][]byte{"token": []byte(token)}
	clock.SetTime(start.Add(10 * 365 * 24 * time.Hour))
	res, ok, err := auth.AuthenticateToken(t.Context(), token)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ok).To(BeTrue())
	g.Expect(res.User.GetName()).To(Equal("system:serviceaccount:ns:sa"))
}

func TestDiscovery(t *testing.T) {
	g := NewWithT(t)
	_, _, _, key := setup(t, newWorld())
	d, err := tokens.NewDiscovery(issuer, "", []crypto.PublicKey{key.Public()})
	g.Expect(err).NotTo(HaveOccurred())
	mux := http.NewServeMux()
	d.Install(mux.Handle)
	ask := func(path string) (string, map[string]any) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		out := map[string]any{}
		g.Expect(json.Unmarshal(w.Body.Bytes(), &out)).To(Succeed())
		return w.Header().Get("Content-Type"), out
	}
	_, config := ask("/.well-known/openid-configuration")
	g.Expect(config).To(And(HaveKeyWithValue("issuer", issuer), HaveKeyWithValue("jwks_uri", issuer+"/openid/v1/jwks"),
		HaveKeyWithValue("id_token_signing_alg_values_supported", []any{"ES256"})))
	contentType, keys := ask("/openid/v1/jwks")
	g.Expect(contentType).To(Equal("application/jwk-set+json"))
	g.Expect(keys["keys"]).To(ConsistOf(And(HaveKeyWithValue("kty", "EC"), HaveKeyWithValue("use", "sig"), Not(HaveKey("d")))))
}

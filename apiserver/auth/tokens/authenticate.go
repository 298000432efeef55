package tokens

import (
	"context"
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/go-jose/go-jose.v2/jwt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"
)

// deletionGrace is how long a token outlives the end of the grace period of
// what it is bound to: terminating pods still need theirs.
const deletionGrace = 60 * time.Second

// Getter looks up what tokens name. Errors are those of the API: NotFound
// makes a token invalid. Fresh answers matter: a token ends with its pod.
type Getter interface {
	ServiceAccount(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error)
	Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	Node(ctx context.Context, name string) (*corev1.Node, error)
}

// AuthenticatorConfig configures an Authenticator.
type AuthenticatorConfig struct {
	// Issuers whose tokens are accepted; the first is the one used now.
	Issuers []string
	// Audiences of the API server.
	Audiences []string
	// Keys that tokens may be signed with, the current one first.
	Keys   []crypto.PublicKey
	Getter Getter
	Clock  clock.PassiveClock
	// Used is called at the first use in a day (UTC, as 2006-01-02) of a token
	// in a Secret, to record it there under LastUsedLabel; nil records nothing.
	Used func(ctx context.Context, secret *corev1.Secret, day string)
	// Register registers metrics; nil leaves them out.
	Register func(...metrics.Registerable)
}

// LastUsedLabel of a Secret is the day on which its token was used last.
const LastUsedLabel = "kubernetes.io/legacy-token-last-used"

// Authenticator checks bound and legacy service-account tokens. It has no
// opinion on tokens of other issuers.
type Authenticator struct {
	config AuthenticatorConfig
	keys   map[string]crypto.PublicKey // by key ID
	uses   uses
}

var _ authenticator.Token = &Authenticator{}

// NewAuthenticator makes an Authenticator.
func NewAuthenticator(c AuthenticatorConfig) (*Authenticator, error) {
	keys := make(map[string]crypto.PublicKey, len(c.Keys))
	for _, k := range c.Keys {
		id, err := KeyID(k)
		if err != nil {
			return nil, err
		}
		keys[id] = k
	}
	return &Authenticator{config: c, keys: keys, uses: newUses(c.Register)}, nil
}

// AuthenticateToken implements authenticator.Token.
func (a *Authenticator) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	issuer, ok := unverifiedIssuer(token)
	if !ok || (issuer != legacyIssuer && !slices.Contains(a.config.Issuers, issuer)) {
		return nil, false, nil
	}
	parsed, err := jwt.ParseSigned(token)
	if err != nil {
		return nil, false, nil
	}
	public, private, legacy := &jwt.Claims{}, &privateClaims{}, &legacyClaims{}
	if err := a.verify(parsed, public, private, legacy); err != nil {
		return nil, false, err
	}
	implicit := authenticator.Audiences(a.config.Audiences)
	audiences := authenticator.Audiences(public.Audience)
	if len(audiences) == 0 {
		// Only legacy tokens have none: they are for the API server.
		if issuer != legacyIssuer {
			return nil, false, errors.New("token has no audience")
		}
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/legacy-token", public.Subject)
		a.uses.legacy.Inc()
		audiences = implicit
	}
	requested, ok := authenticator.AudiencesFrom(ctx)
	if !ok {
		requested = implicit
	}
	common := audiences.Intersect(requested)
	if len(common) == 0 && len(requested) > 0 {
		return nil, false, fmt.Errorf("token audiences %q is invalid for the target audiences %q", audiences, requested)
	}
	var info *serviceaccount.ServiceAccountInfo
	if issuer == legacyIssuer {
		info, err = a.checkLegacy(ctx, token, public, legacy)
	} else {
		info, err = a.checkBound(ctx, public, private)
	}
	if err != nil {
		return nil, false, err
	}
	return &authenticator.Response{User: info.UserInfo(), Audiences: common}, true, nil
}

// unverifiedIssuer reads the issuer that a token claims, to leave those of
// others to other authenticators.
func unverifiedIssuer(token string) (string, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || strings.HasPrefix(token, "-") {
		return "", false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return "", false
	}
	return claims.Issuer, true
}

// verify reads the claims with the key that the token names, or with any.
func (a *Authenticator) verify(token *jwt.JSONWebToken, claims ...any) error {
	candidates := a.config.Keys
	if len(token.Headers) > 0 {
		if key, ok := a.keys[token.Headers[0].KeyID]; ok {
			candidates = []crypto.PublicKey{key}
		}
	}
	err := errors.New("no keys")
	for _, key := range candidates {
		if err = token.Claims(key, claims...); err == nil {
			return nil
		}
	}
	return fmt.Errorf("checking a token's signature: %w", err)
}

// errInvalidated has upstream's words; the reason is not for the client.
var errInvalidated = errors.New("service account token has been invalidated")

func (a *Authenticator) checkBound(ctx context.Context, public *jwt.Claims, private *privateClaims) (*serviceaccount.ServiceAccountInfo, error) {
	now := a.config.Clock.Now()
	switch err := public.ValidateWithLeeway(jwt.Expected{Time: now}, jwt.DefaultLeeway); {
	case err == nil:
	case errors.Is(err, jwt.ErrExpired):
		return nil, errors.New("service account token has expired")
	case errors.Is(err, jwt.ErrNotValidYet):
		return nil, errors.New("service account token is not valid yet")
	case errors.Is(err, jwt.ErrIssuedInTheFuture):
		return nil, errors.New("service account token is issued in the future")
	default:
		return nil, errors.New("service account token claims could not be validated due to unexpected condition")
	}
	k := private.Kubernetes
	account, err := a.config.Getter.ServiceAccount(ctx, k.Namespace, k.ServiceAccount.Name)
	if err != nil {
		return nil, fmt.Errorf("service account token has been invalidated: %w", err)
	}
	if a.ended(account, k.ServiceAccount.UID, now) || public.Subject != serviceaccount.MakeUsername(k.Namespace, k.ServiceAccount.Name) {
		return nil, errInvalidated
	}
	info := &serviceaccount.ServiceAccountInfo{Namespace: k.Namespace, Name: k.ServiceAccount.Name, UID: k.ServiceAccount.UID}
	if public.ID != "" {
		info.CredentialID = "JTI=" + public.ID
	}
	if err := a.checkBindings(ctx, k, info, now); err != nil {
		return nil, err
	}
	a.countBound(ctx, public.Subject, k.WarnAfter, now)
	return info, nil
}

// countBound counts tokens whose warning time has passed as stale, and others that
// have one as valid.
func (a *Authenticator) countBound(ctx context.Context, subject string, warnAfter *jwt.NumericDate, now time.Time) {
	if warnAfter == nil || *warnAfter == 0 {
		return
	}
	if late := now.Unix() - warnAfter.Time().Unix(); now.After(warnAfter.Time()) {
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/stale-token", fmt.Sprintf("subject: %s, seconds after warning threshold: %d", subject, late))
		a.uses.stale.Inc()
		return
	}
	a.uses.valid.Inc()
}

// checkBindings looks whether what the token is bound to is still there, and
// notes it in info.
func (a *Authenticator) checkBindings(ctx context.Context, k kubernetesClaims, info *serviceaccount.ServiceAccountInfo, now time.Time) error {
	if k.Secret != nil {
		secret, err := a.config.Getter.Secret(ctx, k.Namespace, k.Secret.Name)
		if err != nil || a.ended(secret, k.Secret.UID, now) {
			return errInvalidated
		}
	}
	if k.Pod != nil {
		pod, err := a.config.Getter.Pod(ctx, k.Namespace, k.Pod.Name)
		if err != nil || a.ended(pod, k.Pod.UID, now) {
			return errInvalidated
		}
		info.PodName, info.PodUID = k.Pod.Name, k.Pod.UID
	}
	if k.Node == nil {
		return nil
	}
	info.NodeName, info.NodeUID = k.Node.Name, k.Node.UID
	// The node of a pod's token is for information: the pod is the binding.
	if k.Pod == nil {
		node, err := a.config.Getter.Node(ctx, k.Node.Name)
		if err != nil || a.ended(node, k.Node.UID, now) {
			return errInvalidated
		}
	}
	return nil
}

// ended reports whether the object is another one than that of the UID, or was
// deleted long enough ago.
func (a *Authenticator) ended(obj metav1.Object, uid string, now time.Time) bool {
	if uid != string(obj.GetUID()) {
		return true
	}
	deleted := obj.GetDeletionTimestamp()
	return deleted != nil && deleted.Add(deletionGrace).Before(now)
}

func (a *Authenticator) checkLegacy(ctx context.Context, token string, public *jwt.Claims, c *legacyClaims) (*serviceaccount.ServiceAccountInfo, error) {
	for claim, value := range map[string]string{
		"subject": public.Subject, "namespace": c.Namespace, "serviceAccountName": c.ServiceAccountName,
		"serviceAccountUID": c.ServiceAccountUID, "secretName": c.SecretName,
	} {
		if value == "" {
			return nil, fmt.Errorf("%s claim is missing", claim)
		}
	}
	if public.Subject != serviceaccount.MakeUsername(c.Namespace, c.ServiceAccountName) {
		return nil, errors.New("sub claim is invalid")
	}
	now := a.config.Clock.Now()
	secret, err := a.config.Getter.Secret(ctx, c.Namespace, c.SecretName)
	if err != nil || secret.DeletionTimestamp != nil || subtle.ConstantTimeCompare(secret.Data[corev1.ServiceAccountTokenKey], []byte(token)) != 1 {
		return nil, errInvalidated
	}
	account, err := a.config.Getter.ServiceAccount(ctx, c.Namespace, c.ServiceAccountName)
	if err != nil || account.DeletionTimestamp != nil || a.ended(account, c.ServiceAccountUID, now) {
		return nil, errInvalidated
	}
	if secret.Labels[invalidSince] != "" {
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/legacy-token-invalidated", secret.Name+"/"+secret.Namespace)
		a.uses.invalidated.Inc()
		a.used(ctx, secret, now)
		return nil, fmt.Errorf("the token in secret %s/%s for service account %s/%s has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '%s' label from the secret to temporarily allow use of this token",
			secret.Namespace, secret.Name, account.Namespace, account.Name, invalidSince)
	}
	if slices.ContainsFunc(account.Secrets, func(r corev1.ObjectReference) bool { return r.Name == secret.Name }) {
		warning.AddWarning(ctx, "", "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.")
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/legacy-token-autogenerated-secret", secret.Name)
		a.uses.generated.Inc()
	} else {
		audit.AddAuditAnnotation(ctx, "authentication.k8s.io/legacy-token-manual-secret", secret.Name)
		a.uses.manual.Inc()
	}
	a.used(ctx, secret, now)
	return &serviceaccount.ServiceAccountInfo{Namespace: c.Namespace, Name: c.ServiceAccountName, UID: c.ServiceAccountUID}, nil
}

// used records the day, once a day. Another server's clock may be ahead of this one's.
func (a *Authenticator) used(ctx context.Context, secret *corev1.Secret, now time.Time) {
	today, tomorrow := now.UTC().Format(time.DateOnly), now.UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	if noted := secret.Labels[LastUsedLabel]; a.config.Used != nil && noted != today && noted != tomorrow {
		a.config.Used(ctx, secret, today)
	}
}

// invalidSince marks Secrets whose token was not used for long; the cleaner sets it.
const invalidSince = "kubernetes.io/legacy-token-invalid-since"

// wellKnownAlgorithms keeps the order of the discovery document stable.
func wellKnownAlgorithms(keys []crypto.PublicKey) ([]string, error) {
	algorithms := sets.New[string]()
	for _, k := range keys {
		alg, err := algorithm(k)
		if err != nil {
			return nil, err
		}
		algorithms.Insert(string(alg))
	}
	return sets.List(algorithms), nil
}

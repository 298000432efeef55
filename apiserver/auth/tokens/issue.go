package tokens

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"github.com/google/uuid"
	jose "gopkg.in/go-jose/go-jose.v2"
	"gopkg.in/go-jose/go-jose.v2/jwt"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	authenticationjwt "k8s.io/apiserver/pkg/authentication/token/jwt"
	"k8s.io/utils/clock"
)

// Ref names the object a token is bound to.
type Ref struct {
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// TokenClaims holds the claims of a token.
type TokenClaims struct {
	Namespace      string
	ServiceAccount Ref
	// At most one of Pod, Secret and Node binds the token to that object; with
	// Pod, Node may name the pod's node.
	Pod, Secret, Node *Ref
	// Audiences; empty means the issuer's own.
	Audiences []string
	// Expiration from now.
	Expiration time.Duration
	// WarnAfter is the time from now after which the token's use is counted as
	// stale; 0 is never.
	WarnAfter time.Duration
}

// Issuer makes tokens: the serviceaccounts/token storage calls it.
type Issuer interface {
	// Issue signs a token and returns when it ends.
	Issue(ctx context.Context, claims TokenClaims) (token string, expires time.Time, err error)
	// Audiences are the API server's own.
	Audiences() []string
}

// SignerConfig configures a Signer.
type SignerConfig struct {
	// Issuer is the iss claim, a URL.
	Issuer string
	// Audiences of tokens that ask for none; at least one.
	Audiences []string
	Key       crypto.Signer
	Clock     clock.PassiveClock
}

// Signer is the Issuer with a private key.
type Signer struct {
	config SignerConfig
	signer jose.Signer
}

var _ Issuer = &Signer{}

// NewSigner makes a Signer.
func NewSigner(c SignerConfig) (*Signer, error) {
	jwk, err := publicJWK(c.Key.Public())
	if err != nil {
		return nil, err
	}
	key := jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(jwk.Algorithm),
		Key:       jose.JSONWebKey{Algorithm: jwk.Algorithm, Key: c.Key, KeyID: jwk.KeyID, Use: "sig"},
	}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		return nil, fmt.Errorf("making a token signer: %w", err)
	}
	return &Signer{config: c, signer: signer}, nil
}

// kubernetesClaims is the private claim kubernetes.io.
type kubernetesClaims struct {
	Namespace      string           `json:"namespace,omitempty"`
	Node           *Ref             `json:"node,omitempty"`
	Pod            *Ref             `json:"pod,omitempty"`
	Secret         *Ref             `json:"secret,omitempty"`
	ServiceAccount Ref              `json:"serviceaccount,omitempty"`
	WarnAfter      *jwt.NumericDate `json:"warnafter,omitempty"`
}

type privateClaims struct {
	Kubernetes kubernetesClaims `json:"kubernetes.io,omitempty"`
}

// Audiences implements Issuer.
func (s *Signer) Audiences() []string { return s.config.Audiences }

// Issue implements Issuer.
func (s *Signer) Issue(ctx context.Context, c TokenClaims) (string, time.Time, error) {
	now := s.config.Clock.Now()
	public, private := s.claims(c, now, uuid.NewString())
	token, err := jwt.Signed(s.signer).Claims(private).Claims(public).CompactSerialize()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("signing a token for service account %s/%s: %w", c.Namespace, c.ServiceAccount.Name, err)
	}
	audit.AddAuditAnnotation(ctx, serviceaccount.IssuedCredentialIDAuditAnnotationKey, authenticationjwt.CredentialIDForJTI(public.ID))
	return token, now.Add(c.Expiration), nil
}

func (s *Signer) claims(c TokenClaims, now time.Time, id string) (jwt.Claims, privateClaims) {
	audiences := c.Audiences
	if len(audiences) == 0 {
		audiences = s.config.Audiences
	}
	private := privateClaims{Kubernetes: kubernetesClaims{
		Namespace: c.Namespace, ServiceAccount: c.ServiceAccount, Pod: c.Pod, Secret: c.Secret, Node: c.Node,
	}}
	if c.WarnAfter > 0 {
		private.Kubernetes.WarnAfter = jwt.NewNumericDate(now.Add(c.WarnAfter))
	}
	return jwt.Claims{
		Issuer: s.config.Issuer, Subject: serviceaccount.MakeUsername(c.Namespace, c.ServiceAccount.Name),
		Audience: audiences, ID: id,
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(c.Expiration)),
	}, private
}

// legacyIssuer is the iss claim of tokens in Secrets.
const legacyIssuer = "kubernetes/serviceaccount"

type legacyClaims struct {
	ServiceAccountName string `json:"kubernetes.io/serviceaccount/service-account.name"`
	ServiceAccountUID  string `json:"kubernetes.io/serviceaccount/service-account.uid"`
	SecretName         string `json:"kubernetes.io/serviceaccount/secret.name"`
	Namespace          string `json:"kubernetes.io/serviceaccount/namespace"`
}

// IssueLegacy signs the token that the token controller puts into a Secret of
// type kubernetes.io/service-account-token. It has no end and no audience; it
// is good while the Secret holds it.
func (s *Signer) IssueLegacy(namespace string, account Ref, secret string) (string, error) {
	public := jwt.Claims{Issuer: legacyIssuer, Subject: serviceaccount.MakeUsername(namespace, account.Name)}
	private := legacyClaims{Namespace: namespace, ServiceAccountName: account.Name, ServiceAccountUID: account.UID, SecretName: secret}
	token, err := jwt.Signed(s.signer).Claims(private).Claims(public).CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("signing a token for service account %s/%s: %w", namespace, account.Name, err)
	}
	return token, nil
}

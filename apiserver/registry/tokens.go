package registry

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TokenIssuer signs bound service account tokens.
type TokenIssuer interface {
	IssueToken(ctx context.Context, r TokenRequest) (token string, expires time.Time, err error)
}

// TokenRequest names what a token is bound to; see
// https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens.
type TokenRequest struct {
	ServiceAccount *corev1.ServiceAccount
	// Pod, Secret and Node are nil unless the token is bound to one; a token
	// bound to a Pod also carries the Pod's Node when it is known.
	Pod    *corev1.Pod
	Secret *corev1.Secret
	Node   *corev1.Node
	// Audiences is never empty.
	Audiences []string
	// Seconds the token is valid for; WarnAfter, when not 0, is when
	// its use is reported as stale (seconds).
	Seconds, WarnAfter int64
}

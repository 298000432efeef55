package authn

import (
	"context"
	"crypto/subtle"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	bootstrapsecrets "k8s.io/cluster-bootstrap/util/secrets"
	bootstraptokens "k8s.io/cluster-bootstrap/util/tokens"
	"k8s.io/utils/clock"
)

// Bootstrap authenticates the bootstrap tokens that are kept in Secrets in
// kube-system; see
// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/.
type Bootstrap struct {
	// Secret reads a Secret; errors are the API's.
	Secret func(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	Clock  clock.PassiveClock
}

var _ authenticator.Token = Bootstrap{}

// AuthenticateToken implements authenticator.Token. It has no opinion on what
// is not a bootstrap token, or not a good one.
func (b Bootstrap) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	id, secret, err := bootstraptokens.ParseToken(token)
	if err != nil {
		return nil, false, nil // a token of another kind
	}
	stored, err := b.Secret(ctx, metav1.NamespaceSystem, bootstrapapi.BootstrapTokenSecretPrefix+id)
	if apierrors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	value := func(key string) string { return bootstrapsecrets.GetData(stored, key) }
	if stored.DeletionTimestamp != nil || stored.Type != bootstrapapi.SecretTypeBootstrapToken ||
		subtle.ConstantTimeCompare([]byte(value(bootstrapapi.BootstrapTokenSecretKey)), []byte(secret)) != 1 ||
		value(bootstrapapi.BootstrapTokenIDKey) != id ||
		bootstrapsecrets.HasExpired(stored, b.Clock.Now()) ||
		value(bootstrapapi.BootstrapTokenUsageAuthentication) != "true" {
		return nil, false, nil
	}
	groups, err := bootstrapsecrets.GetGroups(stored)
	if err != nil {
		return nil, false, nil // a token with a wrong group is no token
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: bootstrapapi.BootstrapUserPrefix + id, Groups: groups}}, true, nil
}

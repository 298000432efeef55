package authn

import (
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	tokencache "k8s.io/apiserver/pkg/authentication/token/cache"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
)

// webhookBackoff is upstream's first delay of a retry.
const webhookBackoff = 500 * time.Millisecond

// NewWebhook asks another server about tokens: the one in the kubeconfig file,
// in this version of authentication.k8s.io. Answers are kept for ttl.
// See https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication.
func NewWebhook(kubeconfig, version string, audiences authenticator.Audiences, ttl time.Duration) (authenticator.Token, error) {
	config, err := webhookutil.LoadKubeconfig(kubeconfig, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the token webhook's kubeconfig: %w", err)
	}
	w, err := webhook.New(config, version, audiences, webhookutil.DefaultRetryBackoffWithInitialDelay(webhookBackoff))
	if err != nil {
		return nil, fmt.Errorf("making the token webhook: %w", err)
	}
	if ttl == 0 {
		return w, nil
	}
	return tokencache.New(w, false, ttl, ttl), nil
}

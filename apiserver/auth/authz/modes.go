package authz

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/apiserver"
	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/auth/abac"
)

// webhookTimeout is how long the webhook of a mode may take, upstream's.
const webhookTimeout = 30 * time.Second

// OpenModes composes the authorizers of kube-apiserver's --authorization-mode in
// their order. The file of c is not read.
func OpenModes(c FileConfig, a v1alpha1.Authorization) (Full, error) {
	f := &File{config: c, compiler: authorizationcel.NewDefaultCompiler()}
	if slices.Contains(a.Modes, string(typeABAC)) {
		policy, err := abac.Open(a.PolicyFile)
		if err != nil {
			return nil, err
		}
		f.abac = policy
	}
	built, err := f.build(&apiserver.AuthorizationConfiguration{Authorizers: authorizersOf(a)})
	if err != nil {
		return nil, fmt.Errorf("composing the authorization modes: %w", err)
	}
	return built, nil
}

func authorizersOf(a v1alpha1.Authorization) []apiserver.AuthorizerConfiguration {
	var all []apiserver.AuthorizerConfiguration
	for _, mode := range a.Modes {
		one := apiserver.AuthorizerConfiguration{Type: apiserver.AuthorizerType(mode), Name: strings.ToLower(mode)}
		if one.Type == apiserver.TypeWebhook {
			yes, no := a.Webhook.AuthorizedTTL.Duration, a.Webhook.UnauthorizedTTL.Duration
			one.Name = "default"
			one.Webhook = &apiserver.WebhookConfiguration{
				AuthorizedTTL: metav1.Duration{Duration: yes}, CacheAuthorizedRequests: yes != 0,
				UnauthorizedTTL: metav1.Duration{Duration: no}, CacheUnauthorizedRequests: no != 0,
				// The behaviour of webhooks before they could be configured.
				Timeout: metav1.Duration{Duration: webhookTimeout}, FailurePolicy: apiserver.FailurePolicyNoOpinion,
				SubjectAccessReviewVersion: a.Webhook.Version,
				ConnectionInfo: apiserver.WebhookConnectionInfo{
					Type: apiserver.AuthorizationWebhookConnectionInfoTypeKubeConfigFile, KubeConfigFile: &a.Webhook.KubeconfigFile,
				},
			}
		}
		all = append(all, one)
	}
	return all
}

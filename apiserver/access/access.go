// Package access assembles access control from a server's settings: authentication, authorization
// and admission, over the server's own storages, and the issuing of tokens.
//
// The API of this package is not stable: see docs/api.md.
package access

import (
	"context"
	"crypto"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/metrics"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apis/quota"
	"github.com/coracle-k8s/coracle/apiserver/admission"
	"github.com/coracle-k8s/coracle/apiserver/auth/node"
	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
	"github.com/coracle-k8s/coracle/apiserver/auth/tokens"
	"github.com/coracle-k8s/coracle/apiserver/pki"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/services"
	"github.com/coracle-k8s/coracle/apiserver/stores"
)

// Config holds what access control needs of its server. All fields are required but those
// that name another default.
type Config struct {
	// Settings are the server's part of the cluster's configuration, defaulted.
	Settings v1alpha1.APIServer
	// Authority signs and verifies the certificates of clients.
	Authority *pki.Authority
	// ServiceAccountKey signs tokens, ServiceAccountKeys check them besides it. Issuer is in them.
	ServiceAccountKey  crypto.Signer
	ServiceAccountKeys []crypto.PublicKey
	Issuer             string
	// Tokens are bearer tokens of known users. Default: none.
	Tokens map[string]*user.DefaultInfo
	// Resources are those of the server, Stores their storages.
	Resources []*registry.Resource
	Stores    *stores.Stores
	// Kept reports whether a resource has objects, or may get some from another server.
	Kept func(context.Context, schema.GroupResource) (bool, error)
	// Self connects to the server itself.
	Self *rest.Config
	// Mapper maps built-in kinds. Schemas has the merge schemas of all kinds.
	Mapper  meta.RESTMapper
	Schemas Schemas
	// Services reaches webhooks.
	Services *services.Network
	// UncheckedPolicies leaves the status of validating policies alone.
	UncheckedPolicies bool
	// ServerID distinguishes the servers of a process in metrics.
	ServerID string
	Clock    clock.WithTicker
	// Report is called with errors outside of requests.
	Report func(error)
}

// Access is the access control of one server. It does nothing before its parts run: Roles,
// Graph, Chain and Runners.
type Access struct {
	config Config

	Authenticator authenticator.Request
	// Audiences are those that tokens must be for, one of them.
	Audiences authenticator.Audiences
	// RequestHeader configures the trust in a front proxy's headers, nil without one.
	RequestHeader *authenticatorfactory.RequestHeaderConfig
	Authorizer    authorizer.Authorizer
	Rules         authorizer.RuleResolver
	Escalation    registry.EscalationChecker
	Chain         *admission.Admission
	// Tokens issues the tokens of service accounts, Signer signs them, and Discovery serves
	// the keys that check them.
	Tokens    registry.TokenIssuer
	Signer    *tokens.Signer
	Discovery *tokens.Discovery

	// Roles and Graph feed the authorizers. They watch nothing until the first request of a
	// user who is not an administrator.
	Roles *rbac.Live
	Graph *node.Graph
	// Live feeds admission.
	Live *admission.Live
	// Runners follow files while the server runs.
	Runners []func(context.Context) error
	// Metrics are those that authentication and admission count.
	Metrics metrics.KubeRegistry
}

// New assembles access control. ctx ends what reads the keys of issuers.
func New(ctx context.Context, c Config) (*Access, error) {
	a := &Access{config: c, Metrics: metrics.NewKubeRegistry(), Audiences: c.Settings.ServiceAccounts.Audiences}
	if len(a.Audiences) == 0 {
		a.Audiences = authenticator.Audiences(a.ownIssuers())
	}
	if err := a.authentication(ctx); err != nil {
		return nil, err
	}
	if err := a.authorization(); err != nil {
		return nil, err
	}
	if err := a.admission(); err != nil {
		return nil, err
	}
	return a, nil
}

// admission makes the admission chain over the server's own storages.
func (a *Access) admission() error {
	a.Live = admission.NewLive(admission.LiveConfig{
		Watch:             a.config.Stores.Watch,
		Get:               a.config.Stores.Get,
		ListPods:          a.listPods,
		UpdateQuotaStatus: a.updateQuotaStatus,
		CreateNamespace:   a.createNamespace,
		PriorityClasses:   true,
	})
	chosen := a.config.Settings.Admission
	selection, err := admission.NewSelection(chosen.EnablePlugins, chosen.DisablePlugins, chosen.ConfigFile)
	if err != nil {
		return fmt.Errorf("apiServer.admission: %w", err)
	}
	podSecurity := podsecurity.NewPrometheusRecorder(podSecurityVersion())
	podSecurity.MustRegister(a.Metrics.MustRegister)
	a.Chain, err = admission.Chain(admission.Deps{
		PodSecurityMetrics: podSecurity,
		Live:               a.Live, Clock: a.config.Clock, Quota: quota.NewConfiguration(a.listForQuota, a.config.Clock),
		Authorizer: a.Authorizer, Mapper: a.config.Mapper, Dynamic: a.dynamicAdmission(), Selection: selection,
		NotReadySeconds: chosen.NotReadyTolerationSeconds, UnreachableSeconds: chosen.UnreachableTolerationSeconds,
	})
	return err
}

// podSecurityVersion returns the newest version of the pod security standards.
func podSecurityVersion() api.Version {
	v := version.MustParseSemantic(apis.KubernetesVersion)
	return api.MajorMinorVersion(int(v.Major()), int(v.Minor()))
}

func (a *Access) listPods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	list, err := a.config.Stores.List(ctx, corev1.Resource("pods"), namespace)
	if err != nil {
		return nil, err
	}
	pods := list.(*corev1.PodList)
	out := make([]*corev1.Pod, len(pods.Items))
	for i := range pods.Items {
		out[i] = &pods.Items[i]
	}
	return out, nil
}

// quotaListTimeout bounds a list that the charge of a quota waits for.
const quotaListTimeout = 10 * time.Second

// listForQuota lists what the evaluators of quotas compare an object with.
func (a *Access) listForQuota(resource schema.GroupVersionResource, namespace string) ([]runtime.Object, error) {
	// The evaluators' interface has no context; the watch cache answers at once.
	ctx, cancel := context.WithTimeout(context.Background(), quotaListTimeout)
	defer cancel()
	list, err := a.config.Stores.List(ctx, resource.GroupResource(), namespace)
	if err != nil {
		return nil, err
	}
	return meta.ExtractList(list)
}

func (a *Access) updateQuotaStatus(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
	core, err := coreclient.NewForConfig(a.config.Self)
	if err != nil {
		return nil, err
	}
	return core.ResourceQuotas(q.Namespace).UpdateStatus(ctx, q, metav1.UpdateOptions{})
}

func (a *Access) createNamespace(ctx context.Context, name string) error {
	core, err := coreclient.NewForConfig(a.config.Self)
	if err != nil {
		return err
	}
	_, err = core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	return err
}

package authz

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/load"
	"k8s.io/apiserver/pkg/apis/apiserver/validation"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	authorizationcel "k8s.io/apiserver/pkg/authorization/cel"
	"k8s.io/apiserver/pkg/authorization/union"
	reloads "k8s.io/apiserver/pkg/server/options/authorizationconfig/metrics"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/apiserver/plugin/pkg/authorizer/webhook"
	webhookmetrics "k8s.io/apiserver/plugin/pkg/authorizer/webhook/metrics"

	"github.com/coracle-k8s/coracle/apiserver/follow"
)

// Types of authorizers in an AuthorizationConfiguration.
const (
	typeNode        apiserver.AuthorizerType = "Node"
	typeRBAC        apiserver.AuthorizerType = "RBAC"
	typeAlwaysAllow apiserver.AuthorizerType = "AlwaysAllow"
	typeAlwaysDeny  apiserver.AuthorizerType = "AlwaysDeny"
	typeABAC        apiserver.AuthorizerType = "ABAC" // not in files
)

// FileConfig has what an AuthorizationConfiguration is made of.
type FileConfig struct {
	// File is an AuthorizationConfiguration.
	File       string
	Node, RBAC Full
	// ServerID distinguishes servers in metrics.
	ServerID string
	// Report is called with the error of a changed file that is not taken.
	Report func(error)
}

// File is the authorizers that an AuthorizationConfiguration names:
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#using-configuration-file-for-authorization.
type File struct {
	config   FileConfig
	abac     Full // of OpenModes, nil where that mode is not named
	content  []byte
	compiler authorizationcel.Compiler
	required sets.Set[apiserver.AuthorizerType] // what the first content named
	current  atomic.Pointer[both]
}

type both struct {
	authorizer.Authorizer
	authorizer.RuleResolver
}

var _ Full = &File{}

// OpenFile reads the configuration.
func OpenFile(c FileConfig) (*File, error) {
	content, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fmt.Errorf("reading the authorization configuration: %w", err)
	}
	f := &File{config: c, content: content, compiler: authorizationcel.NewDefaultCompiler()}
	if err := f.use(content); err != nil {
		return nil, fmt.Errorf("reading the authorization configuration %s: %w", c.File, err)
	}
	return f, nil
}

// Run follows the file until ctx is done. It returns nil.
func (f *File) Run(ctx context.Context) error {
	reloads.RegisterMetrics()
	reloads.RecordAuthorizationConfigLastConfigInfo(f.config.ServerID, string(f.content))
	follow.File(ctx, f.config.File, f.content, f.use, func(taken []byte, err error) {
		if err != nil {
			reloads.RecordAuthorizationConfigAutomaticReloadFailure(f.config.ServerID)
			f.config.Report(err)
			return
		}
		reloads.RecordAuthorizationConfigAutomaticReloadSuccess(f.config.ServerID, string(taken))
	})
	return nil
}

// use makes content the configuration in force, or changes nothing.
func (f *File) use(content []byte) error {
	parsed, named, err := f.parse(content)
	if err != nil {
		return err
	}
	next, err := f.build(parsed)
	if err != nil {
		return err
	}
	if f.required == nil {
		f.required = named
	}
	f.current.Store(next)
	return nil
}

func (f *File) parse(content []byte) (*apiserver.AuthorizationConfiguration, sets.Set[apiserver.AuthorizerType], error) {
	if len(content) == 0 {
		return nil, nil, errors.New("it is empty")
	}
	parsed, err := load.LoadFromData(content)
	if err != nil {
		return nil, nil, err
	}
	known := sets.New(string(typeNode), string(typeRBAC), string(typeAlwaysAllow), string(typeAlwaysDeny), string(apiserver.TypeWebhook))
	if err := validation.ValidateAuthorizationConfiguration(f.compiler, nil, parsed, known, sets.New(string(apiserver.TypeWebhook))).ToAggregate(); err != nil {
		return nil, nil, err
	}
	var errs []error
	named := sets.New[apiserver.AuthorizerType]()
	for _, a := range parsed.Authorizers {
		if a.Type == apiserver.TypeWebhook {
			continue
		}
		named.Insert(a.Type)
		if expected := strings.ToLower(string(a.Type)); a.Name != expected {
			errs = append(errs, fmt.Errorf("expected name %s for authorizer %s instead of %s", expected, a.Type, a.Name))
		}
	}
	if missing := f.required.Difference(named); missing.Len() > 0 {
		errs = append(errs, fmt.Errorf("missing required types: %v", sets.List(missing)))
	}
	return parsed, named, errors.Join(errs...)
}

func (f *File) build(c *apiserver.AuthorizationConfiguration) (*both, error) {
	all := []union.NamedAuthorizer{masters()}
	var resolvers []authorizer.RuleResolver
	for i := range c.Authorizers {
		a := &c.Authorizers[i]
		next, err := f.one(a)
		if err != nil {
			return nil, err
		}
		all, resolvers = append(all, counted(string(a.Type), a.Name, next)), append(resolvers, next)
	}
	joined, err := union.New(all...)
	if err != nil {
		return nil, fmt.Errorf("composing authorizers: %w", err)
	}
	return &both{joined, union.NewRuleResolvers(resolvers...)}, nil
}

func (f *File) one(a *apiserver.AuthorizerConfiguration) (Full, error) {
	switch a.Type {
	case typeNode:
		return f.config.Node, nil
	case typeRBAC:
		return f.config.RBAC, nil
	case typeAlwaysAllow:
		return authorizerfactory.NewAlwaysAllowAuthorizer(), nil
	case typeABAC:
		return f.abac, nil
	case typeAlwaysDeny:
		return authorizerfactory.NewAlwaysDenyAuthorizer(), nil
	}
	return f.webhook(a)
}

// webhookMetrics leaves out those of requests, as upstream's server does.
type webhookMetrics struct {
	webhookmetrics.NoopRequestMetrics
	webhookmetrics.WebhookMetrics
	authorizationcel.MatcherMetrics
}

func (f *File) webhook(a *apiserver.AuthorizerConfiguration) (Full, error) {
	w := a.Webhook
	if w.ConnectionInfo.KubeConfigFile == nil {
		return nil, fmt.Errorf("authorizer %s: connection type %s is not for an API server", a.Name, w.ConnectionInfo.Type)
	}
	config, err := webhookutil.LoadKubeconfig(*w.ConnectionInfo.KubeConfigFile, nil)
	if err != nil {
		return nil, fmt.Errorf("authorizer %s: reading its kubeconfig: %w", a.Name, err)
	}
	if w.Timeout.Duration != 0 {
		config.Timeout = w.Timeout.Duration
	}
	onError := authorizer.DecisionDeny
	if w.FailurePolicy == apiserver.FailurePolicyNoOpinion {
		onError = authorizer.DecisionNoOpinion
	}
	yes, no := w.AuthorizedTTL.Duration, w.UnauthorizedTTL.Duration
	if !w.CacheAuthorizedRequests {
		yes = 0
	}
	if !w.CacheUnauthorizedRequests {
		no = 0
	}
	metrics := webhookMetrics{WebhookMetrics: webhookmetrics.NewWebhookMetrics(), MatcherMetrics: authorizationcel.NewMatcherMetrics()}
	hook, err := webhook.New(config, w.SubjectAccessReviewVersion, yes, no, *webhook.DefaultRetryBackoff(), onError, w.MatchConditions, a.Name, metrics, f.compiler)
	if err != nil {
		return nil, fmt.Errorf("authorizer %s: %w", a.Name, err)
	}
	return hook, nil
}

// Authorize implements authorizer.Authorizer.
func (f *File) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	return f.current.Load().Authorize(ctx, a)
}

// ConditionsAwareAuthorize implements authorizer.Authorizer.
func (f *File) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return f.current.Load().ConditionsAwareAuthorize(ctx, a)
}

// EvaluateConditions implements authorizer.Authorizer.
func (f *File) EvaluateConditions(ctx context.Context, d authorizer.ConditionsAwareDecision, data authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return f.current.Load().EvaluateConditions(ctx, d, data)
}

// RulesFor implements authorizer.RuleResolver.
func (f *File) RulesFor(ctx context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	return f.current.Load().RulesFor(ctx, u, namespace)
}

// Package registry describes the resources to the server. Each resource is one
// folder below it (registry/<group>/<resource>) that returns a Resource, and
// one line in the list of its group.
//
// Most resources are a Kind: plain functions over one Go type, from which Kind
// makes strategies, table, status and scale. Reviews and other resources that
// store nothing fill a Resource themselves.
//
// The API of this package is not stable: see docs/api.md.
package registry

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/clock"
)

// Resource is one resource of one group and version.
//
// Discovery is answered from it alone; Build runs at the first request.
type Resource struct {
	// GVK is the kind on the wire.
	GVK schema.GroupVersionKind
	// StoredAs is the kind whose storage this one shows, nil for its own.
	StoredAs *schema.GroupVersionKind
	// Others are the resource in further versions of its group, each of which is
	// served or not by itself.
	Others []*Resource
	// Gate is the feature gate without which the resource is not served; "" for none.
	Gate string
	// Hidden resources are there for the server's own process, which may need
	// what clients are not served.
	Hidden bool
	// Plural is the resource's name in URLs; Singular defaults to the kind in lower case.
	Plural, Singular string
	// ShortNames and Categories are names that kubectl accepts instead of Plural.
	ShortNames, Categories []string
	// ClusterScoped resources have no namespace.
	ClusterScoped bool
	// Verbs of the resource itself, sorted.
	Verbs []string
	// Subresources served below an object's name.
	Subresources []Subresource
	// Build makes the storages: "" is the resource itself, other keys are
	// subresource names. Every declared subresource must have one.
	Build func(Env) (map[string]rest.Storage, error)
}

// Stable reports whether the resource is of a stable version, which is on by default.
func (r *Resource) Stable() bool {
	return !strings.Contains(r.GVK.Version, "beta") && !strings.Contains(r.GVK.Version, "alpha")
}

// GVR returns the resource with its group and version.
func (r *Resource) GVR() schema.GroupVersionResource {
	return r.GVK.GroupVersion().WithResource(r.Plural)
}

// Subresource holds the discovery of a subresource.
type Subresource struct {
	// Name is the path segment after the object's name.
	Name string
	// GVK is the kind it takes or gives: the resource's own for status,
	// autoscaling/v1 Scale for scale.
	GVK schema.GroupVersionKind
	// Verbs it serves, sorted.
	Verbs []string
}

// Env holds what a resource may need of the server around it. Fields that a server
// does not offer are nil; a resource returns a clear error about what it misses.
type Env struct {
	// Scheme holds wire and hub types.
	Scheme *runtime.Scheme
	// RESTOptions opens the storage of one resource.
	RESTOptions generic.RESTOptionsGetter
	// Clock is the server's.
	Clock clock.Clock
	// Store returns the store of another resource of this server, building it
	// when it is asked for first.
	Store func(schema.GroupResource) (*genericregistry.Store, error)
	// Nodes reaches the agents.
	Nodes NodeConnector
	// Tokens issues service account tokens.
	Tokens TokenIssuer
	// Authenticator checks requests and, for TokenReview, bare tokens.
	Authenticator authenticator.Request
	// APIAudiences are the audiences a token has when its request names none.
	APIAudiences authenticator.Audiences
	// Authorizer decides access reviews, escalation and binding.
	Authorizer authorizer.Authorizer
	// Rules lists what a user may do, for SelfSubjectRulesReview.
	Rules authorizer.RuleResolver
	// Escalation keeps users from granting what they do not hold; it must be
	// there when Authorizer is.
	Escalation EscalationChecker
	// Services configures Service addresses and ports.
	Services ServiceNetwork
	// Components are checks of the parts of the control plane by their names in
	// ComponentStatuses; each returns what is wrong with its part.
	Components map[string]func(context.Context) error
	// Mapper returns the resource of a kind.
	Mapper meta.RESTMapper
	// Definitions observes CustomResourceDefinitions.
	Definitions DefinitionObserver
	// APIServices observes APIServices.
	APIServices APIServiceObserver
	// RegisterMetrics registers metrics of the server; nil leaves them out.
	RegisterMetrics func(...metrics.Registerable)
	// EventTTL is the time for which Events are kept, 0 an hour.
	EventTTL time.Duration
	// MaxTokenExpiration bounds service account tokens, 0 does not; ExtendTokens
	// makes those of pods good for a year.
	MaxTokenExpiration time.Duration
	ExtendTokens       bool
}

// APIServiceObserver serves what APIServices announce.
type APIServiceObserver interface {
	// Sync returns when the APIServices of what is served here are stored.
	Sync(ctx context.Context) error
	// Settle returns when an APIService is known as of that resource version, or
	// after a short while.
	Settle(ctx context.Context, name, resourceVersion string)
}

// DefinitionObserver serves what CustomResourceDefinitions define.
type DefinitionObserver interface {
	// Demand is called before a definition may be created.
	Demand()
	// Settle returns when the definition is served as of that resource version,
	// or after a short while.
	Settle(ctx context.Context, name, resourceVersion string)
}

// EscalationChecker decides whether the user in the context may grant what a
// role or binding grants; errors are API errors.
type EscalationChecker interface {
	CheckRole(ctx context.Context, role *rbacv1.Role) error
	CheckClusterRole(ctx context.Context, role *rbacv1.ClusterRole) error
	CheckRoleBinding(ctx context.Context, binding *rbacv1.RoleBinding) error
	CheckClusterRoleBinding(ctx context.Context, binding *rbacv1.ClusterRoleBinding) error
}

// NodeConnector reaches the HTTP API of a node's agent.
type NodeConnector interface {
	// Connect returns the base URL and transport for the agent of the named
	// node; errors are API errors.
	Connect(ctx context.Context, node string) (*url.URL, http.RoundTripper, error)
}

// ServiceNetwork is the part of the network configuration Services need.
type ServiceNetwork struct {
	// CIDR is the range of ClusterIPs, for example 10.96.0.0/16.
	CIDR string
	// NodePortBase and NodePortSize bound node ports; Kubernetes uses 30000 and 2768.
	NodePortBase, NodePortSize int
}

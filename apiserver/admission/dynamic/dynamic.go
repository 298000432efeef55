package dynamic

import (
	"context"
	"io"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	webhookutil "k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
)

// Config holds what the plugins need of the server around them. All fields are
// required but WriteStatus, Wrap and Services: webhooks are reached like any host
// without the last two.
type Config struct {
	// Watch lists and watches a resource in all namespaces.
	Watch func(schema.GroupResource) cache.ListerWatcher
	// Kept reports whether the storage holds an object of the resource, without
	// opening a watch cache.
	Kept func(ctx context.Context, gr schema.GroupResource) (bool, error)
	// Namespaces looks namespaces up; errors are API errors.
	Namespaces Namespaces
	// Params reads what policies are parametrized with.
	Params Params
	// Mapper maps the resources of all kinds served, also of those defined by users.
	Mapper meta.RESTMapper
	// TypeConverter has the merge schema of a kind, nil if it is not served.
	TypeConverter func(schema.GroupVersionKind) managedfields.TypeConverter
	// Schemas describes kinds, for checking the types of expressions.
	Schemas resolver.SchemaResolver
	// WriteStatus stores the status of a validating policy. Without it, none is
	// checked.
	WriteStatus func(ctx context.Context, policy string, status admissionregistrationv1.ValidatingAdmissionPolicyStatus) error
	Clock       clock.Clock
	// Authorizer answers the CEL variable authorizer.
	Authorizer authorizer.UnconditionalAuthorizer
	// Services finds the addresses of webhooks' Services, and Wrap makes the
	// connections.
	Services webhookutil.ServiceResolver
	Wrap     webhookutil.AuthenticationInfoResolverWrapper
}

// Namespaces looks namespaces up.
type Namespaces interface {
	GetNamespace(ctx context.Context, name string) (*corev1.Namespace, error)
	LiveNamespace(ctx context.Context, name string) (*corev1.Namespace, error)
}

// Params reads objects of any resource: those of built-in kinds as their Go
// types, others unstructured. namespace is empty for cluster-scoped ones.
// Errors are API errors.
type Params interface {
	Get(ctx context.Context, resource schema.GroupVersionResource, namespace, name string) (runtime.Object, error)
	List(ctx context.Context, resource schema.GroupVersionResource, namespace string, selector labels.Selector) ([]runtime.Object, error)
}

// Mutating is a mutating plugin. Requests wait until Run runs.
type Mutating struct {
	*plugin[admission.MutationInterface]
}

// Validating is a validating plugin. Requests wait until Run runs.
type Validating struct {
	*plugin[admission.ValidationInterface]
}

var (
	_ admission.MutationInterface   = Mutating{}
	_ admission.ValidationInterface = Validating{}
)

// MutatingWebhooks returns MutatingAdmissionWebhook. config is the plugin's
// part of an AdmissionConfiguration, nil if there is none.
func MutatingWebhooks(c Config, config io.Reader) (Mutating, error) {
	files, err := read(config)
	if err != nil {
		return Mutating{}, err
	}
	return Mutating{newPlugin(c, func(ctx context.Context, running *sync.WaitGroup) (admission.MutationInterface, error) {
		return mutatingWebhooks(ctx, running, c, files())
	}, "mutatingwebhookconfigurations")}, nil
}

// ValidatingWebhooks is ValidatingAdmissionWebhook, config as with
// MutatingWebhooks.
func ValidatingWebhooks(c Config, config io.Reader) (Validating, error) {
	files, err := read(config)
	if err != nil {
		return Validating{}, err
	}
	return Validating{newPlugin(c, func(ctx context.Context, running *sync.WaitGroup) (admission.ValidationInterface, error) {
		return validatingWebhooks(ctx, running, c, files())
	}, "validatingwebhookconfigurations")}, nil
}

// MutatingPolicies returns MutatingAdmissionPolicy.
func MutatingPolicies(c Config) Mutating {
	return Mutating{newPlugin(c, func(ctx context.Context, running *sync.WaitGroup) (admission.MutationInterface, error) {
		return mutatingPolicies(ctx, running, c)
	}, "mutatingadmissionpolicies", "mutatingadmissionpolicybindings")}
}

// ValidatingPolicies returns ValidatingAdmissionPolicy.
func ValidatingPolicies(c Config) Validating {
	return Validating{newPlugin(c, func(ctx context.Context, running *sync.WaitGroup) (admission.ValidationInterface, error) {
		return validatingPolicies(ctx, running, c)
	}, "validatingadmissionpolicies", "validatingadmissionpolicybindings")}
}

// Admit implements admission.MutationInterface.
func (m Mutating) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	inner, err := m.awake(ctx, a)
	if inner == nil || err != nil {
		return err
	}
	return inner.Admit(ctx, a, o)
}

// Validate implements admission.ValidationInterface.
func (v Validating) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	inner, err := v.awake(ctx, a)
	if inner == nil || err != nil {
		return err
	}
	return inner.Validate(ctx, a, o)
}

// exempt requests never reach webhooks and policies: configurations could lock
// each other out, and the cluster could lock itself out of its reviews.
func exempt(a admission.Attributes) bool {
	if rules.IsExemptAdmissionConfigurationResource(a) {
		return true
	}
	switch gr := a.GetResource().GroupResource(); gr.Group {
	case "authentication.k8s.io":
		return gr.Resource == "selfsubjectreviews" || gr.Resource == "tokenreviews"
	case "authorization.k8s.io":
		return gr.Resource == "localsubjectaccessreviews" || gr.Resource == "selfsubjectaccessreviews" ||
			gr.Resource == "selfsubjectrulesreviews" || gr.Resource == "subjectaccessreviews"
	}
	return false
}

func resource(name string) schema.GroupResource {
	return schema.GroupResource{Group: admissionregistrationv1.GroupName, Resource: name}
}

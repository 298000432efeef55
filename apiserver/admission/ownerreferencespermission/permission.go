// Package ownerreferencespermission lets users set owner references only on
// what they may delete, and let the reference block the owner's deletion only
// if they may set the owner's finalizers: upstream's
// OwnerReferencesPermissionEnforcement, see
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#ownerreferencespermissionenforcement.
// It is not on by default there either.
//
// The API of this package is not stable: see docs/api.md.
package ownerreferencespermission

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/ptr"
)

// Plugin is OwnerReferencesPermissionEnforcement.
type Plugin struct {
	*admission.Handler
	authorizer authorizer.UnconditionalAuthorizer
	mapper     meta.RESTMapper
}

var _ admission.ValidationInterface = &Plugin{}

// New makes the plugin. mapper maps the resources of all kinds served.
func New(a authorizer.UnconditionalAuthorizer, mapper meta.RESTMapper) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), authorizer: a, mapper: mapper}
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	// Agents update the status of pods that they may not delete.
	if a.GetResource().GroupResource() == corev1.Resource("pods") && a.GetSubresource() == "status" {
		return nil
	}
	after, before := owners(a.GetObject()), owners(a.GetOldObject())
	if equality.Semantic.DeepEqual(after, before) {
		return nil
	}
	// Creating an object with owners needs no permission to delete it: it harms
	// the creator only.
	if a.GetOperation() != admission.Create {
		if ok, reason, err := p.allowed(ctx, a, "delete", a.GetResource().GroupResource(), "", a.GetNamespace(), a.GetName()); !ok {
			return admission.NewForbidden(a, fmt.Errorf("cannot set an ownerRef on a resource you can't delete: %v, %v", reason, err)) //nolint:errorlint // without an error, "<nil>" is upstream's message
		}
	}
	for _, ref := range newlyBlocking(after, before) {
		if err := p.mayBlock(ctx, a, ref); err != nil {
			return err
		}
	}
	return nil
}

func owners(obj runtime.Object) []metav1.OwnerReference {
	if obj == nil {
		return nil
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil
	}
	return m.GetOwnerReferences()
}

// newlyBlocking returns references that block their owner's deletion and did not.
func newlyBlocking(after, before []metav1.OwnerReference) []metav1.OwnerReference {
	blocking := map[types.UID]bool{}
	for _, r := range before {
		blocking[r.UID] = blocking[r.UID] || ptr.Deref(r.BlockOwnerDeletion, false)
	}
	return slices.DeleteFunc(slices.Clone(after), func(r metav1.OwnerReference) bool {
		return !ptr.Deref(r.BlockOwnerDeletion, false) || blocking[r.UID]
	})
}

func (p *Plugin) mayBlock(ctx context.Context, a admission.Attributes, ref metav1.OwnerReference) error {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("cannot set blockOwnerDeletion in this case because the APIVersion %v is invalid: %w", ref.APIVersion, err))
	}
	mappings, err := p.mapper.RESTMappings(gv.WithKind(ref.Kind).GroupKind(), gv.Version)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion %v Kind %v: %w", ref.APIVersion, ref.Kind, err))
	}
	for _, m := range mappings {
		namespace := a.GetNamespace()
		if m.Scope.Name() != meta.RESTScopeNameNamespace {
			namespace = ""
		}
		if ok, reason, err := p.allowed(ctx, a, "update", m.Resource.GroupResource(), "finalizers", namespace, ref.Name); !ok {
			return admission.NewForbidden(a, fmt.Errorf("cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: %v, %v", reason, err)) //nolint:errorlint // without an error, "<nil>" is upstream's message
		}
	}
	return nil
}

func (p *Plugin) allowed(ctx context.Context, a admission.Attributes, verb string, gr schema.GroupResource, sub, namespace, name string) (bool, string, error) {
	decision, reason, err := p.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: verb, Namespace: namespace, APIGroup: gr.Group, APIVersion: "*",
		Resource: gr.Resource, Subresource: sub, Name: name, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow, reason, err
}

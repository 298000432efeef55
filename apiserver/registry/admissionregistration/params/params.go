// Package params keeps users from reading through a policy what they may not
// read themselves: a user who names the kind of a policy's parameters, or the
// parameters of a binding, must be allowed to get them.
//
// The API of this package is not stable: see docs/api.md.
package params

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Policy guards a kind of policies, whose parameters' kind of returns.
func Policy[T registry.Object](of func(T) *admissionv1.ParamKind) func(registry.Env, *genericregistry.Store, map[string]rest.Storage) error {
	return func(env registry.Env, store *genericregistry.Store, _ map[string]rest.Storage) error {
		guard(store, "paramKind", func(ctx context.Context, obj runtime.Object, old runtime.Object) error {
			kind := of(obj.(T))
			if kind == nil || old != nil && equality.Semantic.DeepEqual(kind, of(old.(T))) {
				return nil
			}
			a := attributes(env, kind)
			a.Verb, a.Name, a.Namespace = "get", "*", "*"
			who, allowed, err := ask(ctx, env, a, "paramKind resources")
			if err == nil && !allowed {
				err = fmt.Errorf(`user %v must have "get" permission on all objects of the referenced paramKind (kind=%s, apiVersion=%s)`, who, kind.Kind, kind.APIVersion)
			}
			return err
		})
		return nil
	}
}

// Use holds a binding's reference to parameters.
type Use struct {
	Policy string
	Ref    *admissionv1.ParamRef
}

// Binding guards a kind of bindings: of returns what one uses, and kind the
// kind of parameters of a stored policy.
func Binding[T registry.Object](of func(T) Use, policies string, kind func(runtime.Object) *admissionv1.ParamKind) func(registry.Env, *genericregistry.Store, map[string]rest.Storage) error {
	return func(env registry.Env, store *genericregistry.Store, _ map[string]rest.Storage) error {
		guard(store, "paramRef", func(ctx context.Context, obj runtime.Object, old runtime.Object) error {
			use := of(obj.(T))
			// Upstream asks on every update too: it compares pointers.
			if use.Ref == nil {
				return nil
			}
			params, policyErr := paramKind(ctx, env, use.Policy, policies, kind)
			a := attributes(env, params)
			a.Verb, a.Name, a.Namespace = "get", use.Ref.Name, use.Ref.Namespace
			if a.Name == "" {
				a.Verb = "list"
			}
			who, allowed, err := ask(ctx, env, a, "paramRef object")
			const lacks = `%s to determine minimum required permissions and user %v does not have "%v" permission for all groups, versions and resources`
			switch {
			case err != nil && policies == "validatingadmissionpolicies":
				return fmt.Errorf("failed to authorize request: %w", err)
			case err != nil || allowed:
				return err
			case policyErr != nil:
				return fmt.Errorf(lacks, "unable to get policy "+use.Policy, who, a.Verb)
			case params != nil && a.Resource == "*":
				return fmt.Errorf(lacks, fmt.Sprintf("unable to resolve paramKind &{%s %s}", params.APIVersion, params.Kind), who, a.Verb)
			case policies == "mutatingadmissionpolicies": // upstream's words, in its order
				return fmt.Errorf(`user %v does not have "%v" permission on the object referenced by paramRef`, a.Verb, who)
			}
			return fmt.Errorf(`user %v does not have "%v" permission on the object referenced by paramRef`, who, a.Verb)
		})
		return nil
	}
}

func paramKind(ctx context.Context, env registry.Env, policy, resource string, kind func(runtime.Object) *admissionv1.ParamKind) (*admissionv1.ParamKind, error) {
	store, err := env.Store(admissionv1.Resource(resource))
	if err != nil {
		return nil, err
	}
	obj, err := store.Get(ctx, policy, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return kind(obj), nil
}

// attributes names what is to be read: all resources, as far as the kind is
// not known.
func attributes(env registry.Env, kind *admissionv1.ParamKind) authorizer.AttributesRecord {
	a := authorizer.AttributesRecord{ResourceRequest: true, APIGroup: "*", APIVersion: "*", Resource: "*"}
	if kind == nil {
		return a
	}
	gv, err := schema.ParseGroupVersion(kind.APIVersion)
	if err != nil {
		return a
	}
	a.APIGroup, a.APIVersion = gv.Group, gv.Version
	if env.Mapper != nil {
		if m, err := env.Mapper.RESTMapping(gv.WithKind(kind.Kind).GroupKind(), gv.Version); err == nil {
			a.Resource = m.Resource.Resource
		}
	}
	return a
}

// ask asks whether the user of the request may read what.
func ask(ctx context.Context, env registry.Env, a authorizer.AttributesRecord, what string) (who user.Info, allowed bool, err error) {
	if env.Authorizer == nil {
		return nil, true, nil
	}
	who, ok := request.UserFrom(ctx)
	if !ok {
		return nil, false, fmt.Errorf("cannot identify user to authorize read access to %s", what)
	}
	a.User = who
	decision, _, err := env.Authorizer.Authorize(ctx, a)
	return who, decision == authorizer.DecisionAllow, err
}

// check returns why obj may not be stored; old is nil for a create.
type check func(ctx context.Context, obj, old runtime.Object) error

func guard(store *genericregistry.Store, name string, c check) {
	store.CreateStrategy = create{registry.Created{RESTCreateStrategy: store.CreateStrategy}, name, c}
	store.UpdateStrategy = registry.ReportOnce(update{store.UpdateStrategy, name, c})
}

type create struct {
	registry.Created
	field string
	check check
}

// Validate asks for rights after everything else was found well.
func (c create) Validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	if errs := c.Created.Validate(ctx, obj); len(errs) > 0 {
		return errs
	}
	return forbidden(c.field, c.check(ctx, obj, nil))
}

type update struct {
	rest.RESTUpdateStrategy
	field string
	check check
}

// ValidateUpdate asks for rights after everything else was found well.
func (u update) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	if errs := u.RESTUpdateStrategy.ValidateUpdate(ctx, obj, old); len(errs) > 0 {
		return errs
	}
	return forbidden(u.field, u.check(ctx, obj, old))
}

func forbidden(name string, err error) field.ErrorList {
	if err == nil {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec", name), err.Error())}
}

// KindCell returns the column ParamKind.
func KindCell(kind *admissionv1.ParamKind) string {
	if kind == nil {
		return "<unset>"
	}
	return kind.APIVersion + "/" + kind.Kind
}

// RefCell returns the column ParamRef.
func RefCell(ref *admissionv1.ParamRef) string {
	switch {
	case ref == nil:
		return "<unset>"
	case ref.Name != "" && ref.Namespace != "":
		return ref.Namespace + "/" + ref.Name
	case ref.Name != "":
		// It is not known here whether the kind is namespaced.
		return "*/" + ref.Name
	case ref.Selector != nil:
		return ref.Selector.String()
	}
	return "<unset>"
}

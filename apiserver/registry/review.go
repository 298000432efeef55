package registry

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Review describes a kind that is a question: creating it gives the answer,
// and nothing is stored.
type Review[T Object] struct {
	GVK        schema.GroupVersionKind
	Plural     string
	Namespaced bool
	// New returns an empty object.
	New func() T
	// Validate runs before admission; nil accepts everything.
	Validate func(obj T) field.ErrorList
	// Refuse runs after Validate and before admission; nil refuses nothing.
	Refuse func(ctx context.Context, obj T) error
	// Answer returns the object with its status; it may change the one it is given.
	Answer func(ctx context.Context, env Env, obj T) (T, error)
}

// Resource gives the server's view of the kind.
func (r Review[T]) Resource() *Resource {
	return &Resource{
		GVK: r.GVK, Plural: r.Plural, Singular: strings.ToLower(r.GVK.Kind), ClusterScoped: !r.Namespaced,
		Verbs: []string{"create"},
		Build: func(env Env) (map[string]rest.Storage, error) {
			return map[string]rest.Storage{"": &reviewStorage[T]{review: r, env: env}}, nil
		},
	}
}

// reviewStorage has no table: a client that asks for one gets 406, as conformance wants it.
type reviewStorage[T Object] struct {
	review Review[T]
	env    Env
}

func (s *reviewStorage[T]) New() runtime.Object     { return s.review.New() }
func (s *reviewStorage[T]) Destroy()                {}
func (s *reviewStorage[T]) NamespaceScoped() bool   { return s.review.Namespaced }
func (s *reviewStorage[T]) GetSingularName() string { return strings.ToLower(s.review.GVK.Kind) }

// Create implements rest.Creater.
func (s *reviewStorage[T]) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	question, ok := obj.(T)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a %s: %T", s.review.GVK.Kind, obj))
	}
	if s.review.Validate != nil {
		if errs := s.review.Validate(question); len(errs) > 0 {
			// Upstream names the kind of the internal object, which has none.
			return nil, apierrors.NewInvalid(schema.GroupKind{Group: s.review.GVK.Group}, "", errs)
		}
	}
	if s.review.Refuse != nil {
		if err := s.review.Refuse(ctx, question); err != nil {
			return nil, err
		}
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	return s.review.Answer(ctx, s.env, question)
}

// Package resourceclaimtemplate serves resource.k8s.io/v1 ResourceClaimTemplates.
//
// The API of this package is not stable: see docs/api.md.
package resourceclaimtemplate

import (
	"context"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apis/resource"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/resource/access"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*resourcev1.ResourceClaimTemplate]{
		GVK:              resourcev1.SchemeGroupVersion.WithKind("ResourceClaimTemplate"),
		OtherVersions:    []string{"v1beta2", "v1beta1"},
		Plural:           "resourceclaimtemplates",
		ReturnDeleted:    true,
		NoGeneration:     true,
		New:              func() *resourcev1.ResourceClaimTemplate { return &resourcev1.ResourceClaimTemplate{} },
		NewList:          func() runtime.Object { return &resourcev1.ResourceClaimTemplateList{} },
		PrepareForCreate: func(_ context.Context, t *resourcev1.ResourceClaimTemplate) { resource.DropClaim(&t.Spec.Spec, nil) },
		PrepareForUpdate: func(_ context.Context, t, old *resourcev1.ResourceClaimTemplate) {
			resource.DropClaim(&t.Spec.Spec, &old.Spec.Spec)
		},
		Validate:       registry.Pure(resource.ValidateResourceClaimTemplate),
		ValidateUpdate: registry.PureUpdate(resource.ValidateResourceClaimTemplateUpdate),
		Extend: func(env registry.Env, store *genericregistry.Store, _ map[string]rest.Storage) error {
			access.GuardCreate(store, func(ctx context.Context, t *resourcev1.ResourceClaimTemplate) field.ErrorList {
				return access.Admin(ctx, env, t.Namespace, access.Requested(t.Spec.Spec.Devices.Requests))
			})
			return nil
		},
		Table: &registry.Table[*resourcev1.ResourceClaimTemplate]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Age")},
			Cells: func(t *resourcev1.ResourceClaimTemplate, now time.Time) []any {
				return []any{t.Name, registry.Age(t.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

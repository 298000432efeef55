// Package resourceclaim serves resource.k8s.io/v1 ResourceClaims.
//
// The API of this package is not stable: see docs/api.md.
package resourceclaim

import (
	"context"
	"strings"
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
	gvk := resourcev1.SchemeGroupVersion.WithKind("ResourceClaim")
	return registry.Kind[*resourcev1.ResourceClaim]{
		GVK:           gvk,
		OtherVersions: []string{"v1beta2", "v1beta1"},
		Plural:        "resourceclaims",
		ReturnDeleted: true,
		NoGeneration:  true,
		New:           func() *resourcev1.ResourceClaim { return &resourcev1.ResourceClaim{} },
		NewList:       func() runtime.Object { return &resourcev1.ResourceClaimList{} },
		PrepareForCreate: func(_ context.Context, c *resourcev1.ResourceClaim) {
			c.Status = resourcev1.ResourceClaimStatus{}
			resource.DropClaim(&c.Spec, nil)
		},
		PrepareForUpdate: func(_ context.Context, c, old *resourcev1.ResourceClaim) {
			c.Status = old.Status
			resource.DropClaim(&c.Spec, &old.Spec)
		},
		Validate:       registry.Pure(resource.ValidateResourceClaim),
		ValidateUpdate: registry.PureUpdate(resource.ValidateResourceClaimUpdate),
		Table: &registry.Table[*resourcev1.ResourceClaim]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("State"), registry.Column("Age")},
			Cells: func(c *resourcev1.ResourceClaim, now time.Time) []any {
				return []any{c.Name, state(c), registry.Age(c.CreationTimestamp, now)}
			},
		},
		Subresources: []registry.Subresource{{Name: "status", GVK: gvk, Verbs: []string{"get", "patch", "update"}}},
		Extend: func(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
			gv := gvk.GroupVersion()
			store.ResetFieldsStrategy = registry.NewResets(gv, []any{"status"}).Also("v1beta2", "v1beta1")
			storages["status"] = registry.NewSubStorage(store, status{store.UpdateStrategy, registry.NewResets(gv, []any{"metadata"}, []any{"spec"}).Also("v1beta2", "v1beta1"), env})
			access.GuardCreate(store, func(ctx context.Context, c *resourcev1.ResourceClaim) field.ErrorList {
				return access.Admin(ctx, env, c.Namespace, access.Requested(c.Spec.Devices.Requests))
			})
			return nil
		},
	}.Resource()
}

func state(c *resourcev1.ResourceClaim) string {
	var states []string
	if c.DeletionTimestamp != nil {
		states = append(states, "deleted")
	}
	switch {
	case c.Status.Allocation == nil && c.DeletionTimestamp == nil:
		states = append(states, "pending")
	case c.Status.Allocation == nil:
	case len(c.Status.ReservedFor) > 0:
		states = append(states, "allocated", "reserved")
	default:
		states = append(states, "allocated")
	}
	return strings.Join(states, ",")
}

// status holds what schedulers and drivers write.
type status struct {
	rest.RESTUpdateStrategy
	registry.Resets
	env registry.Env
}

// PrepareForUpdate keeps everything but the status.
func (status) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	c, was := obj.(*resourcev1.ResourceClaim), old.(*resourcev1.ResourceClaim)
	c.Spec = was.Spec
	metav1.ResetObjectMetaForStatus(&c.ObjectMeta, &was.ObjectMeta)
	resource.DropClaimStatus(&c.Status, &was.Status)
}

// ValidateUpdate also asks whether the user may allocate, or speak for the drivers.
func (s status) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	c, was := obj.(*resourcev1.ResourceClaim), old.(*resourcev1.ResourceClaim)
	var errs field.ErrorList
	if access.Granted(was.Status.Allocation) == nil {
		errs = access.Admin(ctx, s.env, c.Namespace, access.Granted(c.Status.Allocation))
	}
	errs = append(errs, access.Binding(ctx, s.env, &c.Status, &was.Status)...)
	if c.Status.Allocation != nil {
		errs = append(errs, access.Drivers(ctx, s.env, &c.Status, &was.Status)...)
	}
	return append(errs, resource.ValidateResourceClaimStatusUpdate(c, was)...)
}

// Package priorityclass serves scheduling.k8s.io/v1 PriorityClasses.
//
// The API of this package is not stable: see docs/api.md.
package priorityclass

import (
	"context"
	"errors"
	"time"

	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/scheduling"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*schedulingv1.PriorityClass]{
		GVK:           schedulingv1.SchemeGroupVersion.WithKind("PriorityClass"),
		Plural:        "priorityclasses",
		ShortNames:    []string{"pc"},
		ClusterScoped: true,
		New:           func() *schedulingv1.PriorityClass { return &schedulingv1.PriorityClass{} },
		NewList:       func() runtime.Object { return &schedulingv1.PriorityClassList{} },
		PrepareForCreate: func(_ context.Context, c *schedulingv1.PriorityClass) {
			c.Generation = 1
		},
		Validate:       registry.Pure(scheduling.ValidatePriorityClass),
		ValidateUpdate: registry.PureUpdate(scheduling.ValidatePriorityClassUpdate),
		Extend: func(_ registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
			storages[""] = &storage{Wrapped: registry.Wrapped{Store: store}}
			return nil
		},
		Table: &registry.Table[*schedulingv1.PriorityClass]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Integer("Value"), registry.Boolean("Global-Default"), registry.Column("Age"), registry.Column("PreemptionPolicy"),
			},
			Cells: func(c *schedulingv1.PriorityClass, now time.Time) []any {
				return []any{c.Name, int64(c.Value), c.GlobalDefault, registry.Age(c.CreationTimestamp, now), string(ptr.Deref(c.PreemptionPolicy, ""))}
			},
		},
	}.Resource()
}

// storage keeps the system's classes from being deleted.
type storage struct{ registry.Wrapped }

// Delete refuses for the classes of the system.
func (s *storage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, o *metav1.DeleteOptions) (runtime.Object, bool, error) {
	if _, ok := scheduling.SystemClass(name); ok {
		return nil, false, apierrors.NewForbidden(schema.GroupResource{Group: schedulingv1.GroupName, Resource: "priorityclasses"}, name,
			errors.New("this is a system priority class and cannot be deleted"))
	}
	return s.Store.Delete(ctx, name, validate, o)
}

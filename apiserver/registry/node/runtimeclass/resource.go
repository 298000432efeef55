// Package runtimeclass serves node.k8s.io/v1 RuntimeClasses.
//
// The API of this package is not stable: see docs/api.md.
package runtimeclass

import (
	"context"
	"time"

	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/node"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*nodev1.RuntimeClass]{
		GVK:                    nodev1.SchemeGroupVersion.WithKind("RuntimeClass"),
		Plural:                 "runtimeclasses",
		AnyFinalizer:           true,
		ClusterScoped:          true,
		AllowCreateOnUpdate:    true,
		RequireResourceVersion: true,
		New:                    func() *nodev1.RuntimeClass { return &nodev1.RuntimeClass{} },
		NewList:                func() runtime.Object { return &nodev1.RuntimeClassList{} },
		Validate:               registry.Pure(node.ValidateRuntimeClass),
		ValidateUpdate:         registry.PureUpdate(node.ValidateRuntimeClassUpdate),
		Warnings: func(_ context.Context, c, _ *nodev1.RuntimeClass) []string {
			return node.RuntimeClassWarnings(c)
		},
		Table: &registry.Table[*nodev1.RuntimeClass]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Handler"), registry.Column("Age")},
			Cells: func(c *nodev1.RuntimeClass, now time.Time) []any {
				return []any{c.Name, c.Handler, registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

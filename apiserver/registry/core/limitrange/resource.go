// Package limitrange serves core/v1 LimitRanges.
//
// The API of this package is not stable: see docs/api.md.
package limitrange

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/uuid"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.LimitRange]{
		GVK:                 corev1.SchemeGroupVersion.WithKind("LimitRange"),
		Plural:              "limitranges",
		ShortNames:          []string{"limits"},
		New:                 func() *corev1.LimitRange { return &corev1.LimitRange{} },
		NewList:             func() runtime.Object { return &corev1.LimitRangeList{} },
		NoGeneration:        true,
		AllowCreateOnUpdate: true,
		PrepareForCreate: func(_ context.Context, l *corev1.LimitRange) {
			if l.Name == "" {
				l.Name = string(uuid.NewUUID())
			}
		},
		Validate:       registry.Pure(corevalidation.ValidateLimitRange),
		ValidateUpdate: registry.PureUpdate(corevalidation.ValidateLimitRangeUpdate),
		Table: &registry.Table[*corev1.LimitRange]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.CreatedAt()},
			Cells: func(l *corev1.LimitRange, _ time.Time) []any {
				return []any{l.Name, registry.CreatedAtCell(l.CreationTimestamp)}
			},
		},
	}.Resource()
}

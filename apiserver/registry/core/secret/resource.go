// Package secret serves core/v1 Secrets.
//
// The API of this package is not stable: see docs/api.md.
package secret

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.Secret]{
		GVK:     corev1.SchemeGroupVersion.WithKind("Secret"),
		Plural:  "secrets",
		New:     func() *corev1.Secret { return &corev1.Secret{} },
		NewList: func() runtime.Object { return &corev1.SecretList{} },
		PrepareForUpdate: func(_ context.Context, s, old *corev1.Secret) {
			// A client that does not know types keeps the stored one.
			if s.Type == "" {
				s.Type = old.Type
			}
		},
		Warnings:       func(_ context.Context, s, _ *corev1.Secret) []string { return corewarnings.SecretWarnings(s) },
		Validate:       registry.Pure(corevalidation.ValidateSecret),
		ValidateUpdate: registry.PureUpdate(corevalidation.ValidateSecretUpdate),
		Fields:         func(s *corev1.Secret) fields.Set { return fields.Set{"type": string(s.Type)} },
		Table: &registry.Table[*corev1.Secret]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Type"), registry.Column("Data"), registry.Column("Age")},
			Cells: func(s *corev1.Secret, now time.Time) []any {
				return []any{s.Name, string(s.Type), int64(len(s.Data)), registry.Age(s.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

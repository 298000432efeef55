// Package serviceaccount serves core/v1 ServiceAccounts and issues their tokens.
//
// The API of this package is not stable: see docs/api.md.
package serviceaccount

import (
	"context"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.ServiceAccount]{
		GVK:              corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		Plural:           "serviceaccounts",
		ShortNames:       []string{"sa"},
		New:              func() *corev1.ServiceAccount { return &corev1.ServiceAccount{} },
		NewList:          func() runtime.Object { return &corev1.ServiceAccountList{} },
		PrepareForCreate: func(_ context.Context, sa *corev1.ServiceAccount) { cleanSecrets(sa) },
		PrepareForUpdate: func(_ context.Context, sa, _ *corev1.ServiceAccount) { cleanSecrets(sa) },
		Warnings: func(_ context.Context, sa, old *corev1.ServiceAccount) []string {
			return corewarnings.ServiceAccountWarnings(sa, old)
		},
		Validate:       registry.Pure(corevalidation.ValidateServiceAccount),
		ValidateUpdate: registry.PureUpdate(corevalidation.ValidateServiceAccountUpdate),
		ReturnDeleted:  true,
		Table: &registry.Table[*corev1.ServiceAccount]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Age")},
			Cells: func(sa *corev1.ServiceAccount, now time.Time) []any {
				return []any{sa.Name, registry.Age(sa.CreationTimestamp, now)}
			},
		},
		Subresources: []registry.Subresource{
			{Name: "token", GVK: authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"), Verbs: []string{"create"}},
		},
		Extend: func(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
			storages["token"] = &tokenStorage{env: env, store: store}
			return nil
		},
	}.Resource()
}

// cleanSecrets keeps only the names of secrets: they are of this namespace.
func cleanSecrets(sa *corev1.ServiceAccount) {
	for i := range sa.Secrets {
		sa.Secrets[i] = corev1.ObjectReference{Name: sa.Secrets[i].Name}
	}
}

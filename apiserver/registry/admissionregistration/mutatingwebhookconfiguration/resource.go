// Package mutatingwebhookconfiguration serves admissionregistration.k8s.io/v1
// MutatingWebhookConfigurations.
//
// The API of this package is not stable: see docs/api.md.
package mutatingwebhookconfiguration

import (
	"context"
	"reflect"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/admissionregistration"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*admissionv1.MutatingWebhookConfiguration]{
		GVK:                    admissionv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"),
		Plural:                 "mutatingwebhookconfigurations",
		AnyFinalizer:           true,
		Categories:             []string{"api-extensions"},
		ClusterScoped:          true,
		New:                    func() *admissionv1.MutatingWebhookConfiguration { return &admissionv1.MutatingWebhookConfiguration{} },
		NewList:                func() runtime.Object { return &admissionv1.MutatingWebhookConfigurationList{} },
		RequireResourceVersion: true,
		PrepareForCreate:       func(_ context.Context, c *admissionv1.MutatingWebhookConfiguration) { c.Generation = 1 },
		PrepareForUpdate: func(_ context.Context, c, old *admissionv1.MutatingWebhookConfiguration) {
			// An empty list instead of none counts as a change, as upstream.
			if !reflect.DeepEqual(c.Webhooks, old.Webhooks) {
				c.Generation = old.Generation + 1
			}
		},
		Validate:       registry.Pure(admissionregistration.ValidateMutatingWebhookConfiguration),
		ValidateUpdate: registry.PureUpdate(admissionregistration.ValidateMutatingWebhookConfigurationUpdate),
		Warnings: func(_ context.Context, c, old *admissionv1.MutatingWebhookConfiguration) []string {
			return admissionregistration.MutatingWebhookWarnings(c, old)
		},
		Table: &registry.Table[*admissionv1.MutatingWebhookConfiguration]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Integer("Webhooks"), registry.Column("Age")},
			Cells: func(c *admissionv1.MutatingWebhookConfiguration, now time.Time) []any {
				return []any{c.Name, int64(len(c.Webhooks)), registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

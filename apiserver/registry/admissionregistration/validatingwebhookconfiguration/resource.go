// Package validatingwebhookconfiguration serves admissionregistration.k8s.io/v1
// ValidatingWebhookConfigurations.
//
// The API of this package is not stable: see docs/api.md.
package validatingwebhookconfiguration

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
	return registry.Kind[*admissionv1.ValidatingWebhookConfiguration]{
		GVK:           admissionv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"),
		Plural:        "validatingwebhookconfigurations",
		AnyFinalizer:  true,
		Categories:    []string{"api-extensions"},
		ClusterScoped: true,
		New: func() *admissionv1.ValidatingWebhookConfiguration {
			return &admissionv1.ValidatingWebhookConfiguration{}
		},
		NewList:                func() runtime.Object { return &admissionv1.ValidatingWebhookConfigurationList{} },
		RequireResourceVersion: true,
		PrepareForCreate:       func(_ context.Context, c *admissionv1.ValidatingWebhookConfiguration) { c.Generation = 1 },
		PrepareForUpdate: func(_ context.Context, c, old *admissionv1.ValidatingWebhookConfiguration) {
			// An empty list instead of none counts as a change, as upstream.
			if !reflect.DeepEqual(c.Webhooks, old.Webhooks) {
				c.Generation = old.Generation + 1
			}
		},
		Validate:       registry.Pure(admissionregistration.ValidateValidatingWebhookConfiguration),
		ValidateUpdate: registry.PureUpdate(admissionregistration.ValidateValidatingWebhookConfigurationUpdate),
		Warnings: func(_ context.Context, c, old *admissionv1.ValidatingWebhookConfiguration) []string {
			return admissionregistration.ValidatingWebhookWarnings(c, old)
		},
		Table: &registry.Table[*admissionv1.ValidatingWebhookConfiguration]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Integer("Webhooks"), registry.Column("Age")},
			Cells: func(c *admissionv1.ValidatingWebhookConfiguration, now time.Time) []any {
				return []any{c.Name, int64(len(c.Webhooks)), registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

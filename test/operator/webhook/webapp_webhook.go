// Package webhook is the sample operator's admission; conversion is in the api
// packages.
package webhook

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	v1 "github.com/coracle-k8s/coracle/test/operator/api/v1"
)

// MaxReplicas is the most that is allowed.
const MaxReplicas = 5

// SetupWebAppWebhookWithManager registers validation and conversion.
func SetupWebAppWebhookWithManager(mgr ctrl.Manager) error {
	return ctrl.NewWebhookManagedBy(mgr, &v1.WebApp{}).WithValidator(WebAppValidator{}).Complete()
}

// WebAppValidator refuses too many replicas.
type WebAppValidator struct{}

var _ admission.Validator[*v1.WebApp] = WebAppValidator{}

// ValidateCreate implements admission.Validator.
func (WebAppValidator) ValidateCreate(_ context.Context, app *v1.WebApp) (admission.Warnings, error) {
	return check(app)
}

// ValidateUpdate implements admission.Validator.
func (WebAppValidator) ValidateUpdate(_ context.Context, _, app *v1.WebApp) (admission.Warnings, error) {
	return check(app)
}

// ValidateDelete implements admission.Validator.
func (WebAppValidator) ValidateDelete(context.Context, *v1.WebApp) (admission.Warnings, error) {
	return nil, nil
}

func check(app *v1.WebApp) (admission.Warnings, error) {
	if app.Spec.Replicas > MaxReplicas {
		return nil, fmt.Errorf("spec.replicas: %d is more than %d", app.Spec.Replicas, MaxReplicas)
	}
	if app.Spec.Greeting.Name == "" {
		return admission.Warnings{"spec.greeting.name: nobody is greeted"}, nil
	}
	return nil, nil
}

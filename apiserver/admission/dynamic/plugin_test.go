package dynamic

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// denies is a plugin that lets nothing pass.
type denies struct{ *admission.Handler }

var errDenied = errors.New("denied")

func (denies) Validate(context.Context, admission.Attributes, admission.ObjectInterfaces) error {
	return errDenied
}

func request(op admission.Operation, gvk schema.GroupVersionKind, resource string) admission.Attributes {
	var obj runtime.Object = &corev1.ConfigMap{}
	return admission.NewAttributesRecord(obj, nil, gvk, "ns", "x", gvk.GroupVersion().WithResource(resource), "", op, nil, false, nil)
}

// TestWakes follows a plugin from nothing to its first object.
func TestWakes(t *testing.T) {
	for name, c := range map[string]struct {
		kept    bool
		keptErr error
		creates bool
		want    error
	}{
		"nothing kept":             {},
		"kept from before":         {kept: true, want: errDenied},
		"who cannot be sure looks": {keptErr: errors.New("no answer"), want: errDenied},
		"the first object":         {creates: true, want: errDenied},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewWithT(t)
				var built atomic.Int32
				config := Config{Kept: func(context.Context, schema.GroupResource) (bool, error) { return c.kept, c.keptErr }}
				v := Validating{newPlugin(config, func(context.Context, *sync.WaitGroup) (admission.ValidationInterface, error) {
					built.Add(1)
					return denies{}, nil
				}, "validatingwebhookconfigurations")}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- v.Run(ctx) }()
				configuration := admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration")
				if c.creates {
					// It does not wait for itself.
					g.Expect(v.Validate(ctx, request(admission.Create, configuration, "validatingwebhookconfigurations"), nil)).To(Succeed())
				}
				synctest.Wait()
				got := v.Validate(ctx, request(admission.Update, corev1.SchemeGroupVersion.WithKind("ConfigMap"), "configmaps"), nil)
				g.Expect(errors.Is(got, c.want)).To(BeTrue(), "%v", got)
				g.Expect(built.Load() == 1).To(Equal(c.want != nil))
				g.Expect(v.Validate(ctx, request(admission.Update, configuration, "validatingwebhookconfigurations"), nil)).To(Succeed())
				stop()
				g.Expect(<-done).To(Succeed())
			})
		})
	}
}

// TestPatience: requests do not wait for ever for a server that does not start.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := Validating{newPlugin(Config{}, func(context.Context, *sync.WaitGroup) (admission.ValidationInterface, error) {
			return denies{}, nil
		}, "validatingwebhookconfigurations")}
		err := v.Validate(t.Context(), request(admission.Update, corev1.SchemeGroupVersion.WithKind("ConfigMap"), "configmaps"), nil)
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("not yet ready to handle request")))
	})
}

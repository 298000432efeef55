// Package defaultingressclass gives Ingresses that name no class the default
// one: https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class.
//
// The API of this package is not stable: see docs/api.md.
package defaultingressclass

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apis/storage"
)

// Classes lists ingress classes. They are not changed.
type Classes interface {
	IngressClasses(ctx context.Context) ([]*networkingv1.IngressClass, error)
}

// Plugin is DefaultIngressClass.
type Plugin struct {
	*admission.Handler
	classes Classes
}

var _ admission.MutationInterface = &Plugin{}

// New makes the plugin.
func New(classes Classes) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create), classes: classes}
}

// Admit sets the class of an Ingress that has none.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	in, ok := a.GetObject().(*networkingv1.Ingress)
	resource := schema.GroupResource{Group: networkingv1.GroupName, Resource: "ingresses"}
	if !ok || a.GetSubresource() != "" || a.GetResource().GroupResource() != resource {
		return nil
	}
	if _, ok := in.Annotations[networking.AnnotationIngressClass]; ok || in.Spec.IngressClassName != nil {
		return nil
	}
	classes, err := p.classes.IngressClasses(ctx)
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	var chosen *networkingv1.IngressClass
	for _, c := range classes {
		if c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" && (chosen == nil || storage.Newer(&c.ObjectMeta, &chosen.ObjectMeta)) {
			chosen = c
		}
	}
	if chosen != nil {
		name := chosen.Name
		in.Spec.IngressClassName = &name
	}
	return nil
}

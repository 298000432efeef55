// Package ingressclass serves networking.k8s.io/v1 IngressClasses.
//
// The API of this package is not stable: see docs/api.md.
package ingressclass

import (
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*networkingv1.IngressClass]{
		GVK:            networkingv1.SchemeGroupVersion.WithKind("IngressClass"),
		Plural:         "ingressclasses",
		ClusterScoped:  true,
		New:            func() *networkingv1.IngressClass { return &networkingv1.IngressClass{} },
		NewList:        func() runtime.Object { return &networkingv1.IngressClassList{} },
		Validate:       registry.Pure(networking.ValidateIngressClass),
		ValidateUpdate: registry.PureUpdate(networking.ValidateIngressClassUpdate),
		Table: &registry.Table[*networkingv1.IngressClass]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Controller"), registry.Column("Parameters"), registry.Column("Age"),
			},
			Cells: func(c *networkingv1.IngressClass, now time.Time) []any {
				name := c.Name
				if c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
					name += " (default)"
				}
				return []any{name, c.Spec.Controller, parameters(c.Spec.Parameters), registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

func parameters(p *networkingv1.IngressClassParametersReference) string {
	switch {
	case p == nil:
		return registry.None
	case p.APIGroup != nil:
		return p.Kind + "." + *p.APIGroup + "/" + p.Name
	}
	return p.Kind + "/" + p.Name
}

// Package ingress serves networking.k8s.io/v1 Ingresses.
//
// The API of this package is not stable: see docs/api.md.
package ingress

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*networkingv1.Ingress]{
		GVK:            networkingv1.SchemeGroupVersion.WithKind("Ingress"),
		Plural:         "ingresses",
		ShortNames:     []string{"ing"},
		New:            func() *networkingv1.Ingress { return &networkingv1.Ingress{} },
		NewList:        func() runtime.Object { return &networkingv1.IngressList{} },
		Validate:       registry.Pure(networking.ValidateIngress),
		ValidateUpdate: registry.PureUpdate(networking.ValidateIngressUpdate),
		Warnings:       warnings,
		Status: &registry.Status[*networkingv1.Ingress]{
			Validate: registry.PureUpdate(networking.ValidateIngressStatusUpdate),
			Warnings: statusWarnings,
		},
		Table: &registry.Table[*networkingv1.Ingress]{
			Columns: []metav1.TableColumnDefinition{
				registry.NameColumn(), registry.Column("Class"), registry.Column("Hosts"), registry.Column("Address"), registry.Column("Ports"), registry.Column("Age"),
			},
			Cells: func(in *networkingv1.Ingress, now time.Time) []any {
				ports := "80"
				if len(in.Spec.TLS) > 0 {
					ports = "80, 443"
				}
				return []any{in.Name, ptr.Deref(in.Spec.IngressClassName, registry.None), hosts(in.Spec.Rules), address(in), ports, registry.Age(in.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

func warnings(_ context.Context, in, old *networkingv1.Ingress) []string {
	if _, ok := in.Annotations[networking.AnnotationIngressClass]; ok && old == nil && in.Spec.IngressClassName == nil {
		return []string{fmt.Sprintf("annotation %q is deprecated, please use 'spec.ingressClassName' instead", networking.AnnotationIngressClass)}
	}
	return nil
}

// hosts shows three names, and how many rules come after them.
func statusWarnings(_ context.Context, in, _ *networkingv1.Ingress) []string {
	var list []string
	for i, p := range in.Status.LoadBalancer.Ingress {
		if p.IP != "" {
			list = append(list, utilvalidation.GetWarningsForIP(field.NewPath("status", "loadBalancer", "ingress").Index(i), p.IP)...)
		}
	}
	return list
}

func hosts(rules []networkingv1.IngressRule) string {
	const shown = 3
	var names []string
	for _, r := range rules {
		if len(names) == shown {
			return fmt.Sprintf("%s + %d more...", strings.Join(names, ","), len(rules)-shown)
		}
		if r.Host != "" {
			names = append(names, r.Host)
		}
	}
	if len(names) == 0 {
		return "*"
	}
	return strings.Join(names, ",")
}

func address(in *networkingv1.Ingress) string {
	var all []string
	for _, p := range in.Status.LoadBalancer.Ingress {
		if p.IP != "" {
			all = append(all, p.IP)
		} else if p.Hostname != "" {
			all = append(all, p.Hostname)
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

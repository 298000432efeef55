// Package networkpolicy serves networking.k8s.io/v1 NetworkPolicies.
//
// The API of this package is not stable: see docs/api.md.
package networkpolicy

import (
	"context"
	"reflect"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*networkingv1.NetworkPolicy]{
		GVK:            networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
		Plural:         "networkpolicies",
		ShortNames:     []string{"netpol"},
		New:            func() *networkingv1.NetworkPolicy { return &networkingv1.NetworkPolicy{} },
		NewList:        func() runtime.Object { return &networkingv1.NetworkPolicyList{} },
		Validate:       registry.Pure(networking.ValidateNetworkPolicy),
		ValidateUpdate: registry.PureUpdate(networking.ValidateNetworkPolicyUpdate),
		// An empty list and none are not the same here.
		Counts: func(p, old *networkingv1.NetworkPolicy) bool { return !reflect.DeepEqual(p.Spec, old.Spec) },
		Warnings: func(_ context.Context, p, _ *networkingv1.NetworkPolicy) []string {
			return networking.NetworkPolicyWarnings(p)
		},
		Table: &registry.Table[*networkingv1.NetworkPolicy]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Pod-Selector"), registry.Column("Age")},
			Cells: func(p *networkingv1.NetworkPolicy, now time.Time) []any {
				return []any{p.Name, metav1.FormatLabelSelector(&p.Spec.PodSelector), registry.Age(p.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

// Package servicecidr serves networking.k8s.io/v1 ServiceCIDRs.
//
// The API of this package is not stable: see docs/api.md.
package servicecidr

import (
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*networkingv1.ServiceCIDR]{
		GVK:            networkingv1.SchemeGroupVersion.WithKind("ServiceCIDR"),
		Plural:         "servicecidrs",
		ClusterScoped:  true,
		NoGeneration:   true,
		New:            func() *networkingv1.ServiceCIDR { return &networkingv1.ServiceCIDR{} },
		NewList:        func() runtime.Object { return &networkingv1.ServiceCIDRList{} },
		Validate:       registry.Pure(networking.ValidateServiceCIDR),
		ValidateUpdate: registry.PureUpdate(networking.ValidateServiceCIDRUpdate),
		Status: &registry.Status[*networkingv1.ServiceCIDR]{
			Validate:     registry.PureUpdate(networking.ValidateServiceCIDRStatusUpdate),
			KeepMetadata: true,
		},
		Table: &registry.Table[*networkingv1.ServiceCIDR]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("CIDRs"), registry.Column("Age")},
			Cells: func(c *networkingv1.ServiceCIDR, now time.Time) []any {
				return []any{c.Name, strings.Join(c.Spec.CIDRs, ","), registry.Age(c.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

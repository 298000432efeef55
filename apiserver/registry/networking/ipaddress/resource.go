// Package ipaddress serves networking.k8s.io/v1 IPAddresses.
//
// The API of this package is not stable: see docs/api.md.
package ipaddress

import (
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/apis/networking"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*networkingv1.IPAddress]{
		GVK:            networkingv1.SchemeGroupVersion.WithKind("IPAddress"),
		Plural:         "ipaddresses",
		ShortNames:     []string{"ip"},
		ClusterScoped:  true,
		NoGeneration:   true,
		GenerateName:   func(base string) string { return base }, // no address is one with letters appended
		New:            func() *networkingv1.IPAddress { return &networkingv1.IPAddress{} },
		NewList:        func() runtime.Object { return &networkingv1.IPAddressList{} },
		Validate:       registry.Pure(networking.ValidateIPAddress),
		ValidateUpdate: registry.PureUpdate(networking.ValidateIPAddressUpdate),
		Table: &registry.Table[*networkingv1.IPAddress]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("ParentRef")},
			Cells:   func(ip *networkingv1.IPAddress, _ time.Time) []any { return []any{ip.Name, parent(ip.Spec.ParentRef)} },
		},
	}.Resource()
}

func parent(r *networkingv1.ParentReference) string {
	if r == nil {
		return registry.None
	}
	cell := strings.ToLower(schema.GroupResource{Group: r.Group, Resource: r.Resource}.String())
	if r.Namespace != "" {
		cell += "/" + r.Namespace
	}
	return cell + "/" + r.Name
}

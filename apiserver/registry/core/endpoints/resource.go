// Package endpoints serves core/v1 Endpoints.
//
// The API of this package is not stable: see docs/api.md.
package endpoints

import (
	"context"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.Endpoints]{
		GVK:                 corev1.SchemeGroupVersion.WithKind("Endpoints"),
		Plural:              "endpoints",
		Singular:            "endpoints",
		ShortNames:          []string{"ep"},
		New:                 func() *corev1.Endpoints { return &corev1.Endpoints{} },
		NewList:             func() runtime.Object { return &corev1.EndpointsList{} },
		AllowCreateOnUpdate: true,
		Warnings:            func(_ context.Context, e, _ *corev1.Endpoints) []string { return corewarnings.EndpointsWarnings(e) },
		Validate:            registry.Pure(corevalidation.ValidateEndpoints),
		ValidateUpdate:      registry.PureUpdate(corevalidation.ValidateEndpointsUpdate),
		Table: &registry.Table[*corev1.Endpoints]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("Endpoints"), registry.Column("Age")},
			Cells: func(e *corev1.Endpoints, now time.Time) []any {
				return []any{e.Name, cell(e.Subsets), registry.Age(e.CreationTimestamp, now)}
			},
		},
	}.Resource()
}

// cell lists address:port of what is ready, or bare addresses of headless
// services without ports.
func cell(subsets []corev1.EndpointSubset) string {
	if len(subsets) == 0 {
		return registry.None
	}
	var list []string
	for _, s := range subsets {
		if len(s.Ports) == 0 {
			for _, a := range s.Addresses {
				list = append(list, a.IP)
			}
			continue
		}
		for _, p := range s.Ports {
			for _, a := range s.Addresses {
				list = append(list, net.JoinHostPort(a.IP, strconv.Itoa(int(p.Port))))
			}
		}
	}
	return registry.FirstOf(list, "")
}

// Package service serves core/v1 Services and gives them their ClusterIPs and
// node ports.
//
// The API of this package is not stable: see docs/api.md.
package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	corevalidation "github.com/coracle-k8s/coracle/apis/core/validation"
	corewarnings "github.com/coracle-k8s/coracle/apis/core/warnings"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/core/connect"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*corev1.Service]{
		GVK:                 corev1.SchemeGroupVersion.WithKind("Service"),
		Plural:              "services",
		ShortNames:          []string{"svc"},
		Categories:          []string{"all"},
		New:                 func() *corev1.Service { return &corev1.Service{} },
		NewList:             func() runtime.Object { return &corev1.ServiceList{} },
		NoGeneration:        true,
		AllowCreateOnUpdate: true,
		Validate:            registry.Pure(corevalidation.ValidateService),
		ValidateUpdate:      registry.PureUpdate(corevalidation.ValidateServiceUpdate),
		Warnings:            func(_ context.Context, s, _ *corev1.Service) []string { return corewarnings.ServiceWarnings(s) },
		Fields: func(s *corev1.Service) fields.Set {
			return fields.Set{"spec.clusterIP": s.Spec.ClusterIP, "spec.type": string(s.Spec.Type)}
		},
		PrepareForUpdate: dropLoadBalancer,
		ReturnDeleted:    true,
		Status: &registry.Status[*corev1.Service]{
			Validate: registry.PureUpdate(corevalidation.ValidateServiceStatusUpdate),
			Warnings: func(_ context.Context, s, _ *corev1.Service) []string { return corewarnings.LoadBalancerWarnings(s) },
		},
		Table: table(),
		Subresources: []registry.Subresource{
			{Name: "proxy", GVK: corev1.SchemeGroupVersion.WithKind("ServiceProxyOptions"), Verbs: []string{"create", "delete", "get", "patch", "update"}},
		},
		Extend: extend,
	}.Resource()
}

func extend(env registry.Env, store *genericregistry.Store, storages map[string]rest.Storage) error {
	base, err := netip.ParsePrefix(env.Services.CIDR)
	if err != nil {
		return fmt.Errorf("reading the range of cluster IPs: %w", err)
	}
	a, err := newAllocator(env.Services, rand.IntN, objects{store: env.Store, base: base.Masked()}, func(ctx context.Context) ([]corev1.Service, error) {
		list, err := store.List(request.WithNamespace(ctx, metav1.NamespaceAll), nil)
		if err != nil {
			return nil, err
		}
		return list.(*corev1.ServiceList).Items, nil
	})
	if err != nil {
		return err
	}
	a.counts = newCounts(env.RegisterMetrics)
	// The status store was made before: it allocates nothing, but releases.
	store.BeginCreate, store.BeginUpdate, store.AfterDelete = a.beginCreate, a.beginUpdate, a.afterDelete
	store.Decorator = hideTrafficPolicy
	storages["proxy"] = &proxyStorage{env: env, store: store, family: a.family(), transport: connect.DirectTransport()}
	return nil
}

// hideTrafficPolicy shows no internalTrafficPolicy of Services of type ExternalName,
// which defaulting gave to those that had another type; it stays stored, as upstream.
func hideTrafficPolicy(obj runtime.Object) {
	switch o := obj.(type) {
	case *corev1.Service:
		if !hasAddress(o) {
			o.Spec.InternalTrafficPolicy = nil
		}
	case *corev1.ServiceList:
		for i := range o.Items {
			hideTrafficPolicy(&o.Items[i])
		}
	}
}

func table() *registry.Table[*corev1.Service] {
	return &registry.Table[*corev1.Service]{
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn(), registry.Column("Type"), registry.Column("Cluster-IP"), registry.Column("External-IP"),
			registry.Column("Port(s)"), registry.Column("Age"), registry.Wide(registry.Column("Selector")),
		},
		Cells: func(s *corev1.Service, now time.Time) []any {
			ip := registry.None
			if len(s.Spec.ClusterIPs) > 0 {
				ip = s.Spec.ClusterIPs[0]
			}
			return []any{s.Name, string(s.Spec.Type), ip, external(s), ports(s), registry.Age(s.CreationTimestamp, now), labels.FormatLabels(s.Spec.Selector)}
		},
	}
}

func ports(s *corev1.Service) string {
	if len(s.Spec.Ports) == 0 {
		return registry.None
	}
	cells := make([]string, len(s.Spec.Ports))
	for i, p := range s.Spec.Ports {
		cells[i] = fmt.Sprintf("%d/%s", p.Port, p.Protocol)
		if p.NodePort > 0 {
			cells[i] = fmt.Sprintf("%d:%d/%s", p.Port, p.NodePort, p.Protocol)
		}
	}
	return strings.Join(cells, ",")
}

func external(s *corev1.Service) string {
	var all []string
	switch s.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		for _, in := range s.Status.LoadBalancer.Ingress {
			if in.IP != "" {
				all = append(all, in.IP)
			} else if in.Hostname != "" {
				all = append(all, in.Hostname)
			}
		}
		slices.Sort(all)
		all = append(slices.Compact(all), s.Spec.ExternalIPs...)
		if len(all) == 0 {
			return "<pending>"
		}
	default:
		all = s.Spec.ExternalIPs
		if len(all) == 0 {
			return registry.None
		}
	}
	return strings.Join(all, ",")
}

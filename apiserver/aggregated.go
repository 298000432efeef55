package apiserver

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	statusmetrics "k8s.io/kube-aggregator/pkg/controllers/status/metrics"
	stockapiservice "k8s.io/kube-aggregator/pkg/registry/apiservice"

	"github.com/coracle-k8s/coracle/apiserver/aggregator"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/stores"
)

func apiServices() schema.GroupResource { return apiregistration.Resource("apiservices") }

// buildAggregator makes the aggregator. It stays idle until the first request
// for APIServices, unless an APIService of another server is stored, or may be
// stored while this server runs.
func (s *Server) buildAggregator() error {
	unavailable := statusmetrics.New()
	if err := unavailable.Register(s.access.Metrics.Register, s.access.Metrics.CustomRegister); err != nil {
		return fmt.Errorf("registering metrics of APIServices: %w", err)
	}
	s.aggregator = aggregator.New(aggregator.Config{
		Store:       func() (*genericregistry.Store, error) { return s.stores.Store(apiServices()) },
		WriteStatus: s.writeAPIServiceStatus,
		Watch:       s.stores.Watch,
		Locals:      s.locals, LocalsChanged: s.changes.Next,
		Service: func(ctx context.Context, namespace, name string) (*corev1.Service, error) {
			return stores.GetCached[*corev1.Service](ctx, s.stores, "services", namespace, name)
		},
		Endpoints: s.endpointSlices, Network: s.services, Certificate: s.config.Proxy,
		Discovery: s.generic.AggregatedDiscoveryGroupManager.WithSource(aggregated.AggregatorSource), Groups: s.groups.from(ofAggregator),
		Clock: s.config.Clock, Changed: s.changes.Announce, Unavailable: unavailable, Report: s.config.Report,
	})
	if len(s.config.Etcd.Endpoints) > 0 {
		s.aggregator.Demand()
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, etcdPatience)
	defer cancel()
	return s.getter.Each(ctx, apiServices(), func(obj runtime.Object) bool {
		if a, ok := obj.(*apiregistration.APIService); ok && a.Spec.Service != nil {
			s.aggregator.Demand()
			return false
		}
		return true
	})
}

// locals returns the groups and versions that are served here.
func (s *Server) locals() []aggregator.Local {
	var list []aggregator.Local
	seen := map[schema.GroupVersion]bool{}
	add := func(gv schema.GroupVersion, custom bool) {
		if !seen[gv] {
			seen[gv] = true
			list = append(list, aggregator.Local{GroupVersion: gv, Custom: custom})
		}
	}
	for _, r := range s.config.Resources {
		if r.Hidden {
			continue
		}
		add(r.GVK.GroupVersion(), false)
	}
	for _, r := range s.custom.Resources() {
		for _, version := range r.Versions {
			add(r.GroupKind.WithVersion(version).GroupVersion(), true)
		}
	}
	return list
}

func (s *Server) writeAPIServiceStatus(ctx context.Context, a *apiregistration.APIService) error {
	store, err := s.stores.Store(apiServices())
	if err != nil {
		return err
	}
	status := registry.NewSubStorage(store, stockapiservice.NewStatusStrategy(s.config.Scheme))
	if _, _, err := status.Update(ctx, a.Name, rest.DefaultUpdatedObjectInfo(a), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing the status of APIService %s: %w", a.Name, err)
	}
	return nil
}

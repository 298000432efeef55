package apiserver

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/coracle-k8s/coracle/apiserver/services"
	"github.com/coracle-k8s/coracle/apiserver/stores"
)

// newServices finds Services in the server's own watch caches.
func (s *Server) newServices() *services.Network {
	return services.New(services.Config{
		Service: func(ctx context.Context, namespace, name string) (*corev1.Service, error) {
			return stores.GetCached[*corev1.Service](ctx, s.stores, "services", namespace, name)
		},
		Endpoints: s.endpointSlices,
		Self:      s.config.Listeners[0].Addr().String(),
	})
}

func (s *Server) endpointSlices(ctx context.Context, namespace, service string) ([]*discoveryv1.EndpointSlice, error) {
	store, err := s.stores.Store(discoveryv1.Resource("endpointslices"))
	if err != nil {
		return nil, err
	}
	var out []*discoveryv1.EndpointSlice
	// The watch cache may be behind the slices that showed a client that the
	// Service answers. If it has none, what is stored is read.
	for _, version := range []string{"0", ""} {
		list, err := store.List(request.WithNamespace(ctx, namespace), &metainternalversion.ListOptions{
			ResourceVersion: version, LabelSelector: labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service}),
		})
		if err != nil {
			return nil, err
		}
		slices := list.(*discoveryv1.EndpointSliceList)
		for i := range slices.Items {
			out = append(out, &slices.Items[i])
		}
		if len(out) > 0 {
			break
		}
	}
	return out, nil
}

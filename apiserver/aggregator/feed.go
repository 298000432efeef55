package aggregator

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
)

// feed is the store that the reflector of APIServices writes into.
type feed struct{ server *Server }

var _ cache.ReflectorStore = &feed{}

func (f *feed) Add(obj any) error { return f.Update(obj) }

func (f *feed) Update(obj any) error {
	a, ok := obj.(*apiService)
	if !ok {
		return fmt.Errorf("following APIServices: unexpected %T", obj)
	}
	f.server.set(false, a)
	return nil
}

func (f *feed) Delete(obj any) error {
	a, ok := obj.(*apiService)
	if !ok {
		return fmt.Errorf("following APIServices: unexpected %T", obj)
	}
	f.server.unset(a.Name)
	return nil
}

func (f *feed) Replace(list []any, _ string) error {
	all := make([]*apiService, 0, len(list))
	for _, obj := range list {
		a, ok := obj.(*apiService)
		if !ok {
			return fmt.Errorf("following APIServices: unexpected %T", obj)
		}
		all = append(all, a)
	}
	f.server.set(true, all...)
	return nil
}

func (f *feed) Resync() error { return nil }

// backends passes on changes to Services and EndpointSlices, and stores nothing.
type backends struct{ server *Server }

var _ cache.ReflectorStore = backends{}

func (b backends) Add(obj any) error    { return b.Update(obj) }
func (b backends) Delete(obj any) error { return b.Update(obj) }
func (b backends) Resync() error        { return nil }

func (b backends) Update(obj any) error {
	switch o := obj.(type) {
	case *corev1.Service:
		b.server.backendChanged(o.Namespace, o.Name)
	case *discoveryv1.EndpointSlice:
		b.server.backendChanged(o.Namespace, o.Labels[discoveryv1.LabelServiceName])
	}
	return nil
}

func (b backends) Replace(list []any, _ string) error {
	for _, obj := range list {
		if err := b.Update(obj); err != nil {
			return err
		}
	}
	return nil
}

func listAll(ctx context.Context, store *genericregistry.Store) (map[string]*apiService, error) {
	obj, err := store.List(ctx, &internalversion.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing APIServices: %w", err)
	}
	list, ok := obj.(*apiregistration.APIServiceList)
	if !ok {
		return nil, fmt.Errorf("listing APIServices: got %T", obj)
	}
	all := map[string]*apiService{}
	for i := range list.Items {
		all[list.Items[i].Name] = &list.Items[i]
	}
	return all, nil
}

// createWithStatus stores an APIService and its status at once.
func createWithStatus(ctx context.Context, store *genericregistry.Store, a *apiService) error {
	with := *store
	with.CreateStrategy = keepingStatus{store.CreateStrategy}
	_, err := with.Create(ctx, a, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	return err
}

// keepingStatus does not drop what a client could not set.
type keepingStatus struct{ rest.RESTCreateStrategy }

// PrepareForCreate implements rest.RESTCreateStrategy.
func (keepingStatus) PrepareForCreate(context.Context, runtime.Object) {}

package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
)

// Resource is a namespaced resource whose objects can be deleted.
type Resource struct {
	schema.GroupVersionResource
	// Collection says that the resource can be deleted as a collection;
	// otherwise each object is deleted by its name.
	Collection bool
}

// Discoverer knows the namespaced resources that can be listed and deleted,
// each in one version. It may return some of them together with an error
// about groups that could not be asked.
type Discoverer interface {
	Resources(ctx context.Context) ([]Resource, error)
}

// FromDiscovery asks the API server's discovery documents.
func FromDiscovery(d discovery.DiscoveryInterface) Discoverer { return discoverer{d} }

type discoverer struct{ d discovery.DiscoveryInterface }

func (d discoverer) Resources(context.Context) ([]Resource, error) {
	lists, err := discovery.ServerPreferredNamespacedResources(d.d)
	resources, parseErr := fromLists(lists)
	if err = errors.Join(err, parseErr); err != nil {
		err = fmt.Errorf("discovering namespaced resources: %w", err)
	}
	return resources, err
}

func fromLists(lists []*metav1.APIResourceList) ([]Resource, error) {
	var (
		out  []Resource
		errs []error
	)
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "delete") && slices.Contains(r.Verbs, "list") {
				out = append(out, Resource{gv.WithResource(r.Name), slices.Contains(r.Verbs, "deletecollection")})
			}
		}
	}
	return out, errors.Join(errs...)
}

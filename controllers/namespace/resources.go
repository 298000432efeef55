package namespace

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource is a namespaced resource whose objects can be deleted.
type Resource struct {
	schema.GroupVersionResource
	// Collection is set if the resource can be deleted as a collection;
	// otherwise each object is deleted by its name.
	Collection bool
}

// Discoverer lists the namespaced resources that can be listed and deleted,
// each in one version. It may return some of them together with an error about
// groups that could not be asked.
type Discoverer interface {
	Resources(ctx context.Context) ([]Resource, error)
}

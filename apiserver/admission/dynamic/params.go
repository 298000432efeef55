package dynamic

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// readTimeout bounds the reading of one policy's params from storage.
const readTimeout = 10 * time.Second

// params stands in for an informer of the kind that parametrizes a policy. It
// reads when it is asked: a param that was written a moment ago counts, and a
// kind costs nothing while no request needs it.
type params struct {
	source    Params
	resource  schema.GroupVersionResource
	namespace string
}

var (
	_ informers.GenericInformer = params{}
	_ cache.GenericLister       = params{}
)

func (p params) Informer() cache.SharedIndexInformer { return synced{} }
func (p params) Lister() cache.GenericLister         { return p }

func (p params) ByNamespace(namespace string) cache.GenericNamespaceLister {
	p.namespace = namespace
	return p
}

func (p params) Get(name string) (runtime.Object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	return p.source.Get(ctx, p.resource, p.namespace, name)
}

func (p params) List(selector labels.Selector) ([]runtime.Object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	return p.source.List(ctx, p.resource, p.namespace, selector)
}

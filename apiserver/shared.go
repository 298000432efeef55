package apiserver

import (
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/client-go/tools/cache"

	"github.com/coracle-k8s/coracle/apiserver/shared"
	"github.com/coracle-k8s/coracle/apiserver/storage"
)

// Share makes a source of all objects of a kind for an informer of this
// process, which may not change them. A kind that is not built in, or whose
// objects are stored as another Go type than example, is got from otherwise.
func (s *Server) Share(kind schema.GroupVersionKind, example runtime.Object, otherwise cache.ListerWatcherWithContext) *shared.Source {
	cached := func(store *genericregistry.Store) bool {
		w, ok := store.Storage.Storage.(storage.Waiter)
		return ok && w.Cached()
	}
	return &shared.Source{Otherwise: otherwise, Cached: cached, Open: func() *genericregistry.Store {
		for _, r := range s.config.Resources {
			if r.GVK != kind || len(r.Verbs) == 0 || !s.dispatcher.Stores(r.GVR()) {
				continue
			}
			store, err := s.dispatcher.Store(r.GVR().GroupResource())
			if err != nil || store.Decorator != nil || reflect.TypeOf(store.New()) != reflect.TypeOf(example) {
				return nil
			}
			return store
		}
		return nil
	}}
}

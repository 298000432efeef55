// Package event serves events.k8s.io/v1 Events: the stored Events of core/v1
// by their newer name.
//
// The API of this package is not stable: see docs/api.md.
package event

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/coracle-k8s/coracle/apiserver/registry"
	core "github.com/coracle-k8s/coracle/apiserver/registry/core/event"
)

// New returns the resource.
func New() *registry.Resource {
	r := core.New()
	stored := r.GVK
	r.StoredAs = &stored
	r.GVK = eventsv1.SchemeGroupVersion.WithKind("Event")
	r.Build = func(env registry.Env) (map[string]rest.Storage, error) {
		store, err := env.Store(corev1.Resource("events"))
		if err != nil {
			return nil, err
		}
		// The handlers convert: events.k8s.io/v1 Events have core's as hub.
		return map[string]rest.Storage{"": shared{registry.Wrapped{Store: store}}}, nil
	}
	return r
}

// shared is closed by the core resource.
type shared struct{ registry.Wrapped }

// Destroy implements rest.Storage.
func (shared) Destroy() {}

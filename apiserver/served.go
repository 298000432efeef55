package apiserver

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Served is a resource as the parts of the process see it that work on all.
type Served struct {
	GVK              schema.GroupVersionKind
	Plural, Singular string
	Namespaced       bool
	Verbs            []string
	// Unused is set if no object was ever stored. There is nothing to collect or
	// delete, and a request for the resource would cost its storage.
	Unused bool
	// Alternative is set for another version, or view, of objects that an earlier entry has.
	Alternative bool
}

// ServedChanged is closed when Served changes. Ask for it before Served, or a
// change may be missed.
func (s *Server) ServedChanged() <-chan struct{} { return s.changes.Next() }

// Served lists the resources that are served now: built-in and custom ones,
// and those of other servers.
func (s *Server) Served() []Served {
	var list []Served
	for _, r := range s.config.Resources {
		if len(r.Verbs) == 0 {
			continue
		}
		list = append(list, Served{
			GVK: r.GVK, Plural: r.Plural, Singular: r.Singular, Namespaced: !r.ClusterScoped, Verbs: r.Verbs,
			Alternative: r.StoredAs != nil && *r.StoredAs != r.GVK, Unused: s.unused(r.GVK.Group),
		})
	}
	for _, r := range s.custom.Resources() {
		for i, version := range r.Versions {
			list = append(list, Served{
				GVK: r.GroupKind.WithVersion(version), Plural: r.Plural, Singular: r.Singular, Namespaced: r.Namespaced,
				Verbs:       []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"},
				Alternative: i > 0, Unused: !r.Used,
			})
		}
	}
	remote, _ := s.aggregator.Resources()
	for _, r := range remote {
		list = append(list, Served{
			GVK: r.GroupVersion.WithKind(r.Kind), Plural: r.Name, Singular: r.SingularName, Namespaced: r.Namespaced, Verbs: r.Verbs,
		})
	}
	return list
}

// Unreachable returns groups of other servers that do not answer: what they
// have is not in Served, or outdated.
func (s *Server) Unreachable() []schema.GroupVersion {
	_, unknown := s.aggregator.Resources()
	return unknown
}

// unused reports whether no object of a built-in group was made yet.
func (s *Server) unused(group string) bool {
	return group == "apiextensions.k8s.io" && !s.custom.Demanded() || group == "apiregistration.k8s.io" && !s.aggregator.Demanded()
}

// Mapper maps the resources that are served now, without a discovery request.
func (s *Server) Mapper() meta.RESTMapper { return &liveMapper{server: s} }

// liveMapper is a mapper that is made again after a change.
type liveMapper struct {
	server *Server

	mu      sync.Mutex
	made    meta.RESTMapper
	changed <-chan struct{}
}

func (m *liveMapper) current() meta.RESTMapper {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made != nil {
		select {
		case <-m.changed:
		default:
			return m.made
		}
	}
	m.changed = m.server.ServedChanged()
	served := m.server.Served()
	versions := make([]schema.GroupVersion, 0, len(served))
	for _, r := range served {
		versions = append(versions, r.GVK.GroupVersion())
	}
	mapper := meta.NewDefaultRESTMapper(versions)
	for _, r := range served {
		scope := meta.RESTScopeRoot
		if r.Namespaced {
			scope = meta.RESTScopeNamespace
		}
		gv := r.GVK.GroupVersion()
		mapper.AddSpecific(r.GVK, gv.WithResource(r.Plural), gv.WithResource(r.Singular), scope)
	}
	m.made = mapper
	return mapper
}

func (m *liveMapper) KindFor(r schema.GroupVersionResource) (schema.GroupVersionKind, error) {
	return m.current().KindFor(r)
}

func (m *liveMapper) KindsFor(r schema.GroupVersionResource) ([]schema.GroupVersionKind, error) {
	return m.current().KindsFor(r)
}

func (m *liveMapper) ResourceFor(r schema.GroupVersionResource) (schema.GroupVersionResource, error) {
	return m.current().ResourceFor(r)
}

func (m *liveMapper) ResourcesFor(r schema.GroupVersionResource) ([]schema.GroupVersionResource, error) {
	return m.current().ResourcesFor(r)
}

func (m *liveMapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	return m.current().RESTMapping(gk, versions...)
}

func (m *liveMapper) RESTMappings(gk schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	return m.current().RESTMappings(gk, versions...)
}

func (m *liveMapper) ResourceSingularizer(resource string) (string, error) {
	return m.current().ResourceSingularizer(resource)
}

// BeforeFirst reports whether no object of a built-in kind is stored. If so,
// wake is called once, just before the first object is written. That write
// waits for wake, so wake must not send requests to the server.
func (s *Server) BeforeFirst(ctx context.Context, kind schema.GroupVersionKind, wake func()) (bool, error) {
	if len(s.config.Etcd.Endpoints) > 0 {
		return false, nil // another server may write there
	}
	for _, r := range s.config.Resources {
		if r.GVK != kind {
			continue
		}
		// Kinds that show another group's objects are stored elsewhere.
		if len(r.Verbs) == 0 || r.StoredAs != nil && r.StoredAs.GroupKind() != kind.GroupKind() {
			return false, nil
		}
		return s.getter.BeforeFirst(ctx, r.GVR().GroupResource(), wake)
	}
	return false, nil
}

package dispatch

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"sort"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Install serves the resources and their discovery, legacy and aggregated, from
// s. Groups, and versions within one, are shown in the order of their priority,
// the higher first.
func (d *Dispatcher) Install(s *genericapiserver.GenericAPIServer, addresses discovery.Addresses, priority func(schema.GroupVersion) (group, version int32)) error {
	mux := s.Handler.NonGoRestfulMux
	groups := map[string]*metav1.APIGroup{}
	for _, gv := range d.groupVersions() {
		list := d.apiResources(gv)
		path := segments(gv)
		if len(list) == 0 {
			mux.HandlePrefix(path+"/", d) // for this process alone
			continue
		}
		described := discovery.NewAPIVersionHandler(d.codecs, gv, lister(list))
		mux.Handle(path, described)
		mux.HandlePrefix(path+"/", rooted{root: path + "/", at: described, below: d})
		converted, err := genericapi.ConvertGroupVersionIntoToDiscovery(list)
		if err != nil {
			return err
		}
		version := apidiscoveryv2.APIVersionDiscovery{Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Version: gv.Version, Resources: converted}
		if gv.Group == "" {
			s.AggregatedLegacyDiscoveryGroupManager.AddGroupVersion(gv.Group, version)
			continue
		}
		s.AggregatedDiscoveryGroupManager.AddGroupVersion(gv.Group, version)
		group, preference := priority(gv)
		s.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion{Group: gv.Group, Version: gv.Version}, int(group), int(preference))
		known := metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version}
		if g := groups[gv.Group]; g != nil {
			g.Versions = append(g.Versions, known)
			continue
		}
		groups[gv.Group] = &metav1.APIGroup{Name: gv.Group, PreferredVersion: known, Versions: []metav1.GroupVersionForDiscovery{known}}
	}
	for _, g := range slices.SortedFunc(maps.Values(groups), func(a, b *metav1.APIGroup) int {
		first, _ := priority(schema.GroupVersion{Group: a.Name, Version: a.PreferredVersion.Version})
		second, _ := priority(schema.GroupVersion{Group: b.Name, Version: b.PreferredVersion.Version})
		return cmp.Or(cmp.Compare(second, first), cmp.Compare(a.Name, b.Name))
	}) {
		s.DiscoveryGroupManager.AddGroup(*g)
		described := discovery.NewAPIGroupHandler(d.codecs, *g)
		mux.Handle("/apis/"+g.Name, described)
		mux.Handle("/apis/"+g.Name+"/", described)
	}
	legacy := discovery.NewLegacyRootAPIHandler(addresses, s.Serializer, "/api")
	root := aggregated.WrapAggregatedDiscoveryToHandler(legacy, s.AggregatedLegacyDiscoveryGroupManager, s.AggregatedLegacyDiscoveryGroupManager)
	mux.Handle("/api", root)
	mux.Handle("/api/", root)
	return nil
}

// rooted answers at a path with one handler and below it with another.
type rooted struct {
	root      string
	at, below http.Handler
}

func (h rooted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == h.root {
		h.at.ServeHTTP(w, r)
		return
	}
	h.below.ServeHTTP(w, r)
}

// groupVersions returns the versions in the order in which the resources were
// registered, a group's preferred version first.
func (d *Dispatcher) groupVersions() []schema.GroupVersion {
	var order []schema.GroupVersion
	seen := map[schema.GroupVersion]bool{}
	for _, r := range d.config.Resources {
		if gv := r.GVK.GroupVersion(); !seen[gv] {
			seen[gv] = true
			order = append(order, gv)
		}
	}
	return order
}

func (d *Dispatcher) apiResources(gv schema.GroupVersion) []metav1.APIResource {
	var list []metav1.APIResource
	for _, r := range d.config.Resources {
		if r.GVK.GroupVersion() == gv && !r.Hidden {
			list = append(list, described(r)...)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func described(r *registry.Resource) []metav1.APIResource {
	var list []metav1.APIResource
	stored := r.GVK
	if r.StoredAs != nil {
		stored = *r.StoredAs
	}
	if len(r.Verbs) > 0 {
		entry := metav1.APIResource{
			Name: r.Plural, SingularName: r.Singular, Namespaced: !r.ClusterScoped, Kind: r.GVK.Kind, Verbs: r.Verbs,
			ShortNames: r.ShortNames, Categories: r.Categories,
		}
		if slices.Contains(r.Verbs, "create") && slices.Contains(r.Verbs, "list") { // it is stored
			entry.StorageVersionHash = discovery.StorageVersionHash(stored.Group, stored.Version, stored.Kind)
		}
		list = append(list, entry)
	}
	for _, sub := range r.Subresources {
		entry := metav1.APIResource{Name: r.Plural + "/" + sub.Name, Namespaced: !r.ClusterScoped, Kind: sub.GVK.Kind, Verbs: sub.Verbs}
		if sub.GVK.GroupVersion() != r.GVK.GroupVersion() {
			entry.Group, entry.Version = sub.GVK.Group, sub.GVK.Version
		}
		list = append(list, entry)
	}
	return list
}

type lister []metav1.APIResource

// ListAPIResources implements discovery.APIResourceLister.
func (l lister) ListAPIResources() []metav1.APIResource { return l }

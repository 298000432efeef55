package customresources

import (
	"net/http"
	"slices"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	genericapi "k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// The priorities of the groups and versions of definitions among all, upstream's.
const (
	GroupPriority   = 1000
	VersionPriority = 100
)

// servedVersions returns the served versions of a definition, the preferred one first.
func servedVersions(crd *definitionCRD) []string {
	var names []string
	for _, v := range crd.Spec.Versions {
		if v.Served {
			names = append(names, v.Name)
		}
	}
	return byPreference(names)
}

func byPreference(versions []string) []string {
	slices.SortFunc(versions, func(a, b string) int { return version.CompareKubeAwareVersionStrings(b, a) })
	return slices.Compact(versions)
}

// group returns the resources that a group serves, by version. mu is held.
func (s *Server) group(name string) map[string][]metav1.APIResource {
	versions := map[string][]metav1.APIResource{}
	for _, d := range s.byName {
		if d.crd.Spec.Group != name || d.serving == nil {
			continue
		}
		for i := range d.crd.Spec.Versions {
			if v := &d.crd.Spec.Versions[i]; v.Served {
				versions[v.Name] = append(versions[v.Name], described(d.crd, v)...)
			}
		}
	}
	for _, list := range versions {
		slices.SortFunc(list, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	}
	return versions
}

func described(crd *definitionCRD, v *apiextensionsv1.CustomResourceDefinitionVersion) []metav1.APIResource {
	names, namespaced := crd.Status.AcceptedNames, crd.Spec.Scope == apiextensionsv1.NamespaceScoped
	verbs := metav1.Verbs{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}
	if apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Terminating) {
		verbs = metav1.Verbs{"delete", "deletecollection", "get", "list", "watch"}
	}
	var hash string
	if stored, err := apihelpers.GetCRDStorageVersion(crd); err == nil {
		hash = discovery.StorageVersionHash(crd.Spec.Group, stored, crd.Spec.Names.Kind)
	}
	list := []metav1.APIResource{{
		Name: names.Plural, SingularName: names.Singular, Namespaced: namespaced, Kind: names.Kind, Verbs: verbs,
		ShortNames: names.ShortNames, Categories: names.Categories, StorageVersionHash: hash,
	}}
	if v.Subresources == nil {
		return list
	}
	subresource := metav1.APIResource{Namespaced: namespaced, Kind: names.Kind, Verbs: metav1.Verbs{"get", "patch", "update"}}
	if v.Subresources.Status != nil {
		subresource.Name = names.Plural + "/status"
		list = append(list, subresource)
	}
	if v.Subresources.Scale != nil {
		subresource.Name = names.Plural + "/scale"
		subresource.Group, subresource.Version, subresource.Kind = "autoscaling", "v1", "Scale"
		list = append(list, subresource)
	}
	return list
}

func apiGroup(name string, versions map[string][]metav1.APIResource) metav1.APIGroup {
	var names []string
	for v := range versions {
		names = append(names, v)
	}
	group := metav1.APIGroup{Name: name}
	for _, v := range byPreference(names) {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + v, Version: v})
	}
	if len(group.Versions) > 0 {
		group.PreferredVersion = group.Versions[0]
	}
	return group
}

// announce puts a group into the documents of /apis. mu is held.
func (s *Server) announce(name string) {
	versions := s.group(name)
	if len(versions) == 0 {
		s.config.Discovery.RemoveGroup(name)
		s.config.Groups.RemoveGroup(name)
		return
	}
	for _, gone := range s.announced[name] {
		if _, ok := versions[gone]; !ok {
			s.config.Discovery.RemoveGroupVersion(metav1.GroupVersion{Group: name, Version: gone})
		}
	}
	group := apiGroup(name, versions)
	s.announced[name] = nil
	for _, v := range group.Versions {
		s.announced[name] = append(s.announced[name], v.Version)
		converted, err := genericapi.ConvertGroupVersionIntoToDiscovery(withGroup(schema.GroupVersion{Group: name, Version: v.Version}, versions[v.Version]))
		if err != nil {
			continue // it fails on lists that are not sorted, which these are
		}
		s.config.Discovery.AddGroupVersion(name, apidiscoveryv2.APIVersionDiscovery{
			Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Version: v.Version, Resources: converted,
		})
		s.config.Discovery.SetGroupVersionPriority(metav1.GroupVersion{Group: name, Version: v.Version}, GroupPriority, VersionPriority)
	}
	s.config.Groups.AddGroup(group)
}

// withGroup names group and version of each kind, as the conversion wants it.
func withGroup(gv schema.GroupVersion, list []metav1.APIResource) []metav1.APIResource {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Version == "" {
			out[i].Group, out[i].Version = gv.Group, gv.Version
		}
	}
	return out
}

type lister []metav1.APIResource

// ListAPIResources implements discovery.APIResourceLister.
func (l lister) ListAPIResources() []metav1.APIResource { return l }

// serveDiscovery answers /apis/GROUP and /apis/GROUP/VERSION.
func (s *Server) serveDiscovery(w http.ResponseWriter, req *http.Request, info *request.RequestInfo) {
	parts := strings.Split(strings.Trim(info.Path, "/"), "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] != "apis" {
		http.NotFound(w, req)
		return
	}
	s.mu.RLock()
	versions := s.group(parts[1])
	s.mu.RUnlock()
	if len(parts) == 2 && len(versions) > 0 {
		discovery.NewAPIGroupHandler(s.codecs, apiGroup(parts[1], versions)).ServeHTTP(w, req)
		return
	}
	if len(parts) == 3 && versions[parts[2]] != nil {
		discovery.NewAPIVersionHandler(s.codecs, schema.GroupVersion{Group: parts[1], Version: parts[2]}, lister(versions[parts[2]])).ServeHTTP(w, req)
		return
	}
	http.NotFound(w, req)
}

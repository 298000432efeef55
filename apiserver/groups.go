package apiserver

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/discovery"
)

// The announcers of groups, the most authoritative first. The aggregator has all
// APIServices of a group that has one of another server. Definitions come before
// what is built in, because upstream gives their versions higher priority.
const (
	ofAggregator = iota
	ofDefinitions
	builtIn
	announcers
)

// groups is the legacy discovery of groups. A group may be built in, have
// versions by definitions, and be served elsewhere in part. Removing one
// provider keeps the versions that other providers serve.
type groups struct {
	all    discovery.GroupManager
	codecs runtime.NegotiatedSerializer

	mu sync.Mutex
	by [announcers]map[string]metav1.APIGroup
}

func newGroups(all discovery.GroupManager, codecs runtime.NegotiatedSerializer) *groups {
	g := &groups{all: all, codecs: codecs}
	for i := range g.by {
		g.by[i] = map[string]metav1.APIGroup{}
	}
	return g
}

// from returns the manager that one announcer uses.
func (g *groups) from(announcer int) discovery.GroupManager {
	return announced{GroupManager: g.all, groups: g, announcer: announcer}
}

type announced struct {
	discovery.GroupManager
	groups    *groups
	announcer int
}

// AddGroup implements discovery.GroupManager.
func (a announced) AddGroup(group metav1.APIGroup) { a.groups.set(a.announcer, group.Name, &group) }

// RemoveGroup implements discovery.GroupManager.
func (a announced) RemoveGroup(name string) { a.groups.set(a.announcer, name, nil) }

func (g *groups) set(announcer int, name string, group *metav1.APIGroup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if group == nil {
		delete(g.by[announcer], name)
	} else {
		g.by[announcer][name] = *group
	}
	if merged, _ := g.merged(name); len(merged.Versions) > 0 {
		g.all.AddGroup(merged)
	} else {
		g.all.RemoveGroup(name)
	}
}

// merged returns a group with the versions of all, and how many announce it. mu is held.
func (g *groups) merged(name string) (metav1.APIGroup, int) {
	merged, count := metav1.APIGroup{Name: name}, 0
	for _, one := range g.by {
		group, ok := one[name]
		if !ok {
			continue
		}
		count++
		for _, v := range group.Versions {
			if !slices.Contains(merged.Versions, v) {
				merged.Versions = append(merged.Versions, v)
			}
		}
	}
	if len(merged.Versions) > 0 {
		merged.PreferredVersion = merged.Versions[0]
	}
	return merged, count
}

// serve answers for a group with several announcers, each of which answers for
// its own alone; it returns false for all other requests.
func (g *groups) serve(w http.ResponseWriter, r *http.Request) bool {
	name, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), "/apis/")
	if !ok || name == "" || strings.Contains(name, "/") {
		return false
	}
	g.mu.Lock()
	merged, count := g.merged(name)
	g.mu.Unlock()
	if count < 2 {
		return false
	}
	discovery.NewAPIGroupHandler(g.codecs, merged).ServeHTTP(w, r)
	return true
}

// front is before all that serves /apis: an APIService takes its version even
// from what is built in, as upstream.
type front struct {
	server *Server
	next   http.Handler
}

// ServeHTTP implements http.Handler.
func (f front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/apis/") && (f.server.groups.serve(w, r) || f.server.aggregator.Serve(w, r)) {
		return
	}
	f.next.ServeHTTP(w, r)
}

package plan

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// continued is a list that has more.
type continued struct {
	kind  *Kind
	query url.Values
	token string
}

const (
	table   = "application/json;as=Table;g=meta.k8s.io;v=v1"
	partial = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	compact = runtime.ContentTypeProtobuf + ", application/json"
)

func (g *Generator) accept() string {
	switch g.random.IntN(10) {
	case 0, 1:
		return table
	case 2:
		return partial
	case 3:
		return g.pick(compact, runtime.ContentTypeProtobuf, strings.Replace(partial, "application/json", runtime.ContentTypeProtobuf, 1), strings.Replace(table, "application/json", runtime.ContentTypeProtobuf, 1))
	case 4:
		return g.pick("application/yaml", "*/*", "application/json;as=Table;g=meta.k8s.io;v=v1beta1", "text/html", "application/json;as=Other;g=meta.k8s.io;v=v1", "application/json;pretty=1")
	}
	return ""
}

func (g *Generator) get() (Request, bool) {
	k := g.kind("get")
	if k == nil {
		return Request{}, false
	}
	names := g.names(k)
	name := "none"
	if len(names) > 0 {
		name = names[g.random.IntN(len(names))]
	}
	if o := g.object("get"); o != nil && g.chance(2) {
		k, name = o.Kind, o.Name
	}
	r := Request{Method: http.MethodGet, Path: k.Path(g.namespace) + "/" + name, Query: url.Values{}, Accept: g.accept(), target: target{kind: k, name: name}}
	if r.Accept == table && g.chance(2) {
		r.Query.Set("includeObject", g.pick("None", "Object", "Metadata", "Other"))
	}
	if v := g.marks[k]; v != "" && g.chance(3) {
		r.Query.Set("resourceVersion", v)
	}
	return r, true
}

// fieldSelector returns one of some selectors of each kind; unknown fields are refused.
func (g *Generator) fieldSelector(k *Kind) string {
	some := []string{"metadata.name=" + g.pick(g.names(k)...), "metadata.namespace=" + g.namespace, "metadata.name!=" + g.pick(g.names(k)...), "spec.unknown=x", "metadata.name", "=", "metadata.name=a,metadata.name=b"}
	more := map[string][]string{
		"pods":     {"spec.nodeName=n1", "spec.nodeName=", "status.phase=Pending", "status.phase!=Pending", "spec.restartPolicy=Always", "spec.schedulerName=default-scheduler", "spec.serviceAccountName=", "spec.hostNetwork=false", "status.podIP=", "status.nominatedNodeName="},
		"events":   {"involvedObject.kind=Pod", "reason=BackOff", "type=Normal", "involvedObject.name=p", "reportingComponent=x", "source=kubelet", "regarding.kind=Pod", "reportingController=x"},
		"secrets":  {"type=Opaque", "type!=Opaque"},
		"services": {"spec.clusterIP=None", "spec.type=ClusterIP", "spec.type!=ClusterIP"},
		"nodes":    {"spec.unschedulable=true"}, "namespaces": {"status.phase=Active"}, "replicasets": {"status.replicas=0"}, "replicationcontrollers": {"status.replicas=0"}, "jobs": {"status.successful=0"},
		"certificatesigningrequests": {"spec.signerName=example.com/mine"}, "clustertrustbundles": {"spec.signerName=example.com/mine"}, "ipaddresses": {"spec.parentRef.name=x"}, "resourceslices": {"spec.nodeName=n1", "spec.driver=gpu.example.com"}, "podcertificaterequests": {"spec.signerName=example.com/mine", "spec.nodeName=n1"},
	}
	return g.pick(append(some, more[k.Resource]...)...)
}

func (g *Generator) selectors(k *Kind, q url.Values) {
	if g.chance(3) {
		q.Set("labelSelector", g.pick("a=b", "a!=b", "a in (b,c)", "a notin (b)", "a", "!a", "a>1", "a=b,c!=d", "a=b=c", "(", "patched", "kubernetes.io/metadata.name"))
	}
	if g.chance(3) {
		q.Set("fieldSelector", g.fieldSelector(k))
	}
}

// unlisted kinds have objects of several workers, which come and go meanwhile.
var unlisted = map[string]bool{"componentstatuses": true, "customresourcedefinitions": true, "apiservices": true, "ipaddresses": true}

func (g *Generator) list() (Request, bool) {
	if len(g.continues) > 0 && g.chance(2) {
		c := g.continues[0]
		g.continues = g.continues[1:]
		c.query.Set("continue", c.token)
		return Request{Method: http.MethodGet, Path: c.kind.Path(g.namespace), Query: c.query, target: target{kind: c.kind}}, true
	}
	k := g.kind("list")
	if k == nil || unlisted[k.Resource] {
		return Request{}, false
	}
	r := Request{Method: http.MethodGet, Path: k.Path(g.namespace), Query: url.Values{}, Accept: g.accept(), target: target{kind: k}}
	g.selectors(k, r.Query)
	if !shared(k) {
		if g.chance(3) && !g.completes() && !g.unordered(k) {
			r.Query.Set("limit", g.pick("1", "2", "3", "0", "-1", "x"))
		}
		if g.chance(30) {
			r.Query.Set("continue", g.pick("x", "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4In0"))
		}
	}
	if v := g.marks[k]; v != "" && g.chance(3) && !shared(k) {
		r.Query.Set("resourceVersion", v)
		r.Query.Set("resourceVersionMatch", g.pick("Exact", "Exact", "NotOlderThan", "Other"))
	} else if g.chance(30) {
		r.Query.Set(g.pick("resourceVersionMatch", "resourceVersion"), g.pick("x", "Exact", "-1", "99999999999"))
	}
	return r, true
}

// completes reports whether a worker lets servers complete names: those that do take lists
// whole, since a part of one would have other objects.
func (g *Generator) completes() bool { return g.config.Worker%2 == 0 }

// completed is the end of a name that the servers completed, or a name that is a UID;
// see answer.Symbols.
var completed = regexp.MustCompile(`zz\d{5}zz$|^00000000-0000-4000-8000-\d{12}$`)

// unordered reports whether the order of a resource's objects, in any version, is by
// chance: two have names that the servers completed and that begin alike, or one is
// named by a UID.
func (g *Generator) unordered(k *Kind) bool {
	if k.Resource == "events" {
		return true // each server's controllers add their own
	}
	begun := map[string]bool{}
	for kind, objects := range g.objects {
		if kind.Resource != k.Resource {
			continue
		}
		for _, o := range objects {
			at := completed.FindStringIndex(o.Name)
			if at == nil {
				continue
			}
			prefix := o.Name[:at[0]]
			if begun[prefix] || prefix == "" {
				return true
			}
			begun[prefix] = true
		}
	}
	return false
}

// shared reports whether the servers themselves have objects of the kind, which
// come and go without a request.
func shared(k *Kind) bool {
	return !k.Namespaced
}

// listed remembers from what a watch can begin, and lists that have more.
func (g *Generator) listed(r Request, version string, meta map[string]any) {
	if token, ok := meta["continue"].(string); ok && token != "" {
		g.continues = append(g.continues, continued{kind: r.target.kind, query: r.Query, token: token})
		return
	}
	if r.Query.Get("labelSelector") == "" && r.Query.Get("fieldSelector") == "" && r.Query.Get("resourceVersion") == "" && r.Query.Get("continue") == "" {
		g.versions[r.target.kind] = version
	}
}

// watch plans a write that ends a watch. When its version is known, the watch follows.
func (g *Generator) watch() (Request, bool) {
	o := g.object("watch")
	if o == nil || g.versions[o.Kind] == "" || !o.Kind.Can("patch") || !followed(o.Kind) {
		return Request{}, false
	}
	mark := g.random.Uint32()
	return Request{Method: http.MethodPatch, Path: o.Kind.Path(g.namespace) + "/" + o.Name, ContentType: "application/merge-patch+json",
		Body:   encode(map[string]any{"metadata": map[string]any{"annotations": map[string]any{"mark": encode(mark)}}}),
		target: target{kind: o.Kind, name: o.Name, marked: true}}, true
}

// followed reports whether a kind is watched: not one of whose objects other workers
// have some that come and go.
func followed(k *Kind) bool {
	return k.Namespaced || !unlisted[k.Resource] && k.Resource != "namespaces" && k.Group != "admissionregistration.k8s.io" && k.Group != "rbac.authorization.k8s.io"
}

// watched plans the watch that ends with version.
func (g *Generator) watched(k *Kind, version string) {
	q := url.Values{"watch": {"1"}, "resourceVersion": {g.versions[k]}, "timeoutSeconds": {"10"}}
	if g.chance(4) {
		q.Set("allowWatchBookmarks", "true")
	}
	delete(g.versions, k)
	g.queue = append(g.queue, Request{Method: http.MethodGet, Path: k.Path(g.namespace), Query: q, Accept: g.pick("", compact, table, partial), Until: version, target: target{kind: k}})
}

package plan

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// options returns the query of a write.
func (g *Generator) options() url.Values {
	q := url.Values{}
	if g.chance(2) {
		q.Set("fieldValidation", g.pick("Strict", "Strict", "Warn", "Warn", "Ignore", "", "strict"))
	}
	if g.chance(5) {
		q.Set("fieldManager", g.pick("m1", "m2", "kubectl", "", strings.Repeat("m", 129), "\u00fc", "a\x01"))
	}
	return q
}

func (g *Generator) create() (Request, bool) {
	k := g.kind("create")
	if k == nil {
		return Request{}, false
	}
	names := g.names(k)
	name := names[g.random.IntN(len(names))]
	body := g.sample(k, name)
	r := Request{Method: http.MethodPost, Path: k.Path(g.namespace), Query: g.options(), Lasting: lasting(k), target: target{kind: k, name: name}}
	meta, _ := body["metadata"].(map[string]any)
	switch {
	case meta == nil:
	case g.chance(12) && !named[k.Resource] && g.completes():
		delete(meta, "name")
		r.Generated = g.pick("gen-", "long-"+strings.Repeat("n", 60)+"-", "UPPER-")
		meta["generateName"] = r.Generated
		if len(r.Generated) > 58 {
			r.Generated = r.Generated[:58]
		}
		r.target.name = ""
	case g.chance(60):
		delete(meta, "name")
	case g.chance(60):
		meta["namespace"] = "other"
	case g.chance(60):
		body["kind"] = g.pick("Pod", "", "Unknown", "ConfigMap")
	}
	if prefix, ok := meta["generateName"].(string); ok && r.Generated == "" && meta["name"] == nil {
		if strings.ContainsFunc(prefix, unicode.IsControl) {
			prefix = "gen-" // messages quote a name, which is no name then
			meta["generateName"] = prefix
		}
		r.Generated = prefix[:min(len(prefix), 58)]
	}
	if g.chance(12) {
		return g.compacted(r, body), true
	}
	return g.encoded(r, body), true
}

// state returns an object as it was shown last, with or without what servers add.
func (g *Generator) state(o *Object) map[string]any {
	body := clone(o.Body)
	meta, ok := body["metadata"].(map[string]any)
	if !ok {
		return body
	}
	if !g.chance(6) {
		delete(meta, "managedFields")
	}
	switch g.random.IntN(12) {
	case 0, 1, 2:
		delete(meta, "resourceVersion")
	case 3:
		meta["resourceVersion"] = g.pick("1", "0", "", "x")
	case 4:
		delete(meta, "uid")
	}
	return body
}

func (g *Generator) update() (Request, bool) {
	o := g.object("update")
	if o == nil {
		return Request{}, false
	}
	body := g.state(o)
	if !g.chance(6) {
		body = g.tame(o.Kind, o.Name, g.mangled(body))
	}
	name := o.Name
	if g.chance(25) {
		names := g.names(o.Kind)
		name = names[g.random.IntN(len(names))]
		if meta, ok := body["metadata"].(map[string]any); ok && g.chance(2) {
			meta["name"] = name
		}
	}
	r := Request{Method: http.MethodPut, Path: o.Kind.Path(g.namespace) + "/" + name, Query: g.options(), Lasting: lasting(o.Kind), target: target{kind: o.Kind, name: name}}
	return g.encoded(r, body), true
}

func (g *Generator) patch() (Request, bool) {
	o := g.object("patch")
	if o == nil {
		return Request{}, false
	}
	r := Request{Method: http.MethodPatch, Path: o.Kind.Path(g.namespace) + "/" + o.Name, Query: g.options(), Lasting: lasting(o.Kind), target: target{kind: o.Kind, name: o.Name}}
	return g.patched(r, o.Kind, o.Name, o.Body), true
}

// patched makes r a patch of body towards a changed one.
func (g *Generator) patched(r Request, k *Kind, name string, body map[string]any) Request {
	to := g.tame(k, name, g.mangled(body))
	from := clone(body)
	delete(metadata(to), "managedFields")
	delete(metadata(from), "managedFields")
	merge := difference(from, to)
	if g.chance(5) {
		merge = g.broken(merge)
	}
	if g.chance(10) {
		merge["metadata"] = map[string]any{"finalizers": nil}
	}
	switch g.random.IntN(10) {
	case 0, 1, 2, 3:
		r.ContentType, r.Body = "application/merge-patch+json", encode(merge)
	case 4, 5, 6:
		r.ContentType, r.Body = "application/strategic-merge-patch+json", encode(g.directed(merge))
	case 7, 8:
		r.ContentType, r.Body = "application/json-patch+json", encode(g.operations(from, merge))
	default:
		r.ContentType, r.Body = g.pick("application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json", "application/json", ""),
			g.pick("{", "[]", "null", `{"metadata":{"labels":{"patched":"yes"}}}`, `[{"op":"remove","path":"/metadata/name"}]`, `{"metadata":null}`, `{"spec":null}`, `{"$patch":"delete"}`, `{"$patch":"replace"}`, `[{"op":"test","path":"/kind","value":"x"}]`)
	}
	return r
}

// difference returns the merge patch that makes to of from.
func difference(from, to map[string]any) map[string]any {
	patch := map[string]any{}
	for k, v := range to {
		old, ok := from[k]
		a, isObject := v.(map[string]any)
		b, wasObject := old.(map[string]any)
		switch {
		case ok && isObject && wasObject:
			if d := difference(b, a); len(d) > 0 {
				patch[k] = d
			}
		case !ok || encode(old) != encode(v):
			patch[k] = v
		}
	}
	for k := range from {
		if _, ok := to[k]; !ok {
			patch[k] = nil
		}
	}
	return patch
}

// directed adds directives of strategic merge patches.
func (g *Generator) directed(patch map[string]any) map[string]any {
	if !g.chance(4) {
		return patch
	}
	at := patch
	for {
		keys := slices.Sorted(maps.Keys(at))
		if len(keys) == 0 || g.chance(3) {
			break
		}
		next := g.below(at[keys[g.random.IntN(len(keys))]])
		if next == nil {
			break
		}
		at = next
	}
	key := "containers"
	if keys := slices.Sorted(maps.Keys(at)); len(keys) > 0 {
		key = keys[g.random.IntN(len(keys))]
	}
	switch g.random.IntN(4) {
	case 0:
		at["$patch"] = g.pick("replace", "delete", "merge", "other")
	case 1:
		at["$retainKeys"] = []any{key}
	case 2:
		at["$setElementOrder/"+key] = []any{map[string]any{"name": "c"}}
	default:
		gone := "x"
		if list, _ := at[key].([]any); slices.Contains(list, any(gone)) {
			gone = "y" // what a patch both adds and deletes goes by the order of a map
		}
		at["$deleteFromPrimitiveList/"+key] = []any{gone}
	}
	return patch
}

// operations returns a JSON patch that does what a merge patch does.
func (g *Generator) operations(from, merge map[string]any) []any {
	var out []any
	g.walk("", from, merge, &out)
	if g.chance(4) {
		out = append(out, map[string]any{"op": g.pick("test", "move", "copy", "remove", "replace", "other"), "path": g.pick("/metadata/labels/x", "/spec", "/kind", "/metadata/annotations/-", "x", ""),
			"from": g.pick("/metadata/labels", "/metadata/name", "/spec"), "value": g.pick("x", "Pod")})
	}
	return out
}

func (g *Generator) walk(at string, from, merge map[string]any, out *[]any) {
	for _, k := range slices.Sorted(maps.Keys(merge)) {
		path := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(k)
		next, ok := merge[k].(map[string]any)
		below, there := from[k].(map[string]any)
		switch {
		case ok && there:
			g.walk(path, below, next, out)
		case merge[k] == nil:
			*out = append(*out, map[string]any{"op": "remove", "path": path})
		case g.chance(5):
			*out = append(*out, map[string]any{"op": "replace", "path": path, "value": merge[k]})
		default:
			*out = append(*out, map[string]any{"op": "add", "path": path, "value": merge[k]})
		}
	}
}

// apply plans a server-side apply of a part of an object.
func (g *Generator) apply() (Request, bool) {
	k := g.kind("patch")
	if k == nil || len(k.Samples) == 0 && g.custom(k) == nil {
		return Request{}, false
	}
	names := g.names(k)
	name := names[g.random.IntN(len(names))]
	body := g.sample(k, name)
	if o := g.object("patch"); o != nil && g.chance(2) {
		k, name = o.Kind, o.Name
		body = clone(o.Body)
		meta := metadata(body)
		for _, field := range []string{"managedFields", "uid", "creationTimestamp", "generation", "resourceVersion"} {
			if !g.chance(30) {
				delete(meta, field)
			}
		}
		if g.chance(2) {
			body = g.tame(k, name, g.mangled(body))
		}
	}
	g.thin(body)
	q := g.options()
	q.Set("fieldManager", g.pick("m1", "m2", "m3"))
	if g.chance(40) {
		q.Del("fieldManager")
	}
	if g.chance(2) {
		q.Set("force", g.pick("true", "true", "true", "false", "x"))
	}
	r := Request{Method: http.MethodPatch, Path: k.Path(g.namespace) + "/" + name, Query: q, ContentType: "application/apply-patch+yaml", Body: encode(body), Lasting: lasting(k), target: target{kind: k, name: name}}
	return r, true
}

// thin leaves out some fields, so that managers own different ones.
func (g *Generator) thin(body map[string]any) {
	for _, k := range slices.Sorted(maps.Keys(body)) {
		if k == "apiVersion" || k == "kind" || k == "metadata" {
			continue
		}
		if g.chance(5) {
			delete(body, k)
			continue
		}
		if below, ok := body[k].(map[string]any); ok && g.chance(2) {
			g.thin(below)
		}
	}
}

func (g *Generator) remove() (Request, bool) {
	o := g.object("delete")
	if o == nil {
		return Request{}, false
	}
	r := Request{Method: http.MethodDelete, Path: o.Kind.Path(g.namespace) + "/" + o.Name, Query: url.Values{}, Lasting: lasting(o.Kind), target: target{kind: o.Kind, name: o.Name}}
	g.deleteOptions(&r, o)
	return r, true
}

func (g *Generator) removeAll() (Request, bool) {
	k := g.kind("deletecollection")
	if k == nil {
		return Request{}, false
	}
	r := Request{Method: http.MethodDelete, Path: k.Path(g.namespace), Query: url.Values{}, Lasting: lasting(k), target: target{kind: k}}
	if g.chance(2) || !k.Namespaced {
		r.Query.Set("labelSelector", g.pick("a=b", "a!=b,a", "patched", "x in (y)", "a="))
	}
	if g.chance(4) {
		r.Query.Set("fieldSelector", "metadata.name="+g.pick(g.names(k)...))
	}
	g.deleteOptions(&r, nil)
	return r, true
}

func (g *Generator) deleteOptions(r *Request, o *Object) {
	if g.chance(3) {
		return
	}
	options := map[string]any{}
	if g.chance(2) {
		options["gracePeriodSeconds"] = []any{0, 0, 0, 1, 30, -1, "x", 1 << 40}[g.random.IntN(8)]
	}
	if g.chance(3) {
		options["propagationPolicy"] = g.pick("Foreground", "Background", "Orphan", "Other", "")
	}
	if g.chance(8) {
		options["orphanDependents"] = g.chance(2)
	}
	if o != nil && g.chance(4) {
		meta, _ := o.Body["metadata"].(map[string]any)
		options["preconditions"] = []map[string]any{{"uid": meta["uid"]}, {"uid": "other"}, {"resourceVersion": meta["resourceVersion"]}, {"resourceVersion": "1"}}[g.random.IntN(4)]
	}
	if g.chance(20) {
		options["ignoreStoreReadErrorWithClusterBreakingPotential"] = g.chance(2)
	}
	if g.chance(3) {
		for k, v := range options {
			switch v := v.(type) {
			case string:
				r.Query.Set(k, v)
			case int:
				r.Query.Set(k, strconv.Itoa(v))
			case bool:
				r.Query.Set(k, strconv.FormatBool(v))
			}
		}
		return
	}
	options["kind"], options["apiVersion"] = "DeleteOptions", g.pick("v1", "meta.k8s.io/v1", "apps/v1")
	r.Body, r.ContentType = encode(options), "application/json"
}

// lasting reports whether other parts of the servers follow objects of a kind.
func lasting(k *Kind) bool {
	switch k.Resource {
	case "roles", "rolebindings", "clusterroles", "clusterrolebindings", "limitranges", "resourcequotas", "priorityclasses", "runtimeclasses", "storageclasses",
		"serviceaccounts", "customresourcedefinitions", "apiservices", "flowschemas", "prioritylevelconfigurations", "servicecidrs", "namespaces", "persistentvolumes", "nodes":
		return true
	}
	return false
}

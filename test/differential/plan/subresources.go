package plan

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

func (g *Generator) subresource() (Request, bool) {
	o := g.object("get")
	for range 20 {
		if o != nil && len(o.Kind.Subresources) > 0 {
			break
		}
		o = g.object("get")
	}
	if o == nil || len(o.Kind.Subresources) == 0 {
		return Request{}, false
	}
	sub := o.Kind.Subresources[g.random.IntN(len(o.Kind.Subresources))]
	r := Request{Path: o.Kind.Path(g.namespace) + "/" + o.Name + "/" + sub.Name, Query: g.options(), target: target{kind: o.Kind, name: o.Name, sub: sub.Name}}
	switch sub.Name {
	case "log", "exec", "attach", "portforward", "proxy":
		return g.connect(r, sub.Name), true
	}
	verb := sub.Verbs[g.random.IntN(len(sub.Verbs))]
	switch verb {
	case "create":
		r.Method = http.MethodPost
		return g.encoded(r, g.posted(o, sub)), true
	case "update":
		r.Method = http.MethodPut
		return g.encoded(r, g.put(o, sub)), true
	case "patch":
		r.Method = http.MethodPatch
		if sub.Kind.Kind == "Scale" {
			r.ContentType, r.Body = "application/merge-patch+json", fmt.Sprintf(`{"spec":{"replicas":%d}}`, g.random.IntN(6)-1)
			return r, true
		}
		if g.chance(4) {
			return g.applied(r, o), true
		}
		return g.patched(r, o.Kind, o.Name, o.Body), true
	}
	r.Method, r.Query = http.MethodGet, nil
	r.Accept = g.accept()
	return r, true
}

// applied returns a server-side apply of a status.
func (g *Generator) applied(r Request, o *Object) Request {
	body := g.state(o)
	meta, ok := body["metadata"].(map[string]any)
	if !ok {
		return r
	}
	delete(meta, "managedFields")
	delete(body, "spec")
	r.Query.Set("fieldManager", g.pick("m1", "m2"))
	r.Query.Set("force", g.pick("true", "false"))
	r.ContentType, r.Body = "application/apply-patch+yaml", encode(g.tame(o.Kind, o.Name, g.mangled(body)))
	return r
}

// put returns a body for a subresource.
func (g *Generator) put(o *Object, sub Subresource) map[string]any {
	if sub.Kind.Kind == "Scale" {
		meta, _ := o.Body["metadata"].(map[string]any)
		scale := map[string]any{"apiVersion": sub.Kind.GroupVersion().String(), "kind": "Scale", "metadata": map[string]any{"name": o.Name, "namespace": g.namespace}, "spec": map[string]any{"replicas": g.random.IntN(6) - 1}}
		if g.chance(2) {
			scale["metadata"].(map[string]any)["resourceVersion"] = meta["resourceVersion"]
		}
		return scale
	}
	body := g.state(o)
	if g.chance(2) { // the status of a sample
		var s map[string]any
		if len(o.Kind.Samples) > 0 && json.Unmarshal(o.Kind.Samples[g.random.IntN(len(o.Kind.Samples))].Body, &s) == nil && s["status"] != nil {
			body["status"] = s["status"]
		}
	}
	switch sub.Name {
	case "finalize":
		if spec, ok := body["spec"].(map[string]any); ok && g.chance(2) {
			delete(spec, "finalizers")
		}
	case "ephemeralcontainers":
		if spec, ok := body["spec"].(map[string]any); ok {
			spec["ephemeralContainers"] = []any{map[string]any{"name": g.pick("e", "f", "a"), "image": "i"}}
		}
	case "resize":
		if spec, ok := body["spec"].(map[string]any); ok {
			if containers, ok := spec["containers"].([]any); ok && len(containers) > 0 {
				if c, ok := containers[0].(map[string]any); ok {
					c["resources"] = map[string]any{g.pick("requests", "limits"): map[string]any{"cpu": g.pick("1", "2", "100m", "0", "-1"), "memory": "1Gi"}}
				}
			}
		}
	case "approval":
		body["status"] = map[string]any{"conditions": []any{map[string]any{"type": g.pick("Approved", "Denied", "Failed", "Other"), "status": "True", "reason": "r", "message": "m"}}}
	}
	if g.chance(2) {
		body = g.tame(o.Kind, o.Name, g.mangled(body))
	}
	return body
}

// posted returns a body for a subresource that is created.
func (g *Generator) posted(o *Object, sub Subresource) map[string]any {
	meta, _ := o.Body["metadata"].(map[string]any)
	body := map[string]any{"apiVersion": sub.Kind.GroupVersion().String(), "kind": sub.Kind.Kind, "metadata": map[string]any{"name": o.Name, "namespace": g.namespace}}
	switch sub.Name {
	case "binding":
		body["target"] = map[string]any{"kind": g.pick("Node", "Node", "", "Pod"), "name": g.pick("n1", "n1", "n2", "", "not a name")}
	case "eviction":
		if g.chance(2) {
			body["deleteOptions"] = map[string]any{"gracePeriodSeconds": g.random.IntN(3) - 1, "preconditions": map[string]any{"uid": []any{meta["uid"], "x"}[g.random.IntN(2)]}}
		}
	case "token":
		body["spec"] = map[string]any{"audiences": []any{g.pick("a", "", "https://differential.example")}, "expirationSeconds": []int{3600, 10, 600, 1 << 33}[g.random.IntN(4)]}
	}
	if g.chance(4) {
		return g.mangled(body)
	}
	return body
}

func (g *Generator) connect(r Request, sub string) Request {
	r.Method, r.Query = http.MethodGet, nil
	r.Query = map[string][]string{}
	switch sub {
	case "log":
		for _, o := range []string{"container=a", "container=x", "tailLines=1", "tailLines=-1", "follow=true", "limitBytes=0", "sinceSeconds=1", "sinceTime=x", "previous=true", "timestamps=true", "stream=Stdout"} {
			if g.chance(5) {
				k, v, _ := cut(o)
				r.Query.Set(k, v)
			}
		}
	case "exec", "attach":
		r.Method = g.pick(http.MethodGet, http.MethodPost)
		for _, o := range []string{"container=a", "container=x", "stdout=true", "stdin=true", "tty=true", "stderr=true", "command=ls"} {
			if g.chance(3) {
				k, v, _ := cut(o)
				r.Query.Set(k, v)
			}
		}
	case "portforward":
		r.Method = http.MethodPost
	}
	return r
}

func cut(option string) (k, v string, ok bool) {
	i := slices.Index([]byte(option), '=')
	return option[:i], option[i+1:], true
}

// review plans a question about rights.
func (g *Generator) review() (Request, bool) {
	var reviews []*Kind
	for _, k := range g.kinds {
		if isReview(k) {
			reviews = append(reviews, k)
		}
	}
	if len(reviews) == 0 {
		return Request{}, false
	}
	k := reviews[g.random.IntN(len(reviews))]
	body := map[string]any{"apiVersion": k.GroupVersion().String(), "kind": k.Kind}
	attributes := map[string]any{"namespace": g.pick(g.namespace, "", "default"), "verb": g.pick("get", "list", "create", "*", "use"), "resource": g.pick("pods", "secrets", "configmaps", "*", "roles"), "name": g.pick("a", ""), "group": g.pick("", "apps", "*")}
	spec := map[string]any{}
	switch k.Kind {
	case "SelfSubjectRulesReview":
		spec["namespace"] = g.pick(g.namespace, "default", "")
	case "TokenReview":
		spec["token"] = g.pick("x", "", "a.b.c")
	case "SelfSubjectReview":
	default:
		spec["resourceAttributes"] = attributes
		if g.chance(4) {
			spec["nonResourceAttributes"] = map[string]any{"path": g.pick("/healthz", "/x", "*"), "verb": "get"}
		}
		if g.chance(4) {
			delete(spec, "resourceAttributes")
		}
		if k.Kind != "SelfSubjectAccessReview" {
			spec["user"], spec["groups"] = g.pick("u", "v", "system:admin", ""), []any{g.pick("g", "system:masters", "system:authenticated")}
		}
		if k.Kind == "LocalSubjectAccessReview" {
			body["metadata"] = map[string]any{"namespace": g.namespace}
		}
	}
	body["spec"] = spec
	if g.chance(4) {
		body = g.mangled(body)
	}
	r := Request{Method: http.MethodPost, Path: k.Path(g.namespace), Query: g.options(), target: target{kind: k}}
	return g.encoded(r, body), true
}

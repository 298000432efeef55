package plan

import (
	"net/http"
	"strings"
)

// grant plans a role with random rules, or a binding of one to the worker's own users.
func (g *Generator) grant() (Request, bool) {
	resource := g.pick("roles", "roles", "rolebindings", "rolebindings", "clusterroles", "clusterrolebindings")
	var k *Kind
	for _, some := range g.config.Kinds {
		if some.Group == "rbac.authorization.k8s.io" && some.Resource == resource {
			k = some
		}
	}
	if k == nil {
		return Request{}, false
	}
	name := g.pick(g.names(k)...)
	body := map[string]any{"apiVersion": k.GroupVersion().String(), "kind": k.Kind, "metadata": map[string]any{"name": name}}
	if strings.HasSuffix(resource, "bindings") {
		body["roleRef"], body["subjects"] = g.roleRef(resource), g.subjects()
	} else {
		body["rules"] = g.rightsOf(resource == "clusterroles")
	}
	r := Request{Method: http.MethodPost, Path: k.Path(g.namespace), Query: g.options(), ContentType: "application/json", Body: encode(body), Lasting: true, target: target{kind: k, name: name}}
	if g.named(k, name) != nil {
		r.Method, r.Path = http.MethodPut, r.Path+"/"+name
	}
	return r, true
}

func (g *Generator) roleRef(resource string) map[string]any {
	// view, edit and admin are filled by a controller, which upstream does not run here.
	kind, names := "ClusterRole", []string{"system:aggregate-to-view", "system:aggregate-to-edit", "cluster-admin", "system:basic-user", "a-" + g.namespace, "b-" + g.namespace}
	if resource == "rolebindings" && g.chance(2) {
		kind, names = "Role", []string{"a", "b", "c", "none"}
	}
	return map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": g.pick(names...)}
}

func (g *Generator) subjects() []any {
	var out []any
	for range g.random.IntN(3) {
		switch g.random.IntN(3) {
		case 0:
			out = append(out, map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": g.pick("u-", "v-") + g.namespace})
		case 1:
			out = append(out, map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "g-" + g.namespace})
		default:
			out = append(out, map[string]any{"kind": "ServiceAccount", "name": "a", "namespace": g.namespace})
		}
	}
	return out
}

// rightsOf returns random rules over the worker's kinds.
func (g *Generator) rightsOf(cluster bool) []any {
	rules := []any{}
	for range g.random.IntN(4) {
		if cluster && g.chance(6) {
			rules = append(rules, map[string]any{"nonResourceURLs": []any{g.pick("/healthz", "/version", "*", "/apis/*")}, "verbs": []any{g.pick("get", "*", "post")}})
			continue
		}
		var groups, resources, verbs []any
		for range 1 + g.random.IntN(4) {
			k := g.kinds[g.random.IntN(len(g.kinds))]
			name := k.Resource
			if n := len(k.Subresources); n > 0 && g.chance(4) {
				name += "/" + k.Subresources[g.random.IntN(n)].Name
			}
			groups, resources = append(groups, g.pick(k.Group, k.Group, k.Group, "*")), append(resources, g.pick(name, name, name, "*", "*/status", "pods/*"))
		}
		for range 1 + g.random.IntN(4) {
			verbs = append(verbs, g.pick("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "*", "bind", "escalate", "impersonate"))
		}
		rule := map[string]any{"apiGroups": groups, "resources": resources, "verbs": verbs}
		g.maybe(rule, "resourceNames", []any{g.pick("a", "b", "a-"+g.namespace, "")})
		rules = append(rules, rule)
	}
	return rules
}

package plan

import (
	"net/http"
	"net/url"
)

// policy plans to replace the worker's admission policy, validating or mutating, and
// its binding. It holds for the worker's namespace. Servers follow policies with a
// lag, so the last request is a Settling one.
func (g *Generator) policy() Request {
	const group = "/apis/admissionregistration.k8s.io/v1/"
	sort := g.pick("validating", "validating", "mutating")
	name := "policy-" + g.namespace
	var all []Request
	for _, old := range []string{"validating", "mutating"} {
		for _, resource := range []string{"admissionpolicybindings/", "admissionpolicies/"} {
			all = append(all, Request{Method: http.MethodDelete, Path: group + old + resource + name})
		}
	}
	post := func(resource, kind string, spec map[string]any) {
		body := map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec}
		all = append(all, Request{Method: http.MethodPost, Path: group + sort + resource, Query: url.Values{}, ContentType: "application/json", Body: encode(body)})
	}
	binding := map[string]any{"policyName": name}
	g.maybe(binding, "paramRef", map[string]any{"name": g.pick("a", "b"), "namespace": g.namespace, "parameterNotFoundAction": g.pick("Allow", "Deny")})
	if sort == "validating" {
		binding["validationActions"] = [][]any{{"Deny"}, {"Deny", "Audit"}, {"Warn"}, {"Warn", "Audit"}, {"Deny", "Warn"}}[g.random.IntN(5)]
		post("admissionpolicies", "ValidatingAdmissionPolicy", g.validating())
		post("admissionpolicybindings", "ValidatingAdmissionPolicyBinding", binding)
	} else {
		post("admissionpolicies", "MutatingAdmissionPolicy", g.mutating())
		post("admissionpolicybindings", "MutatingAdmissionPolicyBinding", binding)
	}
	if g.chance(4) {
		all = all[:4] // none for a while
	}
	all[len(all)-1].Settling = true
	g.queue = append(g.queue, all[1:]...)
	return all[0]
}

// condition returns a condition that a policy may have.
func (g *Generator) condition() string {
	return g.pick("object.metadata.name != 'a'", "oldObject == null || object == null || object.metadata.generation == oldObject.metadata.generation", "request.operation != 'DELETE'", "variables.named", "has(object.spec)",
		"object.metadata.labels.patched == 'yes'", "params == null || params.data.a == '1'", "namespaceObject.metadata.name == '"+g.namespace+"'", "authorizer.group('').resource('pods').namespace('"+g.namespace+"').check('get').allowed()",
		"request.userInfo.username == 'admin'", "object.spec.replicas < 3", "size(object.metadata.annotations) < 2", "1", "request.dryRun != true", "true", "false")
}

func (g *Generator) constraints() map[string]any {
	groups, resources := []any{"*"}, []any{"*"}
	if g.chance(2) {
		groups, resources = nil, nil
		for range 1 + g.random.IntN(4) {
			if k := g.kinds[g.random.IntN(len(g.kinds))]; k.Namespaced {
				groups, resources = append(groups, k.Group), append(resources, k.Resource)
			}
		}
		if groups == nil {
			groups, resources = []any{""}, []any{"configmaps", "pods/status", "pods/eviction"}
		}
	}
	rule := map[string]any{"apiGroups": groups, "apiVersions": []any{"*"}, "resources": resources, "operations": [][]any{{"*"}, {"CREATE"}, {"CREATE", "UPDATE"}, {"DELETE"}, {"CONNECT", "UPDATE"}}[g.random.IntN(5)], "scope": "Namespaced"}
	out := map[string]any{"resourceRules": []any{rule}, "namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": g.namespace}}}
	g.maybe(out, "matchPolicy", g.pick("Exact", "Equivalent"))
	if g.chance(4) {
		excluded := map[string]any{"apiGroups": []any{"apps"}, "apiVersions": []any{"v1"}, "resources": []any{"*"}, "operations": []any{"*"}}
		g.maybe(excluded, "resourceNames", []any{"a"})
		out["excludeResourceRules"] = []any{excluded}
	}
	return out
}

// common returns the fields of policies of both sorts.
func (g *Generator) common() map[string]any {
	spec := map[string]any{"matchConstraints": g.constraints(), "variables": []any{map[string]any{"name": "named", "expression": "object != null && object.metadata.name.startsWith('a')"}}}
	g.maybe(spec, "failurePolicy", g.pick("Ignore", "Fail"))
	g.maybe(spec, "matchConditions", []any{map[string]any{"name": "c", "expression": g.condition()}})
	g.maybe(spec, "paramKind", map[string]any{"apiVersion": "v1", "kind": "ConfigMap"})
	return spec
}

func (g *Generator) validating() map[string]any {
	spec := g.common()
	var validations []any
	for range 1 + g.random.IntN(2) {
		v := map[string]any{"expression": g.condition()}
		g.maybe(v, "message", "no")
		g.maybe(v, "messageExpression", g.pick("'got ' + request.name", "1", "object.metadata.labels.x"))
		g.maybe(v, "reason", g.pick("Forbidden", "Unauthorized", "RequestEntityTooLarge", "Other"))
		validations = append(validations, v)
	}
	spec["validations"] = validations
	g.maybe(spec, "auditAnnotations", []any{map[string]any{"key": "k", "valueExpression": g.pick("'v'", "request.name", "null", "object.metadata.labels.x")}})
	return spec
}

// mutating returns a policy that renames nothing: an apply that creates would store the
// object under a key of another name, in both servers, and what they list after that is
// by chance.
func (g *Generator) mutating() map[string]any {
	spec := g.common()
	spec["reinvocationPolicy"] = g.pick("Never", "IfNeeded")
	var mutations []any
	for range 1 + g.random.IntN(2) {
		if g.chance(2) {
			mutations = append(mutations, map[string]any{"patchType": "ApplyConfiguration", "applyConfiguration": map[string]any{"expression": g.pick(`Object{metadata: Object.metadata{labels: {"m": "x"}}}`,
				`Object{metadata: Object.metadata{annotations: {"n": object.metadata.name}}}`, `Object{spec: Object.spec{replicas: 2}}`, `Object{unknown: 1}`, `Object{}`)}})
			continue
		}
		mutations = append(mutations, map[string]any{"patchType": "JSONPatch", "jsonPatch": map[string]any{"expression": g.pick(`[JSONPatch{op: "add", path: "/metadata/labels", value: {"m": "y"}}]`,
			`[JSONPatch{op: "test", path: "/kind", value: "Pod"}, JSONPatch{op: "add", path: "/metadata/annotations/x", value: "1"}]`, `[]`, `[JSONPatch{op: "remove", path: "/spec/unknown"}]`,
			`[JSONPatch{op: "add", path: "/metadata/annotations", value: {"o": "p"}}]`, `has(object.spec) ? [JSONPatch{op: "add", path: "/spec/replicas", value: 1}] : []`)}})
	}
	spec["mutations"] = mutations
	return spec
}

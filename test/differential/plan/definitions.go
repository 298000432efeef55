package plan

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// definition is a CustomResourceDefinition's kind and what its objects look like.
type definition struct {
	kind   *Kind
	schema map[string]any
}

// group returns the group of the worker's own kinds.
func (g *Generator) group() string { return g.namespace + ".differential.example" }

// define plans a CustomResourceDefinition with a random schema.
func (g *Generator) define() (Request, bool) {
	plural := g.pick("boats", "cars")
	body := g.customResource(plural)
	if g.chance(8) {
		body = g.broken(body)
	}
	k := g.definitions()
	r := Request{Method: http.MethodPost, Path: k.Path(""), Query: url.Values{}, ContentType: "application/json", Body: encode(body), Lasting: true, target: target{kind: k, name: plural + "." + g.group()}}
	if old := g.named(k, r.target.name); old != nil {
		switch g.random.IntN(3) {
		case 0:
			r.Method, r.ContentType, r.Body = http.MethodDelete, "", ""
		case 1:
			return Request{}, false
		default:
			r.Method = http.MethodPut
			if meta := metadata(body); meta != nil {
				meta["resourceVersion"] = metadata(old.Body)["resourceVersion"]
			}
			r.Body = encode(body)
		}
		r.Path += "/" + r.target.name
	}
	return r, true
}

func (g *Generator) definitions() *Kind {
	for _, k := range g.config.Kinds {
		if k.Resource == "customresourcedefinitions" {
			return k
		}
	}
	panic("discovery lists no CustomResourceDefinitions")
}

func (g *Generator) named(k *Kind, name string) *Object {
	for _, o := range g.objects[k] {
		if o.Name == name {
			return o
		}
	}
	return nil
}

func (g *Generator) customResource(plural string) map[string]any {
	kind := map[string]string{"boats": "Boat", "cars": "Car"}[plural]
	properties := map[string]any{"spec": g.schema(3), "status": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
	root := map[string]any{"type": "object", "properties": properties}
	if spec := properties["spec"].(map[string]any); spec["type"] != "object" {
		properties["spec"] = map[string]any{"type": "object", "properties": map[string]any{"replicas": map[string]any{"type": "integer"}, "value": spec}}
	}
	v := map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": root}}
	subresources := map[string]any{}
	if g.chance(2) {
		subresources["status"] = map[string]any{}
	}
	if g.chance(3) {
		subresources["scale"] = map[string]any{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}
	}
	if len(subresources) > 0 {
		v["subresources"] = subresources
	}
	if g.chance(3) {
		v["additionalPrinterColumns"] = []any{map[string]any{"name": "A", "type": g.pick("string", "integer", "date", "boolean", "number"), "jsonPath": g.pick(".spec.a", ".spec.b", ".metadata.name", ".spec.list[0]", ".metadata.creationTimestamp"), "priority": g.random.IntN(2)}}
	}
	if g.chance(4) {
		v["selectableFields"] = []any{map[string]any{"jsonPath": g.pick(".spec.a", ".spec.b", ".spec.value")}}
	}
	versions := []any{v}
	if g.chance(3) {
		second := clone(v)
		second["name"], second["storage"] = g.pick("v1beta1", "v2"), false
		second["deprecated"] = g.chance(2)
		versions = append(versions, second)
	}
	// A kind keeps its scope: one that comes again with another leaves upstream with
	// objects under keys that it cannot list.
	scope := map[string]string{"boats": "Namespaced", "cars": "Cluster"}[plural]
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": plural + "." + g.group()},
		"spec": map[string]any{"group": g.group(), "scope": scope, "names": map[string]any{"plural": plural, "kind": kind}, "versions": versions},
	}
}

// schema returns a random structural schema.
func (g *Generator) schema(depth int) map[string]any {
	n := 8
	if depth == 0 {
		n = 5
	}
	switch g.random.IntN(n) {
	case 0, 1:
		return g.texts()
	case 2:
		s := map[string]any{"type": g.pick("integer", "integer", "number")}
		g.maybe(s, "minimum", 1)
		g.maybe(s, "maximum", 10)
		g.maybe(s, "default", 3)
		g.maybe(s, "multipleOf", 2)
		g.maybe(s, "format", g.pick("int32", "int64", "double"))
		return s
	case 3:
		s := map[string]any{"type": "boolean"}
		g.maybe(s, "default", true)
		g.maybe(s, "nullable", true)
		return s
	case 4:
		return map[string]any{"x-kubernetes-int-or-string": true}
	case 5:
		return g.arrays(depth)
	}
	return g.structures(depth)
}

// maybe sets a field now and then.
func (g *Generator) maybe(s map[string]any, key string, value any) {
	if g.chance(4) {
		s[key] = value
	}
}

func (g *Generator) texts() map[string]any {
	s := map[string]any{"type": "string"}
	g.maybe(s, "enum", []any{"x", "y", "z"})
	g.maybe(s, "format", g.pick("date-time", "date", "ipv4", "cidr", "uuid", "byte", "duration", "unknown", "email", "uri", "dns1123label", "k8s-short-name"))
	g.maybe(s, "pattern", g.pick("^[a-z]*$", "^x", "("))
	g.maybe(s, "maxLength", 5)
	g.maybe(s, "minLength", 1)
	g.maybe(s, "default", g.pick("x", "y", "too long for it"))
	g.maybe(s, "nullable", true)
	g.maybe(s, "x-kubernetes-validations", g.rules("self.size() < 4", "self == oldSelf", "self.startsWith('x')", "self > 3", "self.matches('^[a-z]+$')"))
	return s
}

func (g *Generator) arrays(depth int) map[string]any {
	s := map[string]any{"type": "array", "items": g.schema(depth - 1)}
	g.maybe(s, "maxItems", 2)
	g.maybe(s, "minItems", 1)
	g.maybe(s, "x-kubernetes-validations", g.rules("size(self) > 0", "self.all(x, x == x)", "self.exists(x, x == 'x')", "self[0] == self[1]"))
	switch g.random.IntN(4) {
	case 0:
		s["x-kubernetes-list-type"] = g.pick("atomic", "set", "map")
	case 1:
		s["x-kubernetes-list-type"], s["x-kubernetes-list-map-keys"] = "map", []any{"name"}
		s["items"] = map[string]any{"type": "object", "required": []any{"name"}, "properties": map[string]any{"name": map[string]any{"type": "string"}, "value": g.schema(0)}}
	}
	return s
}

func (g *Generator) structures(depth int) map[string]any {
	s := map[string]any{"type": "object"}
	if g.chance(6) {
		s["additionalProperties"] = g.schema(depth - 1)
		return s
	}
	properties := map[string]any{"replicas": map[string]any{"type": "integer"}}
	for _, name := range []string{"a", "b", "list", "object"} {
		if g.chance(2) {
			properties[name] = g.schema(depth - 1)
		}
	}
	s["properties"] = properties
	g.maybe(s, "required", []any{g.pick("a", "replicas")})
	g.maybe(s, "nullable", true)
	g.maybe(s, "x-kubernetes-preserve-unknown-fields", true)
	g.maybe(s, "x-kubernetes-map-type", g.pick("atomic", "granular"))
	g.maybe(s, "maxProperties", 3)
	g.maybe(s, "default", map[string]any{"replicas": 1})
	g.maybe(s, "x-kubernetes-validations", g.rules("has(self.replicas) && self.replicas < 5", "!has(self.a) || self.a == oldSelf.a", "self.replicas >= oldSelf.replicas", "self.b == 'x'", "true", "has("))
	return s
}

// rules returns validations in CEL.
func (g *Generator) rules(from ...string) []any {
	rule := map[string]any{"rule": g.pick(from...)}
	g.maybe(rule, "message", "no")
	g.maybe(rule, "messageExpression", g.pick("'got ' + string(self)", "'no'", "1"))
	g.maybe(rule, "reason", g.pick("FieldValueForbidden", "FieldValueRequired", "Other"))
	g.maybe(rule, "fieldPath", g.pick(".a", ".b", ".replicas"))
	g.maybe(rule, "optionalOldSelf", true)
	return []any{rule}
}

// value returns a value that a schema might allow.
func (g *Generator) value(s map[string]any) any {
	if g.chance(30) {
		return []any{nil, "x", 1.0, map[string]any{"x": "y"}, []any{"x"}}[g.random.IntN(5)]
	}
	if enum, ok := s["enum"].([]any); ok && !g.chance(10) {
		return enum[g.random.IntN(len(enum))]
	}
	switch s["type"] {
	case "string":
		return g.pick("x", "y", "z", "abc", "", "longer than five", "10.0.0.1", "2026-01-01T00:00:00Z", "eA==", "1h")
	case "integer":
		return []any{1.0, 2.0, 3.0, 4.0, 11.0, -1.0}[g.random.IntN(6)]
	case "number":
		return []any{1.0, 2.5, 4.0}[g.random.IntN(3)]
	case "boolean":
		return g.chance(2)
	case "array":
		items, _ := s["items"].(map[string]any)
		list := []any{}
		for range g.random.IntN(3) {
			list = append(list, g.value(items))
		}
		return list
	case "object":
		return g.fields(s)
	}
	return []any{1.0, "50%", "x"}[g.random.IntN(3)]
}

func (g *Generator) fields(s map[string]any) map[string]any {
	out := map[string]any{}
	if more, ok := s["additionalProperties"].(map[string]any); ok {
		for range g.random.IntN(3) {
			out[g.pick("a", "b", "c")] = g.value(more)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if p, ok := properties[name].(map[string]any); ok && !g.chance(4) {
			out[name] = g.value(p)
		}
	}
	g.maybe(out, g.pick("unknown", "a"), "x")
	return out
}

// defined takes a definition as upstream shows it: its kind can be used once it
// is established.
func (g *Generator) defined(name string, body map[string]any) {
	spec, _ := body["spec"].(map[string]any)
	if spec["group"] != g.group() {
		return
	}
	g.undefined(name)
	if !established(body) {
		return
	}
	versions, _ := spec["versions"].([]any)
	names, _ := spec["names"].(map[string]any)
	for _, item := range versions {
		v, _ := item.(map[string]any)
		if v["served"] != true {
			continue
		}
		k := &Kind{GroupVersionKind: schema.GroupVersionKind{Group: g.group(), Version: fmt.Sprint(v["name"]), Kind: fmt.Sprint(names["kind"])}, Resource: fmt.Sprint(names["plural"]), Namespaced: spec["scope"] == "Namespaced",
			verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}}
		subs, _ := v["subresources"].(map[string]any)
		for _, sub := range slices.Sorted(maps.Keys(subs)) {
			s := Subresource{Name: sub, Kind: k.GroupVersionKind, Verbs: []string{"get", "update", "patch"}}
			if sub == "scale" {
				s.Kind = schema.GroupVersionKind{Group: "autoscaling", Version: "v1", Kind: "Scale"}
			}
			k.Subresources = append(k.Subresources, s)
		}
		root, _ := v["schema"].(map[string]any)
		open, _ := root["openAPIV3Schema"].(map[string]any)
		g.own[name] = append(g.own[name], definition{kind: k, schema: open})
		for range 4 { // they are asked for more often than others
			g.kinds = append(g.kinds, k)
		}
	}
}

// undefined forgets the kinds of a definition and their objects.
func (g *Generator) undefined(name string) {
	for _, d := range g.own[name] {
		g.kinds = slices.DeleteFunc(g.kinds, func(k *Kind) bool { return k == d.kind })
		delete(g.objects, d.kind)
		delete(g.versions, d.kind)
		delete(g.marks, d.kind)
		g.continues = slices.DeleteFunc(g.continues, func(c continued) bool { return c.kind == d.kind })
	}
	delete(g.own, name)
}

func established(body map[string]any) bool {
	status, _ := body["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	for _, item := range conditions {
		if c, ok := item.(map[string]any); ok && c["type"] == "Established" {
			return c["status"] == "True" && metadata(body)["deletionTimestamp"] == nil
		}
	}
	return false
}

// custom returns an object of a defined kind, nil of another.
func (g *Generator) custom(k *Kind) map[string]any {
	for _, name := range slices.Sorted(maps.Keys(g.own)) {
		for _, d := range g.own[name] {
			if d.kind == k {
				return g.fields(d.schema)
			}
		}
	}
	return nil
}

package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/test/mangle"
)

// named are the kinds whose names follow from what they are; they keep those of samples.
var named = map[string]bool{"customresourcedefinitions": true, "apiservices": true, "ipaddresses": true, "clustertrustbundles": true, "csinodes": true}

// names returns the names that objects of a kind get.
func (g *Generator) names(k *Kind) []string {
	if k != nil && named[k.Resource] {
		var names []string
		for _, s := range k.Samples {
			var o struct{ Metadata struct{ Name string } }
			if json.Unmarshal(s.Body, &o) == nil && o.Metadata.Name != "" && (k.Resource != "apiservices" || strings.HasSuffix(o.Metadata.Name, "example.com")) {
				names = append(names, o.Metadata.Name)
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	if k != nil && k.Namespaced {
		return []string{"a", "b", "c"}
	}
	return []string{"a-" + g.namespace, "b-" + g.namespace, "c-" + g.namespace}
}

// sample returns an object of a kind as it is or changed, under name.
func (g *Generator) sample(k *Kind, name string) map[string]any {
	body := map[string]any{"apiVersion": k.GroupVersion().String(), "kind": k.Kind}
	if len(k.Samples) > 0 {
		s := k.Samples[g.random.IntN(len(k.Samples))]
		if s.Bad && !g.chance(3) {
			s = k.Samples[g.random.IntN(len(k.Samples))]
		}
		body = map[string]any{}
		if err := json.Unmarshal(s.Body, &body); err != nil {
			panic(err) // samples.Read has read it
		}
		if meta, ok := body["metadata"].(map[string]any); ok {
			delete(meta, "creationTimestamp")
			delete(meta, "deletionTimestamp")
			if !g.chance(4) {
				delete(meta, "finalizers")
			}
		}
	}
	if custom := g.custom(k); custom != nil {
		maps.Copy(body, custom)
	}
	if g.chance(2) {
		body = g.mangled(body)
	}
	return g.tame(k, name, body)
}

// mangled changes an object in some places: its fields, or its JSON.
func (g *Generator) mangled(body map[string]any) map[string]any {
	if g.chance(6) {
		return g.broken(clone(body))
	}
	obj, err := runtime.Decode(g.decoder, []byte(encode(body)))
	if err != nil {
		return g.broken(clone(body))
	}
	gvk := obj.GetObjectKind().GroupVersionKind()
	choices := make([]byte, 3+g.random.IntN(1+g.random.IntN(40)))
	for i := range choices {
		choices[i] = byte(g.random.Uint32())
	}
	mangle.Object(obj, choices, g.words)
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	out := map[string]any{}
	data, err := json.Marshal(obj)
	if err != nil || json.Unmarshal(data, &out) != nil { // some values have no JSON
		return body
	}
	return out
}

// broken changes JSON in one place, whatever its schema.
func (g *Generator) broken(v map[string]any) map[string]any {
	values := []any{nil, true, 0.0, -1.0, 1.5, 1e30, "", "x", "1", []any{}, []any{nil}, []any{"x"}, map[string]any{}, map[string]any{"x": "y"}, []any{map[string]any{"name": "x"}}}
	at := v
	for range 8 {
		keys := slices.Sorted(maps.Keys(at))
		keys = slices.DeleteFunc(keys, func(k string) bool { return k == "apiVersion" || k == "kind" || k == "managedFields" })
		if len(keys) == 0 {
			break
		}
		key := keys[g.random.IntN(len(keys))]
		if next := g.below(at[key]); next != nil && !g.chance(4) {
			at = next
			continue
		}
		switch g.random.IntN(5) {
		case 0:
			delete(at, key)
		case 1:
			at[g.pick("unknown", "x", strings.ToUpper(key))] = at[key]
		default:
			at[key] = values[g.random.IntN(len(values))]
		}
		return v
	}
	at["unknown"] = values[g.random.IntN(len(values))]
	return v
}

// below returns an object within v.
func (g *Generator) below(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case []any:
		if len(v) > 0 {
			return g.below(v[g.random.IntN(len(v))])
		}
	}
	return nil
}

// tame gives an object its name, and keeps it from affecting other workers.
func (g *Generator) tame(k *Kind, name string, body map[string]any) map[string]any {
	body["apiVersion"], body["kind"] = k.GroupVersion().String(), k.Kind
	meta, ok := body["metadata"].(map[string]any)
	if !ok {
		if body["metadata"] != nil {
			return body
		}
		meta = map[string]any{}
		body["metadata"] = meta
	}
	meta["name"] = name
	delete(meta, "namespace")
	if k.Namespaced {
		meta["namespace"] = g.namespace
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		for key, value := range annotations {
			// An empty revision to roll back to is gone before generations are counted here,
			// and after that in upstream.
			if strings.Contains(key, "is-default-class") || key == "deprecated.deployment.rollback.to" && value == "" {
				delete(annotations, key)
			}
		}
	}
	delete(body, "globalDefault")
	text := g.allocated(strings.ReplaceAll(encode(body), `"namespace":"default"`, fmt.Sprintf(`"namespace":%q`, g.namespace)))
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		panic(err) // it is JSON
	}
	g.tameHooks(k, out)
	return out
}

var (
	sampleIP   = regexp.MustCompile(`\b10\.96\.0\.([0-7])\b/?`)
	samplePort = regexp.MustCompile(`\b3008([0-9])\b`)
)

// allocated gives a worker ClusterIPs and node ports of its own in place of the samples',
// so that none is taken by another one. They are in the parts of the default ranges that
// servers do not take by chance, of 32 workers at most. Prefixes stay.
func (g *Generator) allocated(text string) string {
	text = sampleIP.ReplaceAllStringFunc(text, func(ip string) string {
		if strings.HasSuffix(ip, "/") {
			return ip
		}
		return fmt.Sprintf("10.0.0.%d", g.config.Worker%32*7+10+int(ip[len(ip)-1]-'0'))
	})
	return samplePort.ReplaceAllStringFunc(text, func(port string) string {
		return strconv.Itoa(30000 + g.config.Worker%32*2 + int(port[len(port)-1]-'0')%2)
	})
}

// tameHooks binds roles to the worker's own users, and lets webhooks and policies
// match objects with a label only.
func (g *Generator) tameHooks(k *Kind, body map[string]any) {
	selector := map[string]any{"matchLabels": map[string]any{"hooked": g.namespace}}
	switch k.Resource {
	case "rolebindings", "clusterrolebindings":
		if role, _ := body["roleRef"].(map[string]any); slices.Contains([]any{"view", "edit", "admin"}, role["name"]) {
			role["name"] = "system:aggregate-to-" + role["name"].(string)
		}
		subjects, _ := body["subjects"].([]any)
		for _, s := range subjects {
			subject, _ := s.(map[string]any)
			if name, ok := subject["name"].(string); ok && subject["kind"] != "ServiceAccount" && !strings.HasSuffix(name, "-"+g.namespace) {
				subject["name"] = name + "-" + g.namespace
			}
		}
	case "validatingwebhookconfigurations", "mutatingwebhookconfigurations":
		hooks, _ := body["webhooks"].([]any)
		for _, h := range hooks {
			if hook, ok := h.(map[string]any); ok {
				hook["objectSelector"] = selector
			}
		}
	case "validatingadmissionpolicybindings", "mutatingadmissionpolicybindings", "validatingadmissionpolicies", "mutatingadmissionpolicies":
		spec, ok := body["spec"].(map[string]any)
		if !ok {
			return
		}
		field := "matchConstraints"
		if strings.HasSuffix(k.Resource, "bindings") {
			field = "matchResources"
		}
		if match, ok := spec[field].(map[string]any); ok {
			match["objectSelector"] = selector
		} else if spec[field] == nil && field == "matchResources" {
			spec[field] = map[string]any{"objectSelector": selector}
		}
	}
}

// compacted gives a body without symbols, whose length may not change, the media
// type that Kubernetes' own clients use; bodies that no Go type has stay JSON.
func (g *Generator) compacted(r Request, body map[string]any) Request {
	r.Body, r.ContentType = encode(body), runtime.ContentTypeJSON
	obj, err := runtime.Decode(g.decoder, []byte(r.Body))
	if err != nil {
		return r
	}
	var b strings.Builder
	if err := protobuf.NewSerializer(g.config.Scheme, g.config.Scheme).Encode(obj, &b); err == nil {
		r.Body, r.ContentType, r.Accept = b.String(), runtime.ContentTypeProtobuf, g.pick("", compact)
	}
	return r
}

// encoded gives a body a media type, and now and then another form.
func (g *Generator) encoded(r Request, body any) Request {
	r.Body, r.ContentType = encode(body), "application/json"
	switch g.random.IntN(40) {
	case 0, 1:
		if text, err := yaml.Marshal(body); err == nil {
			r.Body, r.ContentType = string(text), "application/yaml"
		}
	case 2:
		r.ContentType = g.pick("", "text/plain", "application/vnd.kubernetes.protobuf", "application/xml", "application/json; charset=utf-8")
	case 3:
		r.Body = r.Body[:g.random.IntN(len(r.Body)+1)]
	case 4:
		r.Body = strings.Replace(r.Body, `"metadata":{`, `"metadata":{"name":"twice",`, 1)
	}
	return r
}

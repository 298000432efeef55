package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// picture is the contents of objects without what differs between two runs of the
// same server: uids, times, addresses, versions, and names that were drawn. Its
// keys are kinds and names, its values JSON.
type picture map[string]string

var (
	instant = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	address = regexp.MustCompile(`\b10\.\d{1,3}\.\d{1,3}\.\d{1,3}(/\d+)?\b`)
	uid     = regexp.MustCompile(`\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	volume  = regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`)
	number  = regexp.MustCompile(`\b\d+\b`)
)

// draw makes the picture of a script's objects.
func draw(objects []*unstructured.Unstructured) picture {
	n := naming{uids: map[string]string{}}
	var events []*unstructured.Unstructured
	objects = slices.DeleteFunc(objects, func(u *unstructured.Unstructured) bool {
		if u.GetKind() == "Event" {
			events = append(events, u)
			return true
		}
		return false
	})
	for _, u := range objects {
		n.uids[string(u.GetUID())] = "uid of " + u.GetKind()
		if base := u.GetGenerateName(); base != "" && u.GetLabels()["statefulset.kubernetes.io/pod-name"] == "" {
			n.drawn = append(n.drawn, drawn{u.GetName(), base + "*"})
		}
		if own := u.GetLabels()["pod-template-hash"]; own != "" && u.GetKind() == "ReplicaSet" {
			n.drawn = append(n.drawn, drawn{own, contentHash(u, own, "spec", "template")})
		}
	}
	for _, u := range objects {
		own := u.GetLabels()["pod-template-hash"]
		if own != "" && !slices.ContainsFunc(n.drawn, func(d drawn) bool { return d.name == own }) {
			n.drawn = append(n.drawn, drawn{own, "hash of what is gone"})
		}
		if own := u.GetLabels()["controller-revision-hash"]; own != "" && u.GetKind() == "ControllerRevision" {
			n.drawn = append(n.drawn, drawn{own, contentHash(u, own, "data")})
		}
	}
	// Longer names first: one may begin another.
	slices.SortFunc(n.drawn, func(a, b drawn) int { return len(b.name) - len(a.name) })
	all := map[string][]string{}
	for _, u := range objects {
		key := u.GetKind() + " " + n.text(u.GetName())
		all[key] = append(all[key], n.object(u))
	}
	out := picture{}
	for key, list := range all {
		sort.Strings(list)
		for i, text := range list {
			if len(list) > 1 {
				out[fmt.Sprintf("%s %d", key, i)] = text
			} else {
				out[key] = text
			}
		}
	}
	for _, e := range events {
		out[n.event(e)] = ""
	}
	return out
}

// contentHash returns a hash of a template that both sides have: each hashes
// templates in a way of its own.
func contentHash(u *unstructured.Unstructured, own string, path ...string) string {
	content, _, _ := unstructured.NestedMap(u.Object, path...)
	sum := fnv.New32()
	sum.Write([]byte(strings.ReplaceAll(text(content), own, "")))
	return fmt.Sprintf("hash%08x", sum.Sum32())
}

type drawn struct{ name, as string }

// naming replaces what is drawn or made up in texts.
type naming struct {
	uids  map[string]string
	drawn []drawn
}

func (n *naming) text(s string) string {
	if as, ok := n.uids[s]; ok {
		return as
	}
	for _, d := range n.drawn {
		s = strings.ReplaceAll(s, d.name, d.as)
	}
	s = uid.ReplaceAllString(s, "UID") // of something that is gone
	s = instant.ReplaceAllString(s, "TIME")
	s = address.ReplaceAllString(s, "ADDRESS")
	return volume.ReplaceAllString(s, "kube-api-access-*")
}

func (n *naming) object(u *unstructured.Unstructured) string {
	u = u.DeepCopy()
	if u.GetKind() == "ConfigMap" && u.GetName() == "kube-root-ca.crt" || u.GetKind() == "Secret" {
		delete(u.Object, "data") // of one side only: its authority, its tokens
	}
	observed, found, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	if found && observed == u.GetGeneration() {
		_ = unstructured.SetNestedField(u.Object, "the newest", "status", "observedGeneration")
	}
	meta, _, _ := unstructured.NestedMap(u.Object, "metadata")
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "name", "selfLink"} {
		delete(meta, field)
	}
	// Not every change of Endpoints has a time that triggered it.
	if annotations, ok := meta["annotations"].(map[string]any); ok {
		delete(annotations, "endpoints.kubernetes.io/last-change-trigger-time")
		if len(annotations) == 0 {
			delete(meta, "annotations")
		}
	}
	u.Object["metadata"] = meta
	if u.GetKind() == "CertificateSigningRequest" {
		unstructured.RemoveNestedField(u.Object, "status", "certificate")
	}
	text, err := json.Marshal(n.value(u.Object))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// value replaces texts, and sorts the lists whose order has no meaning.
func (n *naming) value(v any) any {
	switch v := v.(type) {
	case string:
		return n.text(v)
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			switch key {
			case "resourceVersion", "uid", "nodePort", "healthCheckNodePort":
				continue
			case "pod-template-generation":
				continue
			}
			out[n.text(key)] = n.value(value)
			if message, ok := value.(string); ok && key == "message" { // may name what was refused
				out[key] = drawnTail.ReplaceAllString(n.text(message), "-*")
			}
			if list, ok := out[key].([]any); ok && slices.Contains([]string{"conditions", "endpoints", "addresses", "notReadyAddresses", "subsets", "ports", "ownerReferences", "finalizers", "rules", "active", "podIPs", "taints"}, key) {
				sortJSON(list)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = n.value(v[i])
		}
		return out
	}
	return v
}

func sortJSON(list []any) {
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	slices.SortFunc(list, func(a, b any) int { return strings.Compare(text(a), text(b)) })
}

// event returns an event's text, without its numbers: the number of a rollout's
// steps depends on when its pods become ready.
func (n *naming) event(e *unstructured.Unstructured) string {
	get := func(path ...string) string { s, _, _ := unstructured.NestedString(e.Object, path...); return s }
	// The names of deleted pods are unknown, and such a name may end in digits only.
	plain := func(s string) string {
		return number.ReplaceAllString(drawnTail.ReplaceAllString(n.text(s), "-*"), "N")
	}
	message, name := plain(get("message")), plain(get("involvedObject", "name"))
	return fmt.Sprintf("Event of %s %s: %s %s: %s", get("involvedObject", "kind"), name, get("type"), get("reason"), message)
}

// drawnTail is the end of a name that was drawn, or follows from a template.
var drawnTail = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{5,10}\b`)

// compare returns what differs, one line each.
func compare(upstream, ours picture) []string {
	var out []string
	keys := maps.Clone(upstream)
	maps.Copy(keys, ours)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		a, inA := upstream[key]
		b, inB := ours[key]
		switch {
		case inA && inB && a == b:
		case !inB:
			out = append(out, fmt.Sprintf("%s: only upstream has it: %.600s", key, a))
		case !inA:
			out = append(out, fmt.Sprintf("%s: only coracle has it: %.600s", key, b))
		default:
			for _, d := range differences(a, b) {
				out = append(out, key+": "+d)
			}
		}
	}
	return slices.DeleteFunc(out, intended)
}

// differences lists the paths at which two JSON texts differ.
func differences(a, b string) []string {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return []string{a + " / " + b}
	}
	var out []string
	walk("", x, y, &out)
	return out
}

func walk(path string, a, b any, out *[]string) {
	x, isX := a.(map[string]any)
	y, isY := b.(map[string]any)
	if isX && isY {
		keys := maps.Clone(x)
		maps.Copy(keys, y)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			walk(path+"."+key, x[key], y[key], out)
		}
		return
	}
	if list, ok := a.([]any); ok {
		if other, ok := b.([]any); ok {
			a, b = without(list, other), without(other, list)
		}
	}
	p, q := text(a), text(b)
	if p != q {
		*out = append(*out, fmt.Sprintf("%s: upstream %.500s, coracle %.500s", path, p, q))
	}
}

// without returns what is in a and not in b.
func without(a, b []any) []any {
	return slices.DeleteFunc(slices.Clone(a), func(v any) bool {
		return slices.ContainsFunc(b, func(w any) bool { return text(v) == text(w) })
	})
}

func text(v any) string { b, _ := json.Marshal(v); return string(b) }

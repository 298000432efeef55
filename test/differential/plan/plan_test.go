package plan

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/test/differential/samples"
)

func kinds(t *testing.T) []*Kind {
	t.Helper()
	known, err := samples.Documents([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	all := metav1.Verbs{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
	out, err := Kinds([]*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: all}, {Name: "pods", Kind: "Pod", Namespaced: true, Verbs: all},
			{Name: "pods/status", Kind: "Pod", Namespaced: true, Verbs: metav1.Verbs{"get", "patch", "update"}},
			{Name: "pods/eviction", Kind: "Eviction", Group: "policy", Version: "v1", Namespaced: true, Verbs: metav1.Verbs{"create"}}}},
		{GroupVersion: "apiextensions.k8s.io/v1", APIResources: []metav1.APIResource{{Name: "customresourcedefinitions", Kind: "CustomResourceDefinition", Verbs: all}}},
		{GroupVersion: "authorization.k8s.io/v1", APIResources: []metav1.APIResource{{Name: "selfsubjectaccessreviews", Kind: "SelfSubjectAccessReview", Verbs: metav1.Verbs{"create"}}}},
	}, known)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// echo answers a request as if every write that has a body succeeded.
func echo(r Request, n int) (int, any) {
	body := map[string]any{}
	if json.Unmarshal([]byte(r.Body), &body) != nil || metadata(body) == nil {
		return 404, map[string]any{"kind": "Status"}
	}
	metadata(body)["resourceVersion"] = fmt.Sprint(n)
	if body["kind"] == "CustomResourceDefinition" {
		body["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Established", "status": "True"}}}
	}
	return 200, body
}

// TestRequestsFollowFromSeed plans twice with one seed, and once with another.
func TestRequestsFollowFromSeed(t *testing.T) {
	scheme := apis.NewScheme()
	sequence := func(seed uint64) (out []Request) {
		g := New(Config{Seed: seed, Workers: 1, Kinds: kinds(t), Scheme: scheme})
		for n := range 600 {
			r := g.Next()
			code, answer := echo(r, n)
			g.Learn(r, code, answer)
			r.target = target{} // pointers differ
			out = append(out, r)
		}
		return out
	}
	first, methods := sequence(1), map[string]int{}
	if !reflect.DeepEqual(first, sequence(1)) {
		t.Error("the same seed gives other requests")
	}
	if reflect.DeepEqual(first, sequence(2)) {
		t.Error("another seed gives the same requests")
	}
	for _, r := range first {
		methods[r.Method+" "+r.ContentType]++
	}
	for _, want := range []string{"POST application/json", "PUT application/json", "GET ", "DELETE ", "PATCH application/merge-patch+json", "PATCH application/json-patch+json", "PATCH application/strategic-merge-patch+json", "PATCH application/apply-patch+yaml"} {
		if methods[want] == 0 {
			t.Errorf("no %s among %v", want, methods)
		}
	}
}

// TestDifference applies what it returns.
func TestDifference(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`{"a":1}`, `{"a":1}`, `{}`}, {`{"a":1}`, `{"a":2}`, `{"a":2}`}, {`{"a":1}`, `{}`, `{"a":null}`}, {`{}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"d":3}}`, `{"a":{"c":null,"d":3}}`}, {`{"a":{"b":1}}`, `{"a":"b"}`, `{"a":"b"}`},
	} {
		var from, to map[string]any
		if json.Unmarshal([]byte(c.from), &from) != nil || json.Unmarshal([]byte(c.to), &to) != nil {
			t.Fatal(c)
		}
		if got := encode(difference(from, to)); got != c.want {
			t.Errorf("from %s to %s: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

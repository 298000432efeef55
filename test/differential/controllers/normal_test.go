package main

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// sample returns what a side with names and hashes of its own has.
func sample(hash string, names ...string) []*unstructured.Unstructured {
	meta := func(name, generate, uid string) map[string]any {
		return map[string]any{"namespace": "ns", "name": name, "generateName": generate, "uid": uid, "resourceVersion": uid, "labels": map[string]any{"pod-template-hash": hash}, "creationTimestamp": "2026-01-01T00:00:0" + uid[:1] + "Z"}
	}
	list := []*unstructured.Unstructured{{Object: map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta("web-"+hash, "", "1"+hash), "spec": map[string]any{"template": map[string]any{"spec": "x"}}}}}
	for i, name := range names {
		full := "web-" + hash + "-" + name
		list = append(list,
			&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": meta(full, "web-"+hash+"-", fmt.Sprint(i+2, hash)), "status": map[string]any{"podIP": fmt.Sprint("10.0.0.", len(hash)+i)}}},
			&unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Event", "metadata": meta(full+".1", "", "9"), "involvedObject": map[string]any{"kind": "ReplicaSet", "name": "web-" + hash}, "reason": "Created", "message": "Created pod: " + full}})
	}
	return list
}

func TestCompare(t *testing.T) {
	one := draw(sample("b5757f7bc", "x7k2q", "bbbbb"))
	if diff := compare(one, draw(sample("789d5d9bc8", "zzzzz", "c4c4c"))); len(diff) > 0 {
		t.Errorf("names, hashes and times matter: %v", diff)
	}
	if diff := compare(one, draw(sample("789d5d9bc8", "zzzzz"))); len(diff) == 0 {
		t.Error("a pod less is no difference")
	}
	// A pod may outlive its ReplicaSet.
	if diff := compare(draw(sample("b5757f7bc", "x7k2q")[1:]), draw(sample("789d5d9bc8", "zzzzz")[1:])); len(diff) > 0 {
		t.Errorf("the hash of a template that is gone matters: %v", diff)
	}
	changed := sample("789d5d9bc8", "zzzzz", "c4c4c")
	changed[0].Object["spec"].(map[string]any)["replicas"] = int64(3)
	if diff := compare(one, draw(changed)); len(diff) != 1 {
		t.Errorf("another spec: %v", diff)
	}
}

func TestScriptsFollowFromTheirSeeds(t *testing.T) {
	texts := func(seed uint64) (out []string) {
		for _, s := range newScript(seed) {
			out = append(out, s.text)
		}
		return out
	}
	for seed := range uint64(200) {
		if !slices.Equal(texts(seed), texts(seed)) {
			t.Fatalf("seed %d gives two scripts", seed)
		}
	}
	if slices.Equal(texts(1), texts(2)) {
		t.Error("two seeds give one script")
	}
}

package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

const types = "../../apis/config/v1alpha1"

// TestDocuments fails as well for a field without a comment.
func TestDocuments(t *testing.T) {
	for file, render := range map[string]func(string) (string, error){"docs/configuration.md": document, "config/samples/cluster.yaml": sample} {
		want, err := render(types)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the comments and defaults render to: run make generate-config", file)
		}
	}
}

// TestEveryFieldIsThere looks for each field that Go has, by its path.
func TestEveryFieldIsThere(t *testing.T) {
	doc, err := document(types)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for i, s := range strings.Split(doc, "\n## `") {
		path, body, _ := strings.Cut(s, "`\n")
		if i == 0 {
			path, body = "", s
		}
		sections[path] = body
	}
	var walk func(path string, typ reflect.Type)
	walk = func(path string, typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ.PkgPath() != reflect.TypeFor[v1alpha1.Cluster]().PkgPath() {
			return
		}
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(sections[path], "`"+name+"`") {
				t.Errorf("%q is not in the section %q", name, path)
			}
			walk(strings.TrimPrefix(path+"."+name, "."), typ.Field(i).Type)
		}
	}
	walk("", reflect.TypeFor[v1alpha1.Cluster]())
}

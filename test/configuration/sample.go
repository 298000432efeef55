package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

const sampleHead = `# Every field of a cluster's configuration with its default. A file may leave out any of
# them, and ` + "`coracle up --config FILE`" + ` refuses fields that it does not know.
# docs/configuration.md has all about each. Written by ` + "`make generate-config`" + `.
`

// width is the longest line of a comment.
const width = 90

// sample returns the configuration with all defaults, each field with the first sentence of
// its comment in the package in dir.
func sample(dir string) (string, error) {
	src, err := read(dir)
	if err != nil {
		return "", fmt.Errorf("reading the configuration's types: %w", err)
	}
	defaults := &v1alpha1.Cluster{DataDir: "/var/lib/coracle"} // root's
	defaults.Default()
	var b strings.Builder
	b.WriteString(sampleHead)
	if err := src.fields(&b, "", "Cluster", reflect.ValueOf(*defaults)); err != nil {
		return "", fmt.Errorf("writing the sample: %w", err)
	}
	return b.String(), nil
}

// fields writes the fields of a struct, indented.
func (src *source) fields(b *strings.Builder, indent, name string, v reflect.Value) error {
	all := src.members(src.structs[name].list)
	for _, m := range all {
		doc, inner := m.doc, innermost(m.kinds[0])
		if doc == "" && src.structs[inner] != nil {
			doc = about(src.structs[inner].doc, inner, m.names[0])
		}
		section := indent == "" && src.structs[inner] != nil
		if section {
			b.WriteString("\n")
		}
		if name != "Cluster" || m.names[0] != "apiVersion" && m.names[0] != "kind" { // they say it themselves
			comment(b, indent, inJSON(doc, all))
		}
		for i, field := range m.names {
			if err := src.field(b, indent, field, inner, v.FieldByName(m.goNames[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (src *source) field(b *strings.Builder, indent, name, inner string, v reflect.Value) error {
	if src.structs[inner] != nil && v.Kind() == reflect.Struct {
		fmt.Fprintf(b, "%s%s:\n", indent, name)
		return src.fields(b, indent+"  ", inner, v)
	}
	if k := v.Kind(); (k == reflect.Slice || k == reflect.Map) && v.Len() == 0 {
		fmt.Fprintf(b, "%s%s: %s\n", indent, name, map[reflect.Kind]string{reflect.Slice: "[]", reflect.Map: "{}"}[k])
		return nil
	}
	// JSON first: a list of words stays on one line.
	data, err := json.Marshal(v.Interface())
	if err != nil {
		return err
	}
	text := string(data)
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Map {
		plain, err := yaml.JSONToYAML(data)
		if err != nil {
			return err
		}
		text = strings.TrimSpace(string(plain))
	} else {
		text = strings.ReplaceAll(text, ",", ", ")
	}
	fmt.Fprintf(b, "%s%s: %s\n", indent, name, text)
	return nil
}

// comment writes the first sentence of doc.
func comment(b *strings.Builder, indent, doc string) {
	words := strings.Fields(strings.ReplaceAll(doc, "`", ""))
	for i, w := range words {
		if strings.HasSuffix(w, ".") {
			words = words[:i+1]
			break
		}
	}
	line := indent + "#"
	for _, w := range words {
		if len(line)+1+len(w) > width {
			fmt.Fprintln(b, line)
			line = indent + "#"
		}
		line += " " + w
	}
	if len(words) > 0 {
		fmt.Fprintln(b, line)
	}
}

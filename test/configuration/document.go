package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const head = `# The configuration file

Written by ` + "`make generate-config`" + ` from the comments of [apis/config/v1alpha1](../apis/config/v1alpha1/types.go).
[config/samples/cluster.yaml](../config/samples/cluster.yaml) has every field with its default. A file holds
one Cluster, and every field may be left out:

    apiVersion: config.coracle.dev/v1alpha1
    kind: Cluster
    nodes: 2
    network: {podCIDR: 10.100.0.0/16}

Durations are written as in Go (` + "`90s`, `1h30m`" + `), quantities as in Kubernetes (` + "`500m`, `10Mi`" + `). Relative paths
start at the directory in which ` + "`coracle`" + ` is called. A field that does not exist, or a value that cannot be, is
refused with its path.
`

// structure is one struct of the package.
type structure struct {
	doc  string
	list *ast.StructType
}

// member is a field of a struct, or several that share a comment.
type member struct {
	goNames, names []string
	doc            string
	kinds          []ast.Expr
}

// source holds what the package declares.
type source struct {
	structs map[string]*structure
	// values of the types that are strings of a set
	values map[string][]string
}

// document returns the reference of the configuration whose package is in dir.
func document(dir string) (string, error) {
	src, err := read(dir)
	if err != nil {
		return "", fmt.Errorf("reading the configuration's types: %w", err)
	}
	var b strings.Builder
	b.WriteString(head)
	if err := src.section(&b, "", "Cluster"); err != nil {
		return "", fmt.Errorf("documenting the configuration: %w", err)
	}
	return b.String(), nil
}

func read(dir string) (*source, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	src := &source{structs: map[string]*structure{}, values: map[string][]string{}}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(filepath.Base(name), "zz_") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				src.declaration(g)
			}
		}
	}
	return src, nil
}

func (src *source) declaration(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if t, ok := s.Type.(*ast.StructType); ok {
				src.structs[s.Name.Name] = &structure{doc: g.Doc.Text(), list: t}
			}
		case *ast.ValueSpec:
			kind, ok := s.Type.(*ast.Ident)
			if g.Tok != token.CONST || !ok {
				continue
			}
			for _, v := range s.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, _ := strconv.Unquote(lit.Value)
					src.values[kind.Name] = append(src.values[kind.Name], text)
				}
			}
		}
	}
}

// members returns the fields of a struct in order. A plain value without a comment belongs
// to the comment before it.
func (src *source) members(t *ast.StructType) []member {
	var out []member
	for _, f := range t.Fields.List {
		tag, _ := strconv.Unquote(f.Tag.Value)
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		doc := strings.TrimSpace(f.Doc.Text())
		if last := len(out) - 1; doc == "" && last >= 0 && out[last].doc != "" && src.structs[innermost(f.Type)] == nil {
			m := &out[last]
			m.names, m.goNames, m.kinds = append(m.names, name), append(m.goNames, f.Names[0].Name), append(m.kinds, f.Type)
			continue
		}
		out = append(out, member{goNames: []string{f.Names[0].Name}, names: []string{name}, doc: doc, kinds: []ast.Expr{f.Type}})
	}
	return out
}

// section writes the struct at path, then those in it.
func (src *source) section(b *strings.Builder, path, name string) error {
	s := src.structs[name]
	if path != "" {
		fmt.Fprintf(b, "\n## `%s`\n\n%s\n", path, about(s.doc, name, path[strings.LastIndexByte(path, '.')+1:]))
	}
	b.WriteString("\n| Field | Type | Meaning |\n|---|---|---|\n")
	type child struct{ path, name string }
	var children []child
	fields := src.members(s.list)
	for _, m := range fields {
		doc := m.doc
		inner := innermost(m.kinds[0])
		if _, ok := src.structs[inner]; ok {
			for _, n := range m.names {
				children = append(children, child{strings.TrimPrefix(path+"."+n, "."), inner})
			}
			if doc == "" {
				doc = about(src.structs[inner].doc, inner, m.names[0])
			}
		}
		var types []string
		for i, k := range m.kinds {
			t, err := src.kind(k)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", name, m.goNames[i], err)
			}
			types = append(types, t)
		}
		if doc == "" {
			doc = "PEM file."
			if !strings.HasSuffix(m.goNames[0], "File") {
				return fmt.Errorf("%s.%s has no comment", name, m.goNames[0])
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", strings.Join(m.names, "`, `"), strings.Join(slices.Compact(types), "; "), cell(inJSON(doc, fields)))
	}
	for _, c := range children {
		if err := src.section(b, c.path, c.name); err != nil {
			return err
		}
	}
	return nil
}

// about returns the comment of a type as that of its field.
func about(doc, typeName, fieldName string) string {
	rest, ok := strings.CutPrefix(strings.TrimSpace(doc), typeName+" ")
	if !ok {
		return strings.TrimSpace(doc)
	}
	return "`" + fieldName + "` " + rest
}

// inJSON returns doc with fields under their names in the file. A name of one word may be
// another word but at the beginning.
func inJSON(doc string, fields []member) string {
	for _, m := range fields {
		for i, n := range m.goNames {
			before := `(^|[\s(])`
			if !several.MatchString(n) {
				before = `(^|^\S+ and )`
			}
			doc = regexp.MustCompile(before+n+`\b`).ReplaceAllString(doc, "${1}`"+m.names[i]+"`")
		}
	}
	return doc
}

// several matches names of several words.
var several = regexp.MustCompile(`[a-z][A-Z]|[A-Z]{2}[a-z]`)

func cell(doc string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(doc), " "), "|", `\|`)
}

// innermost returns the name of the type that pointers and lists lead to.
func innermost(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return innermost(t.X)
	case *ast.ArrayType:
		return innermost(t.Elt)
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// kinds are types by other names than Go's.
var kinds = map[string]string{
	"bool": "boolean", "int32": "integer", "int64": "integer", "float32": "number", "float64": "number", "string": "string",
	"metav1.Duration": "duration", "resource.Quantity": "quantity", "corev1.ResourceList": "quantities by resource",
	"corev1.Taint": "[Taint](https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1/#NodeSpec)",
}

// kind returns a type in the words of the document.
func (src *source) kind(t ast.Expr) (string, error) {
	switch t := t.(type) {
	case *ast.StarExpr:
		return src.kind(t.X)
	case *ast.ArrayType:
		of, err := src.kind(t.Elt)
		return "list: " + of, err
	case *ast.MapType:
		of, err := src.kind(t.Value)
		return "map: " + of, err
	}
	name := text(t)
	if k, ok := kinds[name]; ok {
		return k, nil
	}
	if _, ok := src.structs[name]; ok {
		return "object", nil
	}
	if values := src.values[name]; len(values) > 0 {
		return strings.Join(values, ", "), nil
	}
	return "", fmt.Errorf("the document has no word for the type %s", name)
}

// text returns a type as Go has it.
func text(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return "*" + text(t.X)
	case *ast.ArrayType:
		return "[]" + text(t.Elt)
	case *ast.MapType:
		return "map[" + text(t.Key) + "]" + text(t.Value)
	case *ast.SelectorExpr:
		return text(t.X) + "." + t.Sel.Name
	case *ast.Ident:
		return t.Name
	}
	return ""
}

// Package api checks which Go packages may be relied on: docs/api.md.
package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/coracle-k8s/coracle/"
	root   = "../.."
	// note is in the package comment of all packages but the stable ones.
	note = "The API of this package is not stable: see docs/api.md."
)

// stable are the packages whose API is.
var stable = []string{"cluster", "apis/config/v1alpha1"}

// TestPackagesSayWhetherTheyAreStable fails for a package without the note that is not listed
// as stable, and for a stable one with it. Programs, tests and tools have no API.
func TestPackagesSayWhetherTheyAreStable(t *testing.T) {
	packages := map[string]bool{} // whether the package has the note
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		folder, _ := filepath.Rel(root, path)
		if d.IsDir() {
			if slices.Contains([]string{"test", "hack", "cmd", "build", ".git"}, folder) || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		if file.Name.Name != "main" {
			folder = filepath.ToSlash(filepath.Dir(folder))
			packages[folder] = packages[folder] || strings.Contains(file.Doc.Text(), note)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range slices.Sorted(maps.Keys(packages)) {
		if isStable := slices.Contains(stable, folder); isStable == packages[folder] {
			t.Errorf("package %s: add %q to its comment, or list it as stable here and in docs/api.md, not both", folder, note)
		}
	}
	for _, folder := range stable {
		if _, is := packages[folder]; !is {
			t.Errorf("there is no package %s", folder)
		}
	}
}

// TestStablePackagesShowStableTypesAlone fails for an exported signature with a type of a package
// that is not stable.
func TestStablePackagesShowStableTypesAlone(t *testing.T) {
	for _, folder := range stable {
		names, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ours := unstableImports(file)
			for _, shown := range exported(file) {
				ast.Inspect(shown, func(n ast.Node) bool {
					if f, ok := n.(*ast.Field); ok && len(f.Names) > 0 && !slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.IsExported() }) {
						_, isFunc := shown.(*ast.FuncType)
						return isFunc // parameters have names in lower case, fields with such a name are not shown
					}
					if sel, ok := n.(*ast.SelectorExpr); ok {
						if x, ok := sel.X.(*ast.Ident); ok && ours[x.Name] {
							t.Errorf("%s: %s.%s is of a package that is not stable", files.Position(sel.Pos()), x.Name, sel.Sel.Name)
						}
					}
					return true
				})
			}
		}
	}
}

// unstableImports returns the names under which a file imports packages of this module that
// are not stable.
func unstableImports(file *ast.File) map[string]bool {
	out := map[string]bool{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		folder, ours := strings.CutPrefix(path, module)
		if err != nil || !ours || slices.Contains(stable, folder) {
			continue
		}
		name := folder[strings.LastIndex(folder, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[name] = true
	}
	return out
}

// exported returns the types in the exported declarations of a file: signatures of functions and
// methods, and what types are declared as.
func exported(file *ast.File) []ast.Node {
	var out []ast.Node
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() {
				out = append(out, d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						out = append(out, s.Type)
					}
				case *ast.ValueSpec:
					if s.Type != nil && s.Names[0].IsExported() {
						out = append(out, s.Type)
					}
				}
			}
		}
	}
	return out
}

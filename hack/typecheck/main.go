// Command typecheck checks whether packages, and all that they import, would build on
// other systems. It checks types from source, which takes a small part of the time of a
// build; of other modules' packages it reads declarations only.
package main

import (
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	systems := flag.String("systems", "darwin/arm64,linux/arm64", "systems to check for, GOOS/GOARCH")
	flag.Parse()
	for _, system := range strings.Split(*systems, ",") {
		if err := check(system, flag.Args()); err != nil {
			fmt.Fprintf(os.Stderr, "checking types for %s: %v\n", system, err)
			os.Exit(1)
		}
	}
}

// check returns what is wrong with the packages that patterns name, on a system.
func check(system string, patterns []string) error {
	goos, goarch, ok := strings.Cut(system, "/")
	if !ok {
		return errors.New("want GOOS/GOARCH")
	}
	here, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the module: %w", err)
	}
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesSizes,
		Env:  append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
		ParseFile: func(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
			return parse(fset, name, src, here)
		},
	}, patterns...)
	if err != nil {
		return fmt.Errorf("loading packages: %w", err)
	}
	var errs []error
	packages.Visit(loaded, nil, func(p *packages.Package) {
		for _, e := range p.Errors {
			if inside(e.Pos, here) || e.Kind != packages.TypeError {
				errs = append(errs, e)
			}
		}
	})
	return errors.Join(errs...)
}

func inside(path, dir string) bool { return strings.HasPrefix(path, dir+string(filepath.Separator)) }

// parse drops the bodies of functions of other modules: those were built by others.
func parse(fset *token.FileSet, name string, src []byte, here string) (*ast.File, error) {
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil || inside(name, here) {
		return file, err //nolint:wrapcheck // it names the file
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			f.Body = nil
		}
	}
	return file, nil
}

// Images assembles the container images that Kubernetes' conformance specs run,
// from Debian packages and Go programs, into one OCI archive under the names and
// tags the suite asks for:
//
//	go run ./images -programs DIR -packages DIR -o images.tar
//
// Nothing is taken from a registry of images.
package main

import (
	"flag"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	programs := flag.String("programs", "", "directory of the Go programs: agnhost, etcd, nnp, pause, sample-apiserver")
	sources := flag.String("sources", "", "directory of k8s.io/kubernetes' test/images")
	packages := flag.String("packages", "", "directory that keeps downloaded Debian packages")
	out := flag.String("o", "images.tar", "archive to write")
	flag.Parse()
	if err := run(*programs, *sources, *packages, *out); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(programs, sources, packages, out string) error {
	b := &builder{programs: programs, sources: sources, debian: debian{dir: packages, needs: map[string][]string{}}, layers: map[string]v1.Layer{}}
	images, err := b.images()
	if err != nil {
		return err
	}
	// A half-written archive must not look like a whole one to make.
	partial := out + ".partial"
	if err := writeArchive(partial, images); err != nil {
		return fmt.Errorf("writing images: %w", err)
	}
	return os.Rename(partial, out)
}

package main

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// image holds the parts of a container image.
type image struct {
	// names it goes by, each with its tag.
	names  []string
	layers []v1.Layer
	config v1.Config
}

// build makes the image of one name. Images of the same content differ by a
// label, so that a pod's status shows which of them it runs.
func (i image) build(ref name.Reference) (v1.Image, error) {
	built, err := mutate.AppendLayers(empty.Image, i.layers...)
	if err != nil {
		return nil, err
	}
	config, err := built.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = i.config
	config.Config.Labels = map[string]string{"org.opencontainers.image.version": ref.Identifier()}
	if len(config.Config.Env) == 0 {
		config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	}
	return mutate.ConfigFile(built, config)
}

// writeArchive writes the images as one OCI layout in a tar archive, layers
// that several share once.
func writeArchive(file string, images []image) error {
	dir, err := os.MkdirTemp("", "conformance-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tree, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	for _, i := range images {
		for _, n := range i.names {
			ref, err := name.ParseReference(n)
			if err != nil {
				return err
			}
			built, err := i.build(ref)
			if err != nil {
				return fmt.Errorf("building %s: %w", n, err)
			}
			named := layout.WithAnnotations(map[string]string{"io.containerd.image.name": n, "org.opencontainers.image.ref.name": ref.Identifier()})
			if err := tree.AppendImage(built, named); err != nil {
				return fmt.Errorf("adding %s: %w", n, err)
			}
		}
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := tarDirectory(out, dir); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func tarDirectory(out io.Writer, dir string) error {
	w := tar.NewWriter(out)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return w.Close()
}

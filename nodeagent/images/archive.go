package images

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// named is an image with its full name.
type named struct {
	name  string
	image v1.Image
}

// Annotations that name an image in an OCI archive's index.
const (
	nameAnnotation    = "io.containerd.image.name"
	refNameAnnotation = "org.opencontainers.image.ref.name"
)

// open spools an archive, plain or gzipped, into dir and returns its images: of
// an OCI layout or of the docker save format.
func open(dir string, archive io.Reader) ([]named, error) {
	file := filepath.Join(dir, "archive.tar")
	if err := spool(file, archive); err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, "layout")
	oci, err := unpackLayout(file, tree)
	if err != nil {
		return nil, err
	}
	if oci {
		return openLayout(tree)
	}
	return openDocker(file)
}

func spool(file string, archive io.Reader) error {
	in := bufio.NewReader(archive)
	var plain io.Reader = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if plain, err = gzip.NewReader(in); err != nil {
			return fmt.Errorf("reading image archive: %w", err)
		}
	}
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("spooling image archive: %w", err)
	}
	_, err = io.Copy(out, plain) //nolint:gosec // the disk bounds it: the archive is an administrator's
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("spooling image archive: %w", err)
	}
	return nil
}

// unpackLayout extracts the archive if it is an OCI layout and reports whether
// it is one. Names that lead out of the tree are an error.
func unpackLayout(file, tree string) (bool, error) {
	in, err := os.Open(file)
	if err != nil {
		return false, fmt.Errorf("reading image archive: %w", err)
	}
	defer in.Close()
	if err := os.MkdirAll(tree, 0o700); err != nil {
		return false, fmt.Errorf("unpacking image archive: %w", err)
	}
	root, err := os.OpenRoot(tree)
	if err != nil {
		return false, fmt.Errorf("unpacking image archive: %w", err)
	}
	defer root.Close()
	oci := false
	entries := tar.NewReader(in)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return oci, nil
		}
		if err != nil {
			return false, fmt.Errorf("reading image archive: %w", err)
		}
		path := filepath.Clean(header.Name)
		oci = oci || path == "oci-layout"
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeEntry(root, path, entries); err != nil {
			return false, fmt.Errorf("unpacking %s of image archive: %w", header.Name, err)
		}
	}
}

func writeEntry(root *os.Root, path string, content io.Reader) error {
	if dir := filepath.Dir(path); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	out, err := root.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, out.Close())
}

func openLayout(tree string) ([]named, error) {
	index, err := layout.ImageIndexFromPath(tree)
	if err != nil {
		return nil, fmt.Errorf("reading index of image archive: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading index of image archive: %w", err)
	}
	var out []named
	for _, d := range manifest.Manifests {
		text := d.Annotations[nameAnnotation]
		if text == "" {
			text = d.Annotations[refNameAnnotation]
		}
		if text == "" {
			return nil, fmt.Errorf("reading index of image archive: manifest %s has no name (annotation %s)", d.Digest, nameAnnotation)
		}
		image, err := pick(index, d)
		if err != nil {
			return nil, fmt.Errorf("reading image %s of archive: %w", text, err)
		}
		if out, err = appendNamed(out, text, image); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pick returns the image of a descriptor, of an index the one for this machine.
func pick(index v1.ImageIndex, d v1.Descriptor) (v1.Image, error) {
	if !d.MediaType.IsIndex() {
		return index.Image(d.Digest)
	}
	nested, err := index.ImageIndex(d.Digest)
	if err != nil {
		return nil, err
	}
	manifest, err := nested.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		if d.Platform == nil || d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH {
			return nested.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("no manifest for linux/%s", runtime.GOARCH)
}

func openDocker(file string) ([]named, error) {
	opener := func() (io.ReadCloser, error) { return os.Open(file) }
	manifest, err := tarball.LoadManifest(opener)
	if err != nil {
		return nil, fmt.Errorf("reading image archive (neither OCI layout nor docker save format): %w", err)
	}
	var out []named
	for _, entry := range manifest {
		for _, text := range entry.RepoTags {
			tag, err := name.NewTag(text)
			if err != nil {
				return nil, fmt.Errorf("parsing image name %q: %w", text, err)
			}
			image, err := tarball.Image(opener, &tag)
			if err != nil {
				return nil, fmt.Errorf("reading image %s of archive: %w", text, err)
			}
			if out, err = appendNamed(out, text, image); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func appendNamed(list []named, text string, image v1.Image) ([]named, error) {
	ref, err := reference.ParseDockerRef(text)
	if err != nil {
		return nil, fmt.Errorf("parsing image name %q: %w", text, err)
	}
	return append(list, named{name: ref.String(), image: image}), nil
}

package carried

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Names of the built-in images. The sample comes under two tags, so that
// there is something to update to.
const (
	PauseImage    = "coracle.dev/pause:v1"
	SampleImage   = "coracle.dev/sample:v1"
	SampleImageV2 = "coracle.dev/sample:v2"
)

// Image is an image of one static program.
type Image struct {
	// Names it goes by, with tags.
	Names []string
	// Program is the name of its file in the root directory.
	Program string
	// Args after the program in the entrypoint.
	Args []string
	// Links in /bin to the program.
	Links []string
	// User runs it, as in an image's configuration; empty is root.
	User string
}

// Pause returns the image of pod sandboxes.
func Pause() Image { return Image{Names: []string{PauseImage}, Program: "pause", User: "65535:65535"} }

// Sample returns the image of the samples: an HTTP server with a few tools.
func Sample() Image {
	return Image{Names: []string{SampleImage, SampleImageV2}, Program: "sample", Args: []string{"serve"}, Links: []string{
		"sh", "cat", "echo", "env", "hostname", "ls", "rm", "sleep", "get", "write", "kill", "true", "false", "tar"}}
}

// Write writes the image as an archive that `docker load`, `ctr image import`
// and `coracle image load` take. program is the content of its file.
func (i Image) Write(out io.Writer, program []byte) error {
	image, err := i.build(program)
	if err != nil {
		return fmt.Errorf("building image %s: %w", i.Names[0], err)
	}
	refs := map[name.Reference]v1.Image{}
	for _, n := range i.Names {
		ref, err := name.ParseReference(n)
		if err != nil {
			return fmt.Errorf("naming image %s: %w", n, err)
		}
		if refs[ref], err = labelled(image, ref.Identifier()); err != nil {
			return fmt.Errorf("building image %s: %w", n, err)
		}
	}
	if err := tarball.MultiRefWrite(refs, out); err != nil {
		return fmt.Errorf("writing image %s: %w", i.Names[0], err)
	}
	return nil
}

// Archive returns the image with its carried program.
func (i Image) Archive() ([]byte, error) {
	in, err := Open(i.Program)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	program, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("reading the carried %s: %w", i.Program, err)
	}
	var b bytes.Buffer
	if err := i.Write(&b, program); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (i Image) build(program []byte) (v1.Image, error) {
	files, err := i.layer(program)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil })
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		Entrypoint: append([]string{"/" + i.Program}, i.Args...), User: i.User, WorkingDir: "/",
		Env: []string{"PATH=/bin"},
	}
	return mutate.ConfigFile(image, config)
}

// labelled labels the image with its version. Images of one program under several
// names then have different IDs, so that a pod's status shows which one it runs.
func labelled(image v1.Image, version string) (v1.Image, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Config.Labels = map[string]string{"org.opencontainers.image.version": version}
	return mutate.ConfigFile(image, config)
}

// layer has fixed times and order: the same program gives the same digest.
func (i Image) layer(program []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, content []byte) error {
		h.ModTime, h.Format = time.Unix(0, 0), tar.FormatPAX
		h.Size = int64(len(content))
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	for _, dir := range []string{"bin/", "etc/", "tmp/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		if err := add(tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}, nil); err != nil {
			return nil, err
		}
	}
	passwd := []byte("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	if err := add(tar.Header{Typeflag: tar.TypeReg, Name: "etc/passwd", Mode: 0o644}, passwd); err != nil {
		return nil, err
	}
	if err := add(tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(i.Program, "/"), Mode: 0o755}, program); err != nil {
		return nil, err
	}
	for _, l := range i.Links {
		if err := add(tar.Header{Typeflag: tar.TypeSymlink, Name: path.Join("bin", l), Linkname: "/" + i.Program, Mode: 0o777}, nil); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// mirror serves the images to pods with imagePullPolicy Always, in place of the
// registries in their names. Two specs have such pods.
type mirror struct {
	server *http.Server
	dir    string
}

// startMirror listens at a host's address that all nodes reach and configures
// it in their containerds, which read that at every pull.
func startMirror(archive, address, dataDir string) (_ *mirror, err error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return nil, fmt.Errorf("listening as registry: %w", err)
	}
	dir, err := os.MkdirTemp("", "coracle-conformance-mirror-")
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	blobs := registry.WithBlobHandler(registry.NewDiskBlobHandler(dir))
	m := &mirror{dir: dir, server: &http.Server{Handler: registry.New(blobs, registry.Logger(log.New(io.Discard, "", 0)))}}
	go func() { _ = m.server.Serve(listener) }()
	registries, err := m.fill(archive, listener.Addr().String())
	if err == nil {
		err = announce(registries, listener.Addr().String(), dataDir)
	}
	if err != nil {
		return nil, errors.Join(err, m.stop())
	}
	return m, nil
}

// fill copies the archive's images and returns the registries they are from.
func (m *mirror) fill(archive, address string) (map[string]bool, error) {
	tree := filepath.Join(m.dir, "layout")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return nil, err
	}
	if out, err := exec.Command("tar", "-xf", archive, "-C", tree).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpacking images: %w: %s", err, out)
	}
	index, err := layout.ImageIndexFromPath(tree)
	if err != nil {
		return nil, fmt.Errorf("reading images: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading images: %w", err)
	}
	registries := map[string]bool{}
	for _, d := range manifest.Manifests {
		host, path, _ := strings.Cut(d.Annotations["io.containerd.image.name"], "/")
		ref, err := name.ParseReference(address+"/"+path, name.Insecure)
		if err != nil {
			return nil, fmt.Errorf("mirroring images: %w", err)
		}
		image, err := index.Image(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("reading image %s: %w", ref, err)
		}
		if err := remote.Write(ref, image); err != nil {
			return nil, fmt.Errorf("mirroring image %s: %w", ref, err)
		}
		registries[host] = true
	}
	return registries, nil
}

func announce(registries map[string]bool, address, dataDir string) error {
	for host := range registries {
		dirs, err := filepath.Glob(filepath.Join(dataDir, "nodes", "*", "containerd", "certs.d"))
		if err != nil || len(dirs) == 0 {
			return fmt.Errorf("announcing the registry: no node in %s has a certs.d", dataDir)
		}
		for _, dir := range dirs {
			if err := os.MkdirAll(filepath.Join(dir, host), 0o755); err != nil {
				return fmt.Errorf("announcing the registry: %w", err)
			}
			hosts := fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", "http://"+address)
			if err := os.WriteFile(filepath.Join(dir, host, "hosts.toml"), []byte(hosts), 0o644); err != nil {
				return fmt.Errorf("announcing the registry: %w", err)
			}
		}
	}
	return nil
}

func (m *mirror) stop() error { return errors.Join(m.server.Close(), os.RemoveAll(m.dir)) }

// Package carried holds the programs a node needs besides Coracle itself
// (containerd, its shim, runc, the CNI plugins) and those of the built-in
// images, so that one binary is enough.
//
// They come in under the build tag carry, after `make build` has put them,
// gzipped, into bin/. Without the tag nothing is carried, and nodes look for
// the programs on PATH.
//
// The API of this package is not stable: see docs/api.md.
package carried

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Programs returns the programs that a node runs; the built-in images' programs
// are pause and sample.
func Programs() []string {
	return []string{"containerd", "containerd-shim-runc-v2", "runc", "bridge", "host-local", "loopback", "portmap"}
}

// ErrMissing is returned for a program that is neither carried nor on PATH.
var ErrMissing = errors.New("is missing")

// Install returns a directory with all of Programs: given, if that is not
// empty; else dir, into which the carried ones are written unless they are
// there already; else, when nothing is carried, links in dir to those on PATH.
func Install(dir, given string) (string, error) {
	if given != "" {
		for _, name := range Programs() {
			if _, err := os.Stat(filepath.Join(given, name)); err != nil {
				return "", fmt.Errorf("looking for node programs in %s: %s %w", given, name, ErrMissing)
			}
		}
		return given, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("installing node programs: %w", err)
	}
	for _, name := range Programs() {
		if err := install(dir, name); err != nil {
			return "", fmt.Errorf("installing node programs: %w", err)
		}
	}
	return dir, nil
}

// Open reads a carried program.
func Open(name string) (io.ReadCloser, error) {
	f, err := files().Open("bin/" + name + ".gz")
	if err != nil {
		return nil, fmt.Errorf("%s %w from this build: build with make, which carries it", name, ErrMissing)
	}
	zr, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reading the carried %s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{zr, f}, nil
}

// install writes a program beside a note of its hash, so that a restart does
// not write it again and another build does.
func install(dir, name string) error {
	path := filepath.Join(dir, name)
	packed, err := fs.ReadFile(files(), "bin/"+name+".gz")
	if err != nil {
		return link(path, name)
	}
	sum := sha256.Sum256(packed)
	note, want := path+".sha256", hex.EncodeToString(sum[:])
	if got, err := os.ReadFile(note); err == nil && string(got) == want {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}
	if err := unpack(path, name); err != nil {
		return err
	}
	return os.WriteFile(note, []byte(want), 0o644)
}

// unpack replaces the file by a new one: a running program keeps its own.
func unpack(path, name string) error {
	in, err := Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(path), "."+name+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	if _, err = io.Copy(out, in); err == nil {
		err = out.Chmod(0o755)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(out.Name(), path)
}

// link finds a program that is not carried where Debian and others put it.
func link(path, name string) error {
	found, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if err == nil {
			break
		}
		found = filepath.Join(dir, name)
		_, err = os.Stat(found)
	}
	if err != nil {
		return fmt.Errorf("%s %w: build with make (which carries it), install it, or name its folder in node.binDir", name, ErrMissing)
	}
	if old, err := os.Readlink(path); err == nil && strings.EqualFold(old, found) {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(found, path)
}

package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// tree is the content of a layer.
type tree struct {
	entries map[string]entry
}

type entry struct {
	header  tar.Header
	content []byte
}

func newTree() *tree { return &tree{entries: map[string]entry{}} }

// clean returns a name as the tree keeps it: relative, without a slash at its end.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// put adds an entry, in place of one of the same name; a directory never
// replaces anything.
func (t *tree) put(h tar.Header, content []byte) {
	name := clean(h.Name)
	if name == "" {
		return
	}
	if _, taken := t.entries[name]; taken && h.Typeflag == tar.TypeDir {
		return
	}
	h.Name, h.Size = name, int64(len(content))
	if h.Typeflag == tar.TypeLink {
		h.Linkname = clean(h.Linkname)
	}
	t.entries[name] = entry{header: h, content: content}
}

func (t *tree) file(name string, mode int64, content []byte) {
	t.put(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, content)
}

func (t *tree) symlink(name, target string) {
	t.put(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, nil)
}

func (t *tree) dir(name string, mode int64) {
	t.put(tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}, nil)
}

// hasProgram reports whether a program of that name is in PATH.
func (t *tree) hasProgram(name string) bool {
	return slices.ContainsFunc([]string{"bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin"}, func(dir string) bool {
		_, found := t.entries[path.Join(dir, name)]
		return found
	})
}

// layer has fixed times and order: the same content gives the same digest.
func (t *tree) layer() (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	sorted := slices.SortedFunc(maps.Values(t.entries), func(a, b entry) int {
		// A hard link comes after what it links to.
		return cmp.Or(cmp.Compare(linkRank(a), linkRank(b)), cmp.Compare(a.header.Name, b.header.Name))
	})
	for _, e := range sorted {
		h := e.header
		h.ModTime, h.AccessTime, h.ChangeTime, h.Format = time.Unix(0, 0), time.Time{}, time.Time{}, tar.FormatPAX
		h.Uname, h.Gname = "", ""
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if err := w.WriteHeader(&h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed))
}

func linkRank(e entry) int {
	if e.header.Typeflag == tar.TypeLink {
		return 1
	}
	return 0
}

package main

import (
	"archive/tar"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDependencies(t *testing.T) {
	got := parseDependencies([]byte(`nginx
  PreDepends: init-system
  Depends: libc6
 |Depends: libpcre2-8-0
 |Depends: libpcre3
  Depends: <libpcre-virtual>
  Depends: <virtual>
    provider
  Depends: zlib1g
zlib1g
libc6
  Depends: libgcc-s1
`))
	if diff := cmp.Diff(map[string][]string{"nginx": {"init-system", "libc6", "libpcre2-8-0", "zlib1g"}, "libc6": {"libgcc-s1"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestClosureTakesLibrariesOnly(t *testing.T) {
	needs := map[string][]string{"dig": {"libdns", "debconf"}, "libdns": {"libc6", "libssl-perl"}, "libc6": {"libdns"}, "debconf": {"libperl"}}
	asked := 0
	got, err := closure([]string{"dig"}, func([]string) (map[string][]string, error) { asked++; return needs, nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dig", "libdns", "libc6"}, got); diff != "" {
		t.Error(diff)
	}
	if asked != 3 {
		t.Errorf("asked %d times for three depths", asked)
	}
}

func TestLayer(t *testing.T) {
	tree := newTree()
	tree.symlink("lib", "usr/lib")
	tree.dir("./lib/", 0o755) // never replaces
	tree.put(tar.Header{Typeflag: tar.TypeLink, Name: "./a/hard", Linkname: "./z/file"}, nil)
	tree.file("/z/file", 0o755, []byte("x"))
	tree.file("usr/bin/nc", 0o755, nil)
	if !tree.hasProgram("nc") || tree.hasProgram("file") {
		t.Error("a program is what PATH finds")
	}
	layer, err := tree.layer()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for entries := tar.NewReader(content); ; {
		h, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.Name+" "+h.Linkname)
	}
	if diff := cmp.Diff([]string{"lib usr/lib", "usr/bin/nc ", "z/file ", "a/hard z/file"}, got); diff != "" {
		t.Error(diff)
	}
}

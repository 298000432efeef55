package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
)

// FuzzPullSecret reads the logins of a pod's Secrets and looks for those of an image.
func FuzzPullSecret(f *testing.F) {
	for _, text := range []string{
		"", "null", "{}", "[]", `{"auths":null}`, `{"auths":{"":{}}}`, `{"auths":{"docker.io":{"auth":"dTpw"}}}`, `{"auths":{"*.example.org/a":{"auth":"!"}}}`, `{"auths":{"[":{"username":"u","password":"p"}}}`,
		`{"auths":{"https://index.docker.io/v1/":{"identitytoken":"t"}}}`, `{"docker.io":{"auth":"Og=="}}`, `{"auths":{"a":null,"a":{}}}`,
	} {
		f.Add([]byte(text), "docker.io/library/a:b")
		f.Add([]byte(text), "registry.example.org:5000/a/b@sha256:"+strings.Repeat("a", 64))
	}
	f.Fuzz(func(t *testing.T, text []byte, image string) {
		for kind, key := range map[corev1.SecretType]string{corev1.SecretTypeDockerConfigJson: corev1.DockerConfigJsonKey, corev1.SecretTypeDockercfg: corev1.DockerConfigKey, corev1.SecretTypeOpaque: "x"} {
			entries, err := parseSecret(&corev1.Secret{Type: kind, Data: map[string][]byte{key: text}})
			ref, bad := reference.ParseDockerRef(image)
			if err != nil || bad != nil {
				continue
			}
			for registry, e := range entries {
				login := e.config(registry)
				if fits(registry, ref) && !strings.Contains(registry, "*") && login.ServerAddress != registry {
					t.Errorf("the login for %q is for %q", registry, login.ServerAddress)
				}
			}
		}
	})
}

// FuzzFits holds a login to its host: what has no wildcard fits no other one.
func FuzzFits(f *testing.F) {
	for _, registry := range []string{"", "docker.io", "https://index.docker.io/v1/", "*.example.org", "example.org/a", "example.org:5000", "[", "\\", "//", "http://", "*", "e?ample.org", "[a-z]xample.org"} {
		f.Add(registry, "example.org/a/b:c")
		f.Add(registry, "busybox")
	}
	f.Fuzz(func(t *testing.T, registry, image string) {
		ref, err := reference.ParseDockerRef(image)
		if err != nil || !fits(registry, ref) {
			return
		}
		if !strings.ContainsAny(registry, `*?[\`) && !strings.Contains(registry, reference.Domain(ref)) && reference.Domain(ref) != "docker.io" {
			t.Errorf("a login for %q is used at %q", registry, reference.Domain(ref))
		}
	})
}

// FuzzRecord reads the records of pulled images: one that cannot be read gives no access.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{"", "null", "{}", `{"imageRef":"a","updated":"2026-01-01T00:00:00Z","access":{"a":{"everyone":true},"b":{"secrets":[{"uid":"1","namespace":"a","name":"b","hash":"c"},null]}}}`, `{"updated":1}`, "{", "[]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "record")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if rec, err := readRecord(path); (rec == nil) == (err == nil) {
			t.Errorf("%q reads %v, %v", text, rec, err)
		}
	})
}

// archive returns a tar file of names and their contents.
func archive(f *testing.F, files ...string) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o600, Size: int64(len(files[i+1]))}); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	return out.Bytes()
}

// FuzzArchive opens archives of images. Nothing is written outside of the folder.
func FuzzArchive(f *testing.F) {
	layout := `{"imageLayoutVersion":"1.0.0"}`
	digest := "sha256:" + strings.Repeat("a", 64)
	seeds := [][]byte{
		nil, archive(f), archive(f, "manifest.json", "[]"), archive(f, "manifest.json", `[{"Config":"c","RepoTags":["a:b"],"Layers":["l"]}]`, "c", "{}", "l", ""),
		archive(f, "manifest.json", `[{"Config":"","RepoTags":["A"],"Layers":[""]}]`), archive(f, "manifest.json", "[null]"),
		archive(f, "oci-layout", layout, "index.json", "{}"), archive(f, "oci-layout", layout, "index.json", `{"manifests":[{}]}`), archive(f, "oci-layout", layout),
		archive(f, "oci-layout", layout, "index.json", `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"`+digest+`","annotations":{"io.containerd.image.name":"a"}}]}`, "blobs/sha256/"+strings.Repeat("a", 64), `{"manifests":[{"digest":"`+digest+`"}]}`),
		archive(f, "../outside", "x"), archive(f, "/etc/x", "x"), archive(f, "a", "x", "a/b", "y"), archive(f, ".", "x"),
	}
	for _, seed := range seeds {
		f.Add(seed)
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		if _, err := w.Write(seed); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(zipped.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		outer := t.TempDir()
		dir := filepath.Join(outer, "dir")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		images, err := open(dir, bytes.NewReader(data))
		for _, i := range images {
			if i.name == "" || i.image == nil {
				t.Errorf("an image without a name or content, %v", err)
			}
		}
		entries, err := os.ReadDir(outer)
		if err != nil || len(entries) != 1 {
			t.Errorf("wrote outside of its folder: %v, %v", entries, err)
		}
	})
}

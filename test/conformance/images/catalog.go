package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	suite "k8s.io/kubernetes/test/utils/image"
)

// passwd and group hold the users of the images. The users "in-image" are for a
// spec about supplemental groups that an image defines.
const (
	passwd = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n" +
		"user-defined-in-image:x:1000:1000::/home:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
	group = "root:x:0:\nwww-data:x:33:\nuser-defined-in-image:x:1000:\n" +
		"group-defined-in-image:x:50000:user-defined-in-image\nnogroup:x:65534:\n"
	nginxConf = `worker_processes 1;
error_log /dev/stderr;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
  types { text/html html; text/css css; application/json json; image/jpeg jpg; }
  default_type application/octet-stream;
  access_log /dev/stdout;
  server { listen 80; root /usr/share/nginx/html; index index.html; }
}
`
	welcome = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>\n"
)

// builder makes the images.
type builder struct {
	// programs and sources are directories, see the flags.
	programs, sources string
	debian            debian
	// layers are those made so far, by the name of their step.
	layers map[string]v1.Layer
}

// step is one layer of images; those that have it share it.
type step struct {
	name string
	fill func(*tree) error
}

// images returns the images that conformance specs use; registries, names and
// tags are the suite's own list.
func (b *builder) images() ([]image, error) {
	var out []image
	for _, a := range b.catalog() {
		i := image{config: a.config}
		for _, id := range a.ids {
			i.names = append(i.names, suite.GetE2EImage(id))
		}
		for _, s := range a.steps {
			layer, err := b.layer(s)
			if err != nil {
				return nil, fmt.Errorf("assembling %s of %s: %w", s.name, i.names[0], err)
			}
			i.layers = append(i.layers, layer)
		}
		out = append(out, i)
	}
	return out, nil
}

func (b *builder) layer(s step) (v1.Layer, error) {
	if made := b.layers[s.name]; made != nil {
		return made, nil
	}
	t := newTree()
	if err := s.fill(t); err != nil {
		return nil, err
	}
	layer, err := t.layer()
	if err == nil {
		b.layers[s.name] = layer
	}
	return layer, err
}

type recipe struct {
	ids    []suite.ImageID
	steps  []step
	config v1.Config
}

func (b *builder) catalog() []recipe {
	agnhost, busybox, base := step{"agnhost", b.agnhost}, step{"busybox", b.busybox}, step{"base", b.base}
	webserver := v1.Config{Entrypoint: []string{"/agnhost"}, Cmd: []string{"test-webserver"}}
	return []recipe{
		{[]suite.ImageID{suite.Agnhost, suite.AgnhostPrev}, []step{agnhost}, v1.Config{Entrypoint: []string{"/agnhost"}, Cmd: []string{"pause"}}},
		{[]suite.ImageID{suite.Kitten}, []step{agnhost, {"release", alpine}, b.page("kitten")}, webserver},
		{[]suite.ImageID{suite.Nautilus}, []step{agnhost, b.page("nautilus")}, webserver},
		{[]suite.ImageID{suite.BusyBox}, []step{busybox}, v1.Config{Cmd: []string{"sh"}}},
		{[]suite.ImageID{suite.NonRoot}, []step{busybox}, v1.Config{Cmd: []string{"sh"}, User: "1234"}},
		// It prints its effective user, which setuid would make root's.
		{[]suite.ImageID{suite.Nonewprivs}, []step{busybox, b.program("nnp", "usr/local/bin/nnp", 0o6755)}, v1.Config{Cmd: []string{"nnp"}}},
		{[]suite.ImageID{suite.Nginx, suite.NginxNew}, []step{{"nginx", b.nginx}}, v1.Config{Cmd: []string{"nginx", "-g", "daemon off;"}}},
		{[]suite.ImageID{suite.GlibcDnsTesting}, []step{{"dns tools", b.dnsTools}}, v1.Config{Cmd: []string{"bash"}}},
		{[]suite.ImageID{suite.Pause}, []step{b.program("pause", "pause", 0o755)}, v1.Config{Entrypoint: []string{"/pause"}, User: "65535:65535"}},
		{[]suite.ImageID{suite.Etcd}, []step{base, b.program("etcd", "usr/local/bin/etcd", 0o755)}, v1.Config{}},
		{[]suite.ImageID{suite.APIServer}, []step{base, b.program("sample-apiserver", "sample-apiserver", 0o755)},
			v1.Config{Entrypoint: []string{"/sample-apiserver"}}},
	}
}

// alpine adds the file that a spec which mounts an image reads: upstream's image is made
// from Alpine.
func alpine(t *tree) error {
	t.file("etc/os-release", 0o644, []byte("NAME=\"Alpine Linux\"\nID=alpine\n"))
	return nil
}

// base adds what every system expects.
func (b *builder) base(t *tree) error {
	for _, d := range []string{"bin", "dev", "etc", "home", "proc", "root", "run", "sys", "usr/local/bin", "var/log", "var/lib"} {
		t.dir(d, 0o755)
	}
	for _, d := range []string{"tmp", "var/tmp"} {
		t.dir(d, 0o1777)
	}
	t.file("etc/passwd", 0o644, []byte(passwd))
	t.file("etc/group", 0o644, []byte(group))
	t.file("etc/nsswitch.conf", 0o644, []byte("hosts: files dns\n"))
	return nil
}

// busybox gives every tool that the layer does not have yet.
func (b *builder) busybox(t *tree) error {
	if err := b.base(t); err != nil {
		return err
	}
	const name = "bin/busybox"
	if err := b.program("busybox", name, 0o755).fill(t); err != nil {
		return err
	}
	applets, err := list(t.entries[name].content)
	if err != nil {
		return err
	}
	for _, applet := range applets {
		if !t.hasProgram(applet) {
			t.symlink("bin/"+applet, "busybox")
		}
	}
	return nil
}

// list asks a busybox for its applets.
func list(busybox []byte) ([]string, error) {
	dir, err := os.MkdirTemp("", "conformance-busybox-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "busybox")
	if err := os.WriteFile(file, busybox, 0o755); err != nil {
		return nil, err
	}
	out, err := exec.Command(file, "--list").Output()
	if err != nil {
		return nil, commandError("listing applets of busybox", err)
	}
	return strings.Fields(string(out)), nil
}

// agnhost holds the suite's own server and the tools that specs call in it.
func (b *builder) agnhost(t *tree) error {
	if err := b.debian.unpack(t, "bash", "bind9-dnsutils", "bind9-host", "curl", "iperf", "iproute2", "libc-bin", "netcat-openbsd", "socat", "util-linux"); err != nil {
		return err
	}
	t.symlink("bin/nc", "nc.openbsd") // what update-alternatives would do
	if err := b.busybox(t); err != nil {
		return err
	}
	t.dir("uploads", 0o755)
	t.symlink("usr/local/bin/iperf", "/usr/bin/iperf")
	t.symlink("agnhost-2", "agnhost")
	for _, f := range []string{"localhost.crt", "localhost.key"} {
		if err := b.source(t, "agnhost/porter/"+f, f); err != nil {
			return err
		}
	}
	return b.program("agnhost", "agnhost", 0o755).fill(t)
}

func (b *builder) nginx(t *tree) error {
	if err := b.debian.unpack(t, "nginx", "nginx-common"); err != nil {
		return err
	}
	if err := b.busybox(t); err != nil {
		return err
	}
	t.file("etc/nginx/nginx.conf", 0o644, []byte(nginxConf))
	t.file("usr/share/nginx/html/index.html", 0o644, []byte(welcome))
	for _, d := range []string{"var/lib/nginx", "var/log/nginx"} {
		t.dir(d, 0o755)
	}
	return nil
}

// dnsTools resolves names the way glibc does.
func (b *builder) dnsTools(t *tree) error {
	if err := b.debian.unpack(t, "bash", "bind9-dnsutils", "bind9-host", "hostname", "libc-bin"); err != nil {
		return err
	}
	return b.busybox(t)
}

// page adds the files of one of the suite's two web sites.
func (b *builder) page(name string) step {
	return step{name, func(t *tree) error {
		for _, f := range []string{name + ".jpg", "data.json"} {
			if err := b.source(t, name+"/html/"+f, f); err != nil {
				return err
			}
		}
		return nil
	}}
}

// program adds a Go program at a path in the image.
func (b *builder) program(name, path string, mode int64) step {
	return step{name + " alone", func(t *tree) error {
		content, err := os.ReadFile(filepath.Join(b.programs, name))
		if err != nil {
			return fmt.Errorf("reading a program: %w", err)
		}
		t.file(path, mode, content)
		return nil
	}}
}

// source adds a file of the suite's own images.
func (b *builder) source(t *tree, from, to string) error {
	content, err := os.ReadFile(filepath.Join(b.sources, filepath.FromSlash(from)))
	if err != nil {
		return fmt.Errorf("reading a file of the suite's images: %w", err)
	}
	t.file(to, 0o644, content)
	return nil
}

//go:build linux

// Package node tests the node agent with real containers. It needs root and the
// node programs, in CORACLE_NODE_BIN or build/node/bin of the repository.
package node

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent"
	"github.com/coracle-k8s/coracle/nodeagent/agenttest"
	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/runtime/containerd"
)

const image = "test.local/program:1"

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// binaries finds the node programs.
func binaries(t testing.TB) string {
	dir := os.Getenv("CORACLE_NODE_BIN")
	if dir == "" {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
		if err != nil {
			t.Fatalf("finding the repository: %v", err)
		}
		dir = filepath.Join(strings.TrimSpace(string(out)), "build", "node", "bin")
	}
	if _, err := os.Stat(filepath.Join(dir, "containerd")); err != nil || os.Geteuid() != 0 {
		t.Fatalf("these tests need root and the node programs in %s (make build, or CORACLE_NODE_BIN): %v", dir, err)
	}
	return dir
}

// archive builds the test program and packs it into an OCI archive.
func archive(t testing.TB, name string) []byte {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the test program: %v: %s", err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, d := range []string{"tmp/", "etc/"} {
		_ = w.WriteHeader(&tar.Header{Name: d, Typeflag: tar.TypeDir, Mode: 0o777})
	}
	_ = w.WriteHeader(&tar.Header{Name: "program", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))})
	_, _ = w.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "layer.tar")
	if err := os.WriteFile(file, layer.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"/program"}}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "oci")
	path, err := layout.Write(out, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"io.containerd.image.name": name})); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	tw := tar.NewWriter(&packed)
	if err := tw.AddFS(os.DirFS(out)); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// node is a node under test.
type node struct {
	t      testing.TB
	dir    string
	api    *agenttest.API
	daemon *containerd.Containerd
	events chan string
	config nodeagent.Config
	agent  *nodeagent.Agent
	stop   func()
}

func start(t testing.TB) *node {
	bin := binaries(t)
	dir, err := os.MkdirTemp("/var/tmp", "node")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{t: t, dir: dir, api: agenttest.NewAPI(ctx)}
	n.daemon, err = containerd.New(containerd.Config{BinDir: bin, Dir: filepath.Join(dir, "c"), SandboxImage: image})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.stop()
		cancel()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := n.daemon.Shutdown(ctx, 0); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := n.agent.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "c", "containerd.log"))
			t.Logf("containerd: %s", log)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the node's files: %v", err)
		}
		_ = exec.Command("ip", "link", "del", "cnitest0").Run()
	})
	began := time.Now()
	n.network()
	if err := n.daemon.Ensure(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("containerd up after %s", time.Since(began))
	n.importImage(image)
	n.config = nodeagent.Config{
		NodeName: "node", Client: n.api, Cache: n.api,
		RootDir: filepath.Join(dir, "agent"), RuntimeEndpoint: n.daemon.Endpoint(), NodeIPs: []string{"127.0.0.1"},
		CgroupRoot: "/coracle-test-" + filepath.Base(dir),
		Volumes:    &agenttest.Volumes{Dir: filepath.Join(dir, "volumes")}, Env: agenttest.Env{},
	}
	n.runAgent()
	return n
}

func (n *node) importImage(name string) {
	began := time.Now()
	names, err := images.Import(n.t.Context(), n.daemon.Endpoint(), bytes.NewReader(archive(n.t, name)))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Logf("imported %s after %s", names, time.Since(began))
}

// runAgent starts an agent; stop ends it and leaves containers running.
func (n *node) runAgent() {
	recorder := record.NewFakeRecorder(1000)
	n.config.Recorder, n.events = recorder, recorder.Events
	agent, err := nodeagent.New(n.config)
	if err != nil {
		n.t.Fatal(err)
	}
	n.agent = agent
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Start(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Errorf("Start: %v", err)
		}
		n.stop = func() {}
	}
}

func (n *node) network() {
	dir := n.daemon.CNIConfDir()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		n.t.Fatal(err)
	}
	conf := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"test","plugins":[{"type":"bridge","bridge":"cnitest0","isGateway":true,`+
		`"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.199.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}`, n.dir+"/ipam")
	if err := os.WriteFile(filepath.Join(dir, "10-test.conflist"), []byte(conf), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func pod(name string, args ...string) *corev1.Pod {
	grace := int64(5)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.PodSpec{
			NodeName: "node", RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: &grace,
			DNSPolicy: corev1.DNSDefault,
			Containers: []corev1.Container{{
				Name: "main", Image: image, Args: args, ImagePullPolicy: corev1.PullIfNotPresent,
				TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			}},
		},
	}
}

func (n *node) create(pods ...*corev1.Pod) {
	for _, p := range pods {
		if err := n.api.Create(n.t.Context(), p); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *node) get(name string) *corev1.Pod {
	var p corev1.Pod
	if err := n.api.Get(n.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &p); err != nil {
		return nil
	}
	return &p
}

func ready(p *corev1.Pod) bool {
	if p == nil {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// await waits for a pod to be as wanted and returns how long that took.
func (n *node) await(what string, name string, want func(*corev1.Pod) bool) time.Duration {
	n.t.Helper()
	began := time.Now()
	for time.Since(began) < 30*time.Second {
		if want(n.get(name)) {
			return time.Since(began)
		}
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // between looks, for 30 seconds at most
	}
	n.t.Fatalf("%s: pod is %+v\nevents: %v", what, n.get(name).Status, n.drain())
	return 0
}

func (n *node) drain() []string {
	var out []string
	for {
		select {
		case e := <-n.events:
			out = append(out, e)
		default:
			return out
		}
	}
}

func gone(p *corev1.Pod) bool { return p == nil }

func TestPodLife(t *testing.T) {
	g := NewWithT(t)
	n := start(t)

	n.create(pod("first", "serve", ":8080"))
	t.Logf("first pod ready after %s", n.await("ready", "first", ready))
	n.create(pod("second", "serve", ":8080"))
	t.Logf("second pod ready after %s", n.await("ready", "second", ready))
	p := n.get("second")
	g.Expect(p.Status.Phase).To(Equal(corev1.PodRunning))
	// Without a readiness probe a pod is Ready once its program runs, which may be before it listens.
	g.Eventually(func() error {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(p.Status.PodIP, "8080"), time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	}).Should(Succeed(), "connection to the second pod")

	began := time.Now()
	for i := range 10 {
		n.create(pod(fmt.Sprintf("many-%d", i), "serve", ":8080"))
	}
	for i := range 10 {
		n.await("ready", fmt.Sprintf("many-%d", i), ready)
	}
	t.Logf("ten pods ready after %s", time.Since(began))

	// An agent that comes and goes changes nothing for containers.
	id := p.Status.ContainerStatuses[0].ContainerID
	n.stop()
	n.runAgent()
	n.create(pod("third", "exit", "3"))
	n.await("crash loop", "third", func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses
		return len(s) == 1 && s[0].RestartCount >= 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "CrashLoopBackOff"
	})
	p = n.get("second")
	g.Expect(p.Status.ContainerStatuses[0].ContainerID).To(Equal(id))
	g.Expect(p.Status.ContainerStatuses[0].RestartCount).To(BeZero())

	g.Expect(n.api.Delete(t.Context(), p)).To(Succeed())
	t.Logf("pod gone after %s", n.await("gone", "second", gone))
	t.Logf("events: %s", strings.Join(n.drain(), "\n"))
}

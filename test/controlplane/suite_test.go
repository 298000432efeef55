// Package controlplane runs a user's session against a whole control plane with
// simulated nodes: through the stock kubectl where a user would, through
// clients where only they can look. It needs no root.
package controlplane

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/test/env"
)

// binary is the built coracle, by the suite's first node.
var binary string

var _ = SynchronizedBeforeSuite(func() []byte {
	return []byte(env.Build(GinkgoTB()))
}, func(path []byte) { binary = string(path) })

func TestControlPlane(t *testing.T) {
	// The libraries' own lines belong to the spec that caused them.
	klog.LogToStderr(false)
	klog.SetOutput(GinkgoWriter)
	ctrllog.SetLogger(klog.Background())
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "control plane")
}

// world is a cluster with a kubectl.
type world struct {
	*env.Env
	kubectl
}

// begin starts a cluster for the container or spec it is called in.
func begin(opts ...env.Option) world {
	GinkgoHelper()
	e := env.Start(GinkgoTB(), opts...)
	return world{Env: e, kubectl: newKubectl(e.Cluster.Kubeconfig())}
}

// namespace makes a namespace and returns a kubectl for it.
func (w world) namespace(name string) kubectl {
	GinkgoHelper()
	w.ok("create", "namespace", name)
	return w.kubectl.in(name)
}

// get reads an object that must exist.
func (w world) get(obj client.Object, namespace, name string) {
	GinkgoHelper()
	Expect(w.Client.Get(GinkgoTB().Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)).To(Succeed())
}

// list reads the objects of a namespace.
func (w world) list(list client.ObjectList, namespace string, opts ...client.ListOption) {
	GinkgoHelper()
	Expect(w.Client.List(GinkgoTB().Context(), list, append(opts, client.InNamespace(namespace))...)).To(Succeed())
}

func named(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// kubectl runs the stock kubectl as its own process.
type kubectl struct {
	kubeconfig, home, ns string
}

func newKubectl(kubeconfig string) kubectl {
	return kubectl{kubeconfig: kubeconfig, home: GinkgoTB().TempDir(), ns: "default"}
}

func (k kubectl) in(namespace string) kubectl {
	k.ns = namespace
	return k
}

// run runs kubectl with a standard input and returns what it printed.
func (k kubectl) run(stdin string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.CommandContext(GinkgoTB().Context(), binary, append([]string{"kubectl"}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+k.kubeconfig, "HOME="+k.home)
	cmd.Dir = k.home
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func (k kubectl) with(args []string) []string {
	return append([]string{"--namespace", k.ns}, args...)
}

// ok runs kubectl, which must succeed, and returns its output.
func (k kubectl) ok(args ...string) string {
	GinkgoHelper()
	return k.feed("", args...)
}

// feed is ok with a standard input.
func (k kubectl) feed(stdin string, args ...string) string {
	GinkgoHelper()
	stdout, stderr, err := k.run(stdin, k.with(args)...)
	Expect(err).NotTo(HaveOccurred(), "kubectl %s\n%s%s", strings.Join(args, " "), stdout, stderr)
	return stdout
}

// fails runs kubectl, which must not succeed, and returns what it complained of.
func (k kubectl) fails(stdin string, args ...string) string {
	GinkgoHelper()
	stdout, stderr, err := k.run(stdin, k.with(args)...)
	Expect(err).To(HaveOccurred(), "kubectl %s printed\n%s", strings.Join(args, " "), stdout)
	return stderr
}

// apply applies a manifest.
func (k kubectl) apply(manifest string) string {
	GinkgoHelper()
	return k.feed(manifest, "apply", "-f", "-")
}

// repository returns the path of a file of this repository.
func repository(elements ...string) string {
	path, err := filepath.Abs(filepath.Join(append([]string{"..", ".."}, elements...)...))
	Expect(err).NotTo(HaveOccurred())
	return path
}

// deployment returns a manifest of a Deployment of one container with more lines in its spec.
func deployment(name string, replicas int, more ...string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, labels: {app: %[1]s}}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  %[3]s
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - {name: web, image: "example.test/web:1"}
`, name, replicas, strings.Join(more, "\n  "))
}

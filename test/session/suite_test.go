//go:build linux

// Package session is a user's session with real containers: bin/coracle run as
// a process, and what users do with it through kubectl. It needs root, and
// bin/coracle (make build) or the program that $CORACLE_BIN names.
package session

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestSession(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(25 * time.Millisecond)
	RunSpecs(t, "a user's session with real containers")
}

// daily is the cluster of all specs that do not stop or break theirs.
var daily *machine

var _ = BeforeSuite(func() {
	if os.Geteuid() != 0 {
		const why = "these specs run real containers, which needs root: namespaces, cgroups, mounts, nftables"
		fmt.Fprintln(os.Stderr, "test/session skipped: "+why)
		Skip(why)
	}
	Expect(program()).To(BeARegularFile(), "the program is missing: run `make build`, or name it in $CORACLE_BIN")
	daily = newMachine(0)
	daily.up()
	DeferCleanup(daily.remove)
})

// program returns the path of the coracle under test.
func program() string {
	if named := os.Getenv("CORACLE_BIN"); named != "" {
		return named
	}
	return filepath.Join("..", "..", "bin", "coracle")
}

// workspace is a namespace of a cluster with the means to work in it.
type workspace struct {
	*machine
	ns string
}

// workspace makes a namespace that goes with the container or spec that asked.
func (m *machine) workspace(name string) *workspace {
	GinkgoHelper()
	w := &workspace{machine: m, ns: name}
	m.kubectl("create", "namespace", name)
	Eventually(func() error {
		return m.client.Get(context.Background(), client.ObjectKey{Namespace: name, Name: "default"}, &corev1.ServiceAccount{})
	}).Should(Succeed(), "the namespace's default service account")
	DeferCleanup(func() {
		if m.session.ExitCode() < 0 { // it still runs
			m.kubectl("delete", "namespace", name, "--wait=false")
		}
	})
	return w
}

// do runs kubectl in the namespace and returns what it printed.
func (w *workspace) do(args ...string) string {
	GinkgoHelper()
	return w.kubectl(append([]string{"--namespace", w.ns}, args...)...)
}

// apply creates the objects of a manifest.
func (w *workspace) apply(manifest string) {
	GinkgoHelper()
	// An older kubectl takes what begins with a brace for strict JSON.
	out, err := w.try("---\n"+manifest, "--namespace", w.ns, "apply", "-f", "-")
	Expect(err).NotTo(HaveOccurred(), out)
}

// pod reads a pod.
func (w *workspace) pod(name string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	Expect(w.client.Get(context.Background(), client.ObjectKey{Namespace: w.ns, Name: name}, pod)).To(Succeed())
	return pod
}

// pods reads those with a label.
func (w *workspace) pods(app string) []corev1.Pod {
	GinkgoHelper()
	list := &corev1.PodList{}
	Expect(w.client.List(context.Background(), list, client.InNamespace(w.ns), client.MatchingLabels{"app": app})).To(Succeed())
	return list.Items
}

func names(pods []corev1.Pod) []string {
	var out []string
	for _, p := range pods {
		out = append(out, p.Name)
	}
	return out
}

// ready waits until pods are Ready.
func (w *workspace) ready(names ...string) {
	GinkgoHelper()
	for _, name := range names {
		Eventually(func() error {
			pod := w.pod(name)
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("pod %s is not ready: %s", name, describe(pod))
		}).Should(Succeed())
	}
}

// ended waits until a pod is Succeeded or Failed and returns it.
func (w *workspace) ended(name string) *corev1.Pod {
	GinkgoHelper()
	var pod *corev1.Pod
	Eventually(func() error {
		pod = w.pod(name)
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return nil
		}
		return fmt.Errorf("pod %s has not ended: %s", name, describe(pod))
	}).Should(Succeed())
	return pod
}

// waiting waits until the pod's container waits for one of the reasons, and
// returns the message.
func (w *workspace) waiting(name string, reasons ...string) string {
	GinkgoHelper()
	message := ""
	Eventually(func() error {
		pod := w.pod(name)
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			for _, reason := range reasons {
				if c.State.Waiting != nil && c.State.Waiting.Reason == reason {
					message = c.State.Waiting.Message
					return nil
				}
			}
		}
		return fmt.Errorf("pod %s does not wait with %v: %s", name, reasons, describe(pod))
	}).Should(Succeed())
	return message
}

// describe returns the state of a pod and its containers in a line.
func describe(pod *corev1.Pod) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", pod.Status.Phase, pod.Status.Reason, pod.Status.Message)
	for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		fmt.Fprintf(&b, "; %s: ready=%t restarts=%d", c.Name, c.Ready, c.RestartCount)
		switch {
		case c.State.Waiting != nil:
			fmt.Fprintf(&b, " waiting %s %s", c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.State.Terminated != nil:
			fmt.Fprintf(&b, " exited %d %s", c.State.Terminated.ExitCode, c.State.Terminated.Reason)
		}
		if last := c.LastTerminationState.Terminated; last != nil {
			fmt.Fprintf(&b, ", before it exited %d %s %s", last.ExitCode, last.Reason, last.Message)
		}
	}
	return b.String()
}

// freePort returns a port of the host on which no process listens.
func freePort() int {
	GinkgoHelper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// containers returns the IDs of the pods' containers.
func containers(pods []corev1.Pod) []string {
	var ids []string
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			ids = append(ids, strings.TrimPrefix(c.ContainerID, "containerd://"))
		}
	}
	slices.Sort(ids)
	return ids
}

// replace fills placeholders of a manifest: name, value, name, value.
func replace(manifest string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(manifest)
}

//go:build linux

package node

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func with(p *corev1.Pod, change func(*corev1.Pod)) *corev1.Pod {
	change(p)
	return p
}

func phase(want corev1.PodPhase) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool { return p != nil && p.Status.Phase == want }
}

func container(name string, args ...string) corev1.Container {
	c := pod("x", args...).Spec.Containers[0]
	c.Name = name
	return c
}

func TestContainersOfAllKinds(t *testing.T) {
	g := NewWithT(t)
	n := start(t)
	always := corev1.ContainerRestartPolicyAlways
	user, no := int64(1000), false
	n.create(with(pod("job", "exit", "0"), func(p *corev1.Pod) {
		p.Spec.RestartPolicy = corev1.RestartPolicyNever
		side := container("side", "serve", ":9000")
		side.RestartPolicy = &always
		side.StartupProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 10, ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(9000)}}}
		p.Spec.InitContainers = []corev1.Container{container("one", "write", "/dev/termination-log", "it", "is", "done"), side}
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: &user, AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: new(true)}
		p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse("64Mi"), corev1.ResourceCPU: resource.MustParse("500m")}
		p.Spec.Containers[0].Resources.Requests = p.Spec.Containers[0].Resources.Limits
	}))
	t.Logf("job succeeded after %s", n.await("succeeds", "job", phase(corev1.PodSucceeded)))
	p := n.get("job")
	g.Expect(p.Status.InitContainerStatuses[0].State.Terminated.Message).To(Equal("it is done"))
	g.Expect(p.Status.InitContainerStatuses[1].State.Terminated).NotTo(BeNil())
	g.Expect(p.Status.ContainerStatuses[0].User.Linux.UID).To(Equal(user))
	g.Expect(p.Status.ContainerStatuses[0].State.Terminated.Reason).To(Equal("Completed"))

	n.create(with(pod("root"), func(p *corev1.Pod) {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true)}
	}))
	n.await("refused", "root", func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses
		return len(s) == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "CreateContainerConfigError" &&
			strings.Contains(s[0].State.Waiting.Message, "container has runAsNonRoot and image will run as root")
	})
	n.create(with(pod("missing"), func(p *corev1.Pod) {
		p.Spec.Containers[0].Image, p.Spec.Containers[0].ImagePullPolicy = "test.local/none:1", corev1.PullNever
	}))
	n.await("never pulled", "missing", func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses
		return len(s) == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "ErrImageNeverPull"
	})
}

func TestProbesAndHooks(t *testing.T) {
	g := NewWithT(t)
	n := start(t)
	http := func() *corev1.Probe {
		return &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3, ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(8080)}}}
	}
	dir := t.TempDir()
	n.create(with(pod("web", "serve", ":8080"), func(p *corev1.Pod) {
		c := &p.Spec.Containers[0]
		c.ReadinessProbe, c.LivenessProbe = http(), http()
		p.Spec.Volumes = []corev1.Volume{{Name: "out", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}}}}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "out", MountPath: "/out"}}
		c.Lifecycle = &corev1.Lifecycle{
			PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/program", "write", "/out/started", "x"}}},
			PreStop:   &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/program", "write", "/out/stopped", "x"}}},
		}
	}))
	t.Logf("probed pod ready after %s", n.await("ready", "web", ready))
	g.Expect(filepath.Join(dir, "started")).To(BeAnExistingFile())
	g.Expect(filepath.Join(dir, "stopped")).NotTo(BeAnExistingFile())

	n.create(with(pod("sick", "pause"), func(p *corev1.Pod) {
		p.Spec.Containers[0].LivenessProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 1, ProbeHandler: corev1.ProbeHandler{
			Exec: &corev1.ExecAction{Command: []string{"/program", "exit", "1"}}}}
	}))
	n.await("restarted", "sick", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].RestartCount >= 1
	})
	g.Expect(strings.Join(n.drain(), "\n")).To(And(
		ContainSubstring("Unhealthy Liveness probe failed"),
		ContainSubstring("Killing Container main failed liveness probe, will be restarted")))

	g.Expect(n.api.Delete(t.Context(), n.get("web"))).To(Succeed())
	n.await("gone", "web", gone)
	g.Expect(filepath.Join(dir, "stopped")).To(BeAnExistingFile())
}

func TestResizeInPlace(t *testing.T) {
	g := NewWithT(t)
	n := start(t)
	memory := func(s string) corev1.ResourceRequirements {
		l := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(s), corev1.ResourceCPU: resource.MustParse("100m")}
		return corev1.ResourceRequirements{Limits: l, Requests: l}
	}
	n.create(with(pod("p", "serve", ":8080"), func(p *corev1.Pod) { p.Spec.Containers[0].Resources = memory("64Mi") }))
	n.await("ready", "p", ready)
	g.Expect(n.api.UpdatePod(t.Context(), "p", func(p *corev1.Pod) { p.Spec.Containers[0].Resources = memory("96Mi") })).To(Succeed())
	n.await("resized", "p", func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses[0]
		return s.Resources.Limits.Memory().String() == "96Mi" && s.AllocatedResources.Memory().String() == "96Mi"
	})
	g.Expect(n.get("p").Status.ContainerStatuses[0].RestartCount).To(BeZero())

	g.Expect(n.api.UpdatePod(t.Context(), "p", func(p *corev1.Pod) { p.Spec.Containers[0].Resources = memory("900Gi") })).To(Succeed())
	n.await("infeasible", "p", func(p *corev1.Pod) bool {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodResizePending {
				return c.Reason == corev1.PodReasonInfeasible
			}
		}
		return false
	})
}

func TestBadDays(t *testing.T) {
	g := NewWithT(t)
	n := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	watching := make(chan error)
	go func() { watching <- n.daemon.Start(ctx) }()
	defer func() { cancel(); <-watching }()
	n.create(pod("stays", "serve", ":8080"), pod("orphan", "serve", ":8080"))
	n.await("ready", "stays", ready)
	n.await("ready", "orphan", ready)
	id := n.get("stays").Status.ContainerStatuses[0].ContainerID

	// containerd dies and comes back; containers do not notice.
	text, err := os.ReadFile(filepath.Join(n.dir, "c", "containerd.pid"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(syscall.Kill(atoi(g, string(text)), syscall.SIGKILL)).To(Succeed())
	n.create(pod("after", "serve", ":8080"))
	t.Logf("ready after containerd's death: %s", n.await("ready", "after", ready))
	g.Expect(n.get("stays").Status.ContainerStatuses[0].ContainerID).To(Equal(id))

	// A pod removed by force while no agent runs is ended by the next one.
	n.stop()
	g.Expect(n.api.Delete(t.Context(), n.get("orphan"), client.GracePeriodSeconds(0))).To(Succeed())
	n.runAgent()
	logs := filepath.Join(n.dir, "agent", "logs")
	g.Eventually(func(g Gomega) {
		found, err := filepath.Glob(filepath.Join(logs, "default_orphan_*"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found).To(BeEmpty())
	}).WithTimeout(10 * time.Second).Should(Succeed())
	g.Expect(n.get("stays").Status.ContainerStatuses[0].ContainerID).To(Equal(id))
}

func atoi(g Gomega, s string) int {
	n := 0
	for _, c := range strings.TrimSpace(s) {
		g.Expect(c).To(And(BeNumerically(">=", '0'), BeNumerically("<=", '9')))
		n = n*10 + int(c-'0')
	}
	return n
}

//go:build linux

package nodeagent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.uber.org/goleak"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent"
	"github.com/coracle-k8s/coracle/nodeagent/agenttest"
	"github.com/coracle-k8s/coracle/nodeagent/runtime/fake"
)

const image = "docker.io/library/hello:1"

// node is an agent on a fake runtime, with a clock that tests move.
type node struct {
	t       *testing.T
	api     *agenttest.API
	runtime *fake.Runtime
	clock   *clocktesting.FakeClock
	volumes *agenttest.Volumes
	events  *record.FakeRecorder
	config  nodeagent.Config
	stop    func()
}

// run starts an agent until the test ends.
func run(t *testing.T, change ...func(*nodeagent.Config)) *node {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{
		t: t, api: agenttest.NewAPI(ctx), clock: clocktesting.NewFakeClock(time.Now()),
		volumes: &agenttest.Volumes{Dir: t.TempDir()}, events: record.NewFakeRecorder(1000),
	}
	n.runtime = fake.New(n.clock, image)
	no := false
	n.config = nodeagent.Config{
		NodeName: "node", Client: n.api, Cache: n.api, Recorder: n.events, Clock: n.clock, RootDir: t.TempDir(), PodLogDir: t.TempDir(),
		RuntimeEndpoint: "fake", NodeIPs: []string{"192.0.2.1"}, Volumes: n.volumes, Env: agenttest.Env{}, NodeCgroups: &no,
		Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
	}
	for _, c := range change {
		c(&n.config)
	}
	n.start()
	t.Cleanup(func() { n.stop(); cancel() })
	return n
}

// start starts an agent, which n.stop stops.
func (n *node) start() {
	agent, err := nodeagent.NewWithRuntime(n.config, n.runtime)
	if err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- agent.Start(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Errorf("Start: %v", err)
		}
	}
}

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.PodSpec{
			NodeName: "node", RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{Name: name, Image: image}},
		},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func (n *node) create(p *corev1.Pod) {
	n.t.Helper()
	if err := n.api.Create(n.t.Context(), p); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) get(g Gomega, name string) *corev1.Pod {
	var p corev1.Pod
	g.Expect(n.api.Get(n.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &p)).To(Succeed())
	return &p
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (n *node) eventually(check func(g Gomega)) {
	n.t.Helper()
	NewWithT(n.t).Eventually(check).WithTimeout(10 * time.Second).WithPolling(5 * time.Millisecond).Should(Succeed())
}

func (n *node) becomesReady(name string) {
	n.t.Helper()
	n.eventually(func(g Gomega) { g.Expect(ready(n.get(g, name))).To(BeTrue()) })
}

func (n *node) goes(name string) {
	n.t.Helper()
	n.eventually(func(g Gomega) {
		var p corev1.Pod
		g.Expect(client.IgnoreNotFound(n.api.Get(n.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &p))).To(Succeed())
		g.Expect(p.Name).To(BeEmpty())
	})
}

func TestNodeRegistersWithLease(t *testing.T) {
	n := run(t)
	n.eventually(func(g Gomega) {
		var node corev1.Node
		g.Expect(n.api.Get(t.Context(), client.ObjectKey{Name: "node"}, &node)).To(Succeed())
		g.Expect(node.Status.Allocatable.Cpu().String()).To(Equal("2"))
		g.Expect(node.Status.NodeInfo.ContainerRuntimeVersion).To(Equal("containerd://2.4.2"))
		last := node.Status.Conditions[len(node.Status.Conditions)-1]
		g.Expect(last.Type).To(Equal(corev1.NodeReady))
		g.Expect(last.Message).To(Equal("kubelet is posting ready status"))
		var lease coordinationv1.Lease
		g.Expect(n.api.Get(t.Context(), client.ObjectKey{Namespace: "kube-node-lease", Name: "node"}, &lease)).To(Succeed())
		g.Expect(*lease.Spec.LeaseDurationSeconds).To(BeEquivalentTo(40))
	})
}

func TestPodRunsAndGoes(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	n.create(pod("a"))
	n.becomesReady("a")
	g.Expect(n.runtime.Config("a").Labels).To(HaveKeyWithValue("io.kubernetes.pod.name", "a"))
	g.Expect(n.api.Delete(t.Context(), n.get(g, "a"))).To(Succeed())
	n.goes("a")
	n.eventually(func(g Gomega) { g.Expect(n.runtime.Empty()).To(BeTrue()) })
	mounted, _ := n.volumes.Mounted()
	g.Expect(mounted).To(BeEmpty())
}

func TestForceDeletedPodIsEnded(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	n.create(pod("a"))
	n.becomesReady("a")
	g.Expect(n.api.Delete(t.Context(), n.get(g, "a"), client.GracePeriodSeconds(0))).To(Succeed())
	n.eventually(func(g Gomega) { g.Expect(n.runtime.Empty()).To(BeTrue()) })
}

func TestCrashLoopByTheClock(t *testing.T) {
	n := run(t)
	n.create(pod("a"))
	n.becomesReady("a")
	n.runtime.Exit("a", 1)
	n.eventually(func(g Gomega) { g.Expect(n.get(g, "a").Status.ContainerStatuses[0].RestartCount).To(BeEquivalentTo(1)) })
	n.runtime.Exit("a", 1)
	n.eventually(func(g Gomega) {
		s := n.get(g, "a").Status.ContainerStatuses[0]
		g.Expect(s.State.Waiting).NotTo(BeNil())
		g.Expect(s.State.Waiting.Message).To(HavePrefix("back-off 10s restarting failed container=a pod=a_default"))
	})
	n.clock.Step(11 * time.Second)
	n.eventually(func(g Gomega) { g.Expect(n.get(g, "a").Status.ContainerStatuses[0].RestartCount).To(BeEquivalentTo(2)) })
}

func TestFailuresAreTriedAgain(t *testing.T) {
	n := run(t)
	for _, call := range []string{"RunPodSandbox", "CreateContainer", "StartContainer"} {
		n.runtime.Fail(call, errors.New("no luck"))
	}
	n.volumes.SetFail(func(*corev1.Pod) error { return errors.New("volume is not there") })
	n.create(pod("a"))
	waitEvent := func(what string) {
		t.Helper()
		n.eventually(func(g Gomega) {
			n.clock.Step(time.Second)
			select {
			case e := <-n.events.Events:
				g.Expect(e).To(ContainSubstring(what))
			default:
				g.Expect("").To(Equal(what))
			}
		})
	}
	waitEvent("FailedMount")
	n.volumes.SetFail(nil)
	waitEvent("FailedCreatePodSandBox")
	n.runtime.Fail("RunPodSandbox", nil)
	waitEvent("Failed Error: no luck")
	n.runtime.Fail("CreateContainer", nil)
	n.runtime.Fail("StartContainer", nil)
	n.eventually(func(g Gomega) {
		n.clock.Step(time.Second)
		g.Expect(ready(n.get(g, "a"))).To(BeTrue())
	})
}

func TestLostEventsAreMadeUpFor(t *testing.T) {
	n := run(t)
	n.create(pod("a"))
	n.becomesReady("a")
	n.runtime.Fail("GetContainerEvents", errors.New("restarting"))
	n.runtime.Drop()
	n.runtime.Exit("a", 1)
	n.runtime.Fail("GetContainerEvents", nil)
	n.eventually(func(g Gomega) {
		n.clock.Step(time.Second)
		g.Expect(n.get(g, "a").Status.ContainerStatuses[0].RestartCount).To(BeEquivalentTo(1))
	})
}

func TestPodThatDoesNotFitIsRejected(t *testing.T) {
	n := run(t)
	n.create(pod("big", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("3")}
	}))
	n.eventually(func(g Gomega) {
		p := n.get(g, "big")
		g.Expect(p.Status.Phase).To(Equal(corev1.PodFailed))
		g.Expect(p.Status.Reason).To(Equal("OutOfcpu"))
		g.Expect(p.Status.Message).To(Equal("Pod was rejected: Node didn't have enough resource: cpu, requested: 3000, used: 0, capacity: 2000"))
	})
}

// The end of SchedulerPreemption's specs: what a test advertised stays, and the
// successor of a pod that is gone from the API is admitted, though the victim's
// process has not ended yet.
func TestSuccessorTakesTheShareOfItsVictim(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	const gpu = corev1.ResourceName("example.com/gpu")
	key := client.ObjectKey{Name: "node"}
	n.eventually(func(g Gomega) {
		var node corev1.Node
		g.Expect(n.api.Get(t.Context(), key, &node)).To(Succeed())
		before := node.DeepCopy()
		node.Status.Capacity[gpu], node.Status.Allocatable[gpu] = resource.MustParse("1"), resource.MustParse("1")
		g.Expect(n.api.Status().Patch(t.Context(), &node, client.MergeFrom(before))).To(Succeed())
	})
	one := func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{gpu: resource.MustParse("1")}
	}
	n.runtime.Stubborn("victim")
	n.create(pod("victim", one))
	n.becomesReady("victim")
	n.create(pod("early", one))
	n.eventually(func(g Gomega) { g.Expect(n.get(g, "early").Status.Reason).To(Equal("OutOfexample.com/gpu")) })

	n.clock.Step(time.Hour) // the status is written again
	n.eventually(func(g Gomega) {
		var node corev1.Node
		g.Expect(n.api.Get(t.Context(), key, &node)).To(Succeed())
		g.Expect(node.Status.Conditions[0].LastHeartbeatTime.Time).To(BeTemporally("~", n.clock.Now(), time.Second))
		g.Expect(node.Status.Allocatable).To(HaveKeyWithValue(gpu, resource.MustParse("1")))
	})
	g.Expect(n.api.Delete(t.Context(), n.get(g, "victim"), client.GracePeriodSeconds(0))).To(Succeed())
	n.create(pod("successor", one))
	n.becomesReady("successor")
	n.create(pod("cluster-wide", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"example.com/elsewhere": resource.MustParse("1")}
	}))
	n.becomesReady("cluster-wide")
}

func TestShorterGraceEndsAStubbornContainer(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	n.runtime.Stubborn("a")
	n.create(pod("a"))
	n.becomesReady("a")
	g.Expect(n.api.Delete(t.Context(), n.get(g, "a"), client.GracePeriodSeconds(100))).To(Succeed())
	n.eventually(func(g Gomega) { g.Expect(n.events.Events).To(Receive(ContainSubstring("Killing"))) })
	g.Expect(n.runtime.Running()).To(Equal([]string{"a"}))
	n.runtime.Exit("a", 0)
	n.goes("a")
}

func TestPullFailureShowsAndEnds(t *testing.T) {
	n := run(t)
	n.runtime.Fail("PullImage", errors.New("no such host"))
	n.create(pod("a", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "example.com/other:1" }))
	waiting := func(reason string) {
		t.Helper()
		n.eventually(func(g Gomega) {
			s := n.get(g, "a").Status.ContainerStatuses
			g.Expect(s).To(HaveLen(1))
			g.Expect(s[0].State.Waiting.Reason).To(Equal(reason))
		})
	}
	waiting("ErrImagePull")
	n.clock.Step(3 * time.Second)
	waiting("ImagePullBackOff")
	n.runtime.Fail("PullImage", nil)
	n.clock.Step(10 * time.Second)
	n.becomesReady("a")
}

func TestImageVolumes(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	const artifact = "example.com/artifact:1"
	n.runtime.Fail("PullImage", errors.New("no such host"))
	n.create(pod("a", func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: artifact, PullPolicy: corev1.PullIfNotPresent}}}}
		p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/v"}, {Name: "v", MountPath: "/w", SubPath: "a/b"}}
	}))
	n.eventually(func(g Gomega) {
		s := n.get(g, "a").Status.ContainerStatuses
		g.Expect(s).To(HaveLen(1))
		g.Expect(s[0].State.Waiting.Reason).To(Equal("ErrImagePull"))
	})
	n.runtime.Fail("PullImage", nil)
	n.eventually(func(g Gomega) {
		n.clock.Step(time.Second)
		g.Expect(ready(n.get(g, "a"))).To(BeTrue())
	})
	mounts := n.runtime.Config("a").Mounts
	g.Expect(len(mounts)).To(BeNumerically(">=", 2))
	for i, sub := range []string{"", "a/b"} {
		g.Expect(mounts[i].HostPath).To(BeEmpty())
		g.Expect(mounts[i].Readonly).To(BeTrue())
		g.Expect(mounts[i].Image.UserSpecifiedImage).To(Equal(artifact))
		g.Expect(mounts[i].Image.Image).NotTo(BeEmpty())
		g.Expect(mounts[i].ImageSubPath).To(Equal(sub))
	}
}

// A container that crashed leaves the logs of its newest two runs.
func TestLogsOfRemovedContainersGo(t *testing.T) {
	g := NewWithT(t)
	n := run(t)
	n.create(pod("a"))
	n.becomesReady("a")
	dir := filepath.Join(n.config.PodLogDir, "default_a_uid-a", "a")
	g.Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	for attempt := range 4 {
		g.Expect(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.log", attempt)), nil, 0o600)).To(Succeed())
		g.Expect(n.runtime.Exit("a", 1)).To(BeTrue())
		n.eventually(func(g Gomega) {
			n.clock.Step(time.Minute)
			s := n.get(g, "a").Status.ContainerStatuses[0]
			g.Expect(s.RestartCount).To(BeEquivalentTo(attempt + 1))
			g.Expect(s.State.Running).NotTo(BeNil())
		})
	}
	n.eventually(func(g Gomega) {
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(left).To(Equal([]string{filepath.Join(dir, "3.log")}))
	})
}

func TestMountIsTriedAgainAtOnce(t *testing.T) {
	n := run(t)
	// The object that the mount lacks comes while it is being tried.
	tries := 0
	n.volumes.SetFail(func(p *corev1.Pod) error {
		if tries++; tries > 1 {
			return nil
		}
		n.volumes.Retry(p.UID)
		return errors.New("it is not there")
	})
	n.create(pod("a"))
	n.becomesReady("a") // without a step of the clock
}

// A runtime that does not answer for a while, busy or starting again, is no reason to take the
// node out of service; one that stays silent is.
func TestSilentRuntime(t *testing.T) {
	n := run(t)
	condition := func(want corev1.ConditionStatus) func(g Gomega) {
		return func(g Gomega) {
			var node corev1.Node
			g.Expect(n.api.Get(t.Context(), client.ObjectKey{Name: "node"}, &node)).To(Succeed())
			last := node.Status.Conditions[len(node.Status.Conditions)-1]
			g.Expect(last.Type).To(Equal(corev1.NodeReady))
			g.Expect(last.Status).To(Equal(want))
			if want == corev1.ConditionFalse {
				g.Expect(last.Message).To(ContainSubstring("container runtime is down"))
			}
		}
	}
	n.eventually(condition(corev1.ConditionTrue))
	asked := func() { // has the runtime asked again
		before := n.runtime.Count("Version")
		n.eventually(func(g Gomega) {
			n.clock.Step(time.Second)
			g.Expect(n.runtime.Count("Version")).To(BeNumerically(">", before))
		})
	}
	n.runtime.Fail("Version", errors.New("no answer"))
	n.runtime.Drop() // the stream of events ends, after which the node looks
	for range 3 {
		asked()
	}
	condition(corev1.ConditionTrue)(NewWithT(t))
	n.clock.Step(time.Minute)
	n.eventually(condition(corev1.ConditionFalse))
	n.runtime.Fail("Version", nil)
	n.eventually(func(g Gomega) {
		n.clock.Step(time.Second)
		condition(corev1.ConditionTrue)(g)
	})
}

// relabelled reads nodes with a label that no watch has brought yet.
type relabelled struct{ client.Reader }

func (r relabelled) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	err := r.Reader.Get(ctx, key, o, opts...)
	if node, ok := o.(*corev1.Node); ok && err == nil {
		node.Labels["zone"] = "a"
	}
	return err
}

// The scheduler saw a label before this node's own watch did.
func TestLabelThatTheWatchLacks(t *testing.T) {
	n := run(t)
	in := func(zone string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"zone": zone} }
	}
	n.stop()
	n.config.Live = relabelled{n.api}
	n.start()
	n.create(pod("a", in("a")))
	n.becomesReady("a")
	n.create(pod("b", in("b")))
	n.eventually(func(g Gomega) { g.Expect(n.get(g, "b").Status.Reason).To(Equal("NodeAffinity")) })
}

package pods

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden transcripts")

// golden compares a transcript with testdata/<test>.golden.
func (w *world) golden() {
	w.t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(w.t.Name(), "/", "_")+".golden")
	text := strings.Join(w.log, "\n") + "\n"
	if *rewrite {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != text {
		w.t.Errorf("transcript differs from %s (run with -rewrite and review): %v\n%s", file, err, text)
	}
}

func TestLifeOfAPod(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith())
	w.settle()
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodRunning))
	g.Expect(w.pod.Status.PodIP).To(Equal("10.0.0.7"))
	g.Expect(w.condition(corev1.PodReady)).To(Equal(corev1.ConditionTrue))
	g.Expect(w.condition(corev1.PodReadyToStartContainers)).To(Equal(corev1.ConditionTrue))
	w.pass(time.Minute)
	w.delete(30)
	g.Expect(w.finalized).To(BeTrue())
	g.Expect(w.plan.Done).To(BeTrue())
	w.golden()
}

func TestCrashLoopBacksOffAndForgets(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith())
	w.settle()
	for range 7 {
		w.now = w.now.Add(time.Second)
		w.exits("main", 1)
		w.pass(6 * time.Minute)
	}
	g.Expect(w.status("main").RestartCount).To(BeEquivalentTo(7))
	w.exits("main", 1)
	g.Expect(w.waiting("main")).To(Equal(ReasonCrashLoopBackOff))
	g.Expect(w.status("main").LastTerminationState.Terminated.ExitCode).To(BeEquivalentTo(1))
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodRunning), "a pod that crashes is Running")
	w.pass(16 * time.Minute)
	w.exits("main", 1) // it ran for more than twice the longest delay, so it starts at once
	w.golden()
}

func TestInitContainersInOrderThenMain(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(inits("one", "side", "two")))
	w.settle()
	g.Expect(w.waiting("main")).To(Equal(ReasonPodInitializing))
	w.exits("one", 1)
	w.exits("one", 0)
	g.Expect(w.condition(corev1.PodInitialized)).To(Equal(corev1.ConditionFalse))
	w.exits("two", 0)
	g.Expect(w.condition(corev1.PodInitialized)).To(Equal(corev1.ConditionTrue))
	g.Expect(w.condition(corev1.PodReady)).To(Equal(corev1.ConditionTrue))
	w.exits("side", 0) // restarts whatever its exit code
	w.delete(30)
	w.golden()
}

func TestSidecarWithStartupProbeHoldsTheOthers(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(inits("side"), func(p *corev1.Pod) {
		p.Spec.InitContainers[0].StartupProbe = &corev1.Probe{}
	}))
	w.settle()
	g.Expect(w.in.Newest("main")).To(BeNil())
	g.Expect(w.plan.Probes).To(HaveLen(1))
	yes := true
	w.state.Edit("side").StartupDone = &yes
	w.settle()
	g.Expect(w.in.Newest("main").State).To(Equal(Running))
}

func TestJobPodEndsItsSidecarsAndSucceeds(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(inits("side-a", "side-b"), policy(corev1.RestartPolicyNever)))
	w.settle()
	w.exits("main", 0)
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodSucceeded))
	g.Expect(w.condition(corev1.PodReady)).To(Equal(corev1.ConditionFalse))
	w.delete(0)
	g.Expect(w.finalized).To(BeTrue())
	w.golden()
}

func TestFailedInitFailsThePodThatNeverRestarts(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(inits("one"), policy(corev1.RestartPolicyNever)))
	w.settle()
	w.exits("one", 2)
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodFailed))
	g.Expect(w.in.Newest("main")).To(BeNil())
}

func TestRestartPolicies(t *testing.T) {
	never, onFailure := corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure
	for name, tc := range map[string]struct {
		pod   corev1.RestartPolicy
		own   *corev1.ContainerRestartPolicy
		rules []corev1.ContainerRestartRule
		code  int32
		phase corev1.PodPhase
	}{
		"always restarts success":    {corev1.RestartPolicyAlways, nil, nil, 0, corev1.PodRunning},
		"on failure ends success":    {corev1.RestartPolicyOnFailure, nil, nil, 0, corev1.PodSucceeded},
		"on failure restarts":        {corev1.RestartPolicyOnFailure, nil, nil, 1, corev1.PodRunning},
		"never fails":                {corev1.RestartPolicyNever, nil, nil, 1, corev1.PodFailed},
		"own policy wins":            {corev1.RestartPolicyAlways, &never, nil, 1, corev1.PodFailed},
		"own on failure":             {corev1.RestartPolicyAlways, &onFailure, nil, 0, corev1.PodSucceeded},
		"a rule restarts exit codes": {corev1.RestartPolicyNever, &never, []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestart, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}, 42, corev1.PodRunning},
		"a rule spares other codes":  {corev1.RestartPolicyNever, &never, []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestart, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}, 1, corev1.PodFailed},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t, podWith(policy(tc.pod), func(p *corev1.Pod) {
				p.Spec.Containers[0].RestartPolicy, p.Spec.Containers[0].RestartPolicyRules = tc.own, tc.rules
			}))
			w.settle()
			w.exits("main", tc.code)
			g.Expect(w.pod.Status.Phase).To(Equal(tc.phase))
		})
	}
}

func TestGracefulTerminationEndsSidecarsLast(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(inits("side-a", "side-b")))
	w.stubborn["main"] = true
	w.settle()
	w.delete(30)
	g.Expect(w.finalized).To(BeFalse())
	w.pass(10 * time.Second)
	w.exits("main", 143)
	g.Expect(w.finalized).To(BeTrue())
	w.golden()
}

func TestShorterGraceKillsAgain(t *testing.T) {
	w := newWorld(t, podWith())
	w.stubborn["main"] = true
	w.settle()
	w.delete(30)
	w.pass(3 * time.Second)
	w.delete(5)
	w.pass(5 * time.Second)
	w.exits("main", 137)
	w.golden()
}

func TestImageThatCannotBePulled(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith())
	w.pullErrors["main"] = "no such host"
	w.settle()
	g.Expect(w.waiting("main")).To(Equal(ReasonErrImagePull))
	w.pass(3 * time.Second)
	g.Expect(w.waiting("main")).To(Equal(ReasonImagePullBackOff))
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodPending))
	w.pullErrors = map[string]string{}
	w.pass(time.Minute)
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodRunning))
	w.golden()
}

func TestSandboxThatDiesIsReplaced(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(inits("one")))
	w.settle()
	w.exits("one", 0)
	w.say("sandbox dies")
	w.sandboxDies("s0")
	w.exits("main", 137)
	w.exits("one", 0)
	g.Expect(w.status("main").RestartCount).To(BeEquivalentTo(1))
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodRunning))
	w.golden()
}

// A container of which the runtime lost track may run: it is ended before the next one starts.
func TestUnknownContainerIsKilledFirst(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(func(*corev1.Pod) {}))
	w.settle()
	w.stubborn["main"] = true
	lost := w.in.Newest("main").ID
	w.in.find(lost).State = Unknown
	w.settle()
	g.Expect(w.state.Killing).To(HaveKey(lost))
	g.Expect(w.in.Newest("main").ID).To(Equal(lost), "no other was started")
	w.exit("main", 255)
	w.pass(time.Minute)
	g.Expect(w.in.Newest("main").ID).NotTo(Equal(lost))
	g.Expect(w.in.Newest("main").State).To(Equal(Running))
	g.Expect(strings.Join(w.log, "\n")).To(ContainSubstring(`kill ` + lost + `, grace 30s: Container is in "CONTAINER_UNKNOWN" state, try killing it before restart`))
}

func TestDeadlineBeforeTheStart(t *testing.T) {
	g := NewWithT(t)
	seconds := int64(60)
	w := newWorld(t, podWith(func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = &seconds }))
	w.pullErrors["main"] = "no such host"
	w.settle()
	w.pass(61 * time.Second)
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodFailed))
	g.Expect(w.pod.Status.Reason).To(Equal("DeadlineExceeded"))
	end := w.status("main").State.Terminated
	g.Expect(end).NotTo(BeNil())
	g.Expect(end.Reason).To(Equal(ReasonContainerStatusUnknown))
	g.Expect(end.ExitCode).To(BeEquivalentTo(137))
}

func TestDeadline(t *testing.T) {
	g := NewWithT(t)
	seconds := int64(60)
	w := newWorld(t, podWith(func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = &seconds }))
	w.settle()
	w.pass(61 * time.Second)
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodFailed))
	g.Expect(w.pod.Status.Reason).To(Equal("DeadlineExceeded"))
}

func TestProbesDecideReadinessAndRestart(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(func(p *corev1.Pod) {
		p.Spec.Containers[0].ReadinessProbe, p.Spec.Containers[0].LivenessProbe = &corev1.Probe{}, &corev1.Probe{}
	}))
	w.settle()
	g.Expect(w.condition(corev1.PodReady)).To(Equal(corev1.ConditionFalse))
	g.Expect(findCondition(w.pod.Status.Conditions, corev1.PodReady).Message).To(Equal("containers with unready status: [main]"))
	yes := true
	w.state.Edit("main").Ready = &yes
	w.settle()
	g.Expect(w.condition(corev1.PodReady)).To(Equal(corev1.ConditionTrue))
	w.state.Edit("main").Unhealthy = &Unhealthy{Message: "Container main failed liveness probe, will be restarted"}
	w.settle()
	g.Expect(w.status("main").RestartCount).To(BeEquivalentTo(1))
	g.Expect(w.condition(corev1.PodReady)).To(Equal(corev1.ConditionFalse))
	w.golden()
}

func TestChangedImageRestartsTheContainer(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith())
	w.settle()
	w.pod.Spec.Containers[0].Image = "other"
	w.settle()
	g.Expect(w.status("main").RestartCount).To(BeEquivalentTo(1))
	g.Expect(w.status("main").Image).To(Equal("other"))
}

func TestEphemeralContainerStartsOnce(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith())
	w.settle()
	w.pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "hello"}}}
	w.settle()
	g.Expect(w.status("debug").State.Running).NotTo(BeNil())
	w.exits("debug", 1)
	g.Expect(w.status("debug").State.Terminated).NotTo(BeNil())
	g.Expect(w.condition(corev1.PodReady)).To(Equal(corev1.ConditionTrue))
}

func TestResizeInPlace(t *testing.T) {
	g := NewWithT(t)
	cpu := func(s string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s)}}
	}
	w := newWorld(t, podWith(func(p *corev1.Pod) { p.Spec.Containers[0].Resources = cpu("1") }))
	w.state.Allocated["main"] = cpu("1")
	w.settle()
	w.pod.Spec.Containers[0].Resources = cpu("2")
	w.state.ResizePending = &Failure{Reason: corev1.PodReasonDeferred, Message: "Node didn't have enough resource: cpu"}
	w.settle()
	g.Expect(w.condition(corev1.PodResizePending)).To(Equal(corev1.ConditionTrue))
	w.state.Allocated["main"], w.state.ResizePending = cpu("2"), nil
	w.settle()
	g.Expect(w.condition(corev1.PodResizePending)).To(BeEmpty())
	g.Expect(w.status("main").AllocatedResources.Cpu().String()).To(Equal("2"))
	g.Expect(w.status("main").Resources.Requests.Cpu().String()).To(Equal("2"))
	g.Expect(w.log[len(w.log)-1]).To(ContainSubstring("resize main0"))
}

func TestRejectedPodFailsAndTouchesNothing(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith())
	w.state.Rejected = &Failure{Reason: "OutOfcpu", Message: "Pod was rejected: Node didn't have enough resource: cpu"}
	w.settle()
	g.Expect(w.pod.Status.Phase).To(Equal(corev1.PodFailed))
	g.Expect(w.pod.Status.Reason).To(Equal("OutOfcpu"))
	g.Expect(w.in.Sandboxes).To(BeEmpty())
}

func TestForeignConditionsStay(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith(func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(zero)}}
	}))
	w.settle()
	g.Expect(w.condition(corev1.DisruptionTarget)).To(Equal(corev1.ConditionTrue))
}

// Whatever happens to a pod, once its deletion is asked for and its processes
// end, it goes; and no plan ever starts a container twice (the world checks).
func TestAnyPodGoes(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		names := []string{"one", "side-a", "two", "side-b"}
		w := newWorld(t, podWith(inits(names[:r.IntN(len(names)+1)]...),
			policy([]corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}[r.IntN(3)])))
		w.settle()
		for range r.IntN(12) {
			var running []string
			for _, c := range w.in.Containers {
				if c.State == Running {
					running = append(running, c.Name)
				}
			}
			switch n := r.IntN(10); {
			case n < 6 && len(running) > 0:
				w.exits(running[r.IntN(len(running))], int32(r.IntN(2)))
			case n == 6 && len(w.in.Sandboxes) > 0:
				for _, name := range running {
					w.exit(name, 137)
				}
				w.sandboxDies(w.in.Sandboxes[0].ID)
				w.settle()
			default:
				w.pass(time.Duration(r.IntN(400)) * time.Second)
			}
		}
		before := w.pod.Status.Phase
		w.delete(int64(r.IntN(3)))
		if !w.finalized || !w.plan.Done || !Terminal(w.pod.Status.Phase) {
			t.Fatalf("seed %d: the pod does not go, phase %s:\n%s", seed, w.pod.Status.Phase, strings.Join(w.log, "\n"))
		}
		if Terminal(before) && before != w.pod.Status.Phase {
			t.Fatalf("seed %d: phase %s became %s", seed, before, w.pod.Status.Phase)
		}
	}
}

func TestWhatIsBeingStartedIsNotRemoved(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, podWith())
	w.settle()
	w.in.Containers = []Container{{ID: "half", Name: "main", State: Created, SandboxID: "s0"}}
	w.state.InFlight[Action{Kind: StartContainer, Container: "main"}.Key()] = true
	for _, a := range Make(Input{Pod: w.pod, Observed: w.in, State: w.state, Now: w.now}).Actions {
		g.Expect(a.Kind).NotTo(Equal(RemoveContainer))
	}
}

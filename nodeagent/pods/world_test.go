package pods

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// world carries plans out at once, on containers that are only records, and
// keeps a transcript. The test decides which actions take time or fail.
type world struct {
	t     testing.TB
	pod   *corev1.Pod
	in    Observed
	state *State
	now   time.Time
	// pullErrors and stubborn are names of containers whose image cannot be
	// pulled, and of those that do not end at their stop signal.
	pullErrors map[string]string
	stubborn   map[string]bool
	log        []string
	plan       Plan
	finalized  bool
	serial     int
}

var zero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t testing.TB, pod *corev1.Pod) *world {
	return &world{
		t: t, pod: pod, state: NewState([]string{"192.0.2.1"}, 5*time.Minute), now: zero,
		pullErrors: map[string]string{}, stubborn: map[string]bool{},
	}
}

// settle plans and acts until there is nothing to do now.
func (w *world) settle() {
	for range 100 {
		w.plan = Make(Input{Pod: w.pod, Observed: w.in, State: w.state, Now: w.now})
		w.pod.Status = w.plan.Status
		if w.plan.Terminating && w.state.TerminatingSince.IsZero() {
			w.state.TerminatingSince = w.now
		}
		if len(w.plan.Actions) == 0 {
			return
		}
		for _, a := range w.plan.Actions {
			w.do(a)
		}
	}
	w.t.Fatalf("plans without end:\n%s", strings.Join(w.log[len(w.log)-10:], "\n"))
}

// pass lets time go by, planning whenever the plan asks for it.
func (w *world) pass(d time.Duration) {
	until := w.now.Add(d)
	for !w.plan.Next.IsZero() && w.plan.Next.Before(until) {
		w.now = w.plan.Next
		w.settle()
	}
	w.now = until
	w.settle()
}

func (w *world) say(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf("%6s ", w.now.Sub(zero))+fmt.Sprintf(format, args...))
}

func (w *world) do(a Action) {
	switch a.Kind {
	case Prepare:
		w.state.Prepared = true
		w.say("prepare")
	case CreateSandbox:
		w.serial++
		s := Sandbox{ID: fmt.Sprintf("s%d", a.Attempt), Attempt: a.Attempt, Ready: true, CreatedAt: w.now, IPs: []string{"10.0.0.7"}}
		w.in.Sandboxes = slices.Insert(w.in.Sandboxes, 0, s)
		w.say("create sandbox %s", s.ID)
	case PullImage:
		w.pull(a)
	case StartContainer:
		w.start(a)
	case KillContainer:
		w.say("kill %s, grace %s: %s", a.ContainerID, a.Grace, a.Message)
		w.state.Killing[a.ContainerID] = w.now.Add(a.Grace)
		if !w.stubborn[a.Container] {
			w.exit(a.Container, 143)
		}
	case StopSandbox:
		w.state.StoppedSandboxes[a.SandboxID] = true
		w.sandboxDies(a.SandboxID)
		w.say("stop sandbox %s", a.SandboxID)
	case RemoveContainer:
		w.in.Containers = slices.DeleteFunc(w.in.Containers, func(c Container) bool { return c.ID == a.ContainerID })
		w.say("remove %s", a.ContainerID)
	case Resize:
		r := w.state.Allocated[a.Container]
		w.in.find(a.ContainerID).Resources = &r
		w.say("resize %s", a.ContainerID)
	case Release:
		w.state.Released = true
		w.say("release")
	case Remove:
		w.state.Removed = true
		w.in = Observed{}
		w.say("remove everything")
	case Finalize:
		w.state.Gone, w.finalized = true, true
		w.say("finalize, phase %s", w.pod.Status.Phase)
	}
}

func (o *Observed) find(id string) *Container {
	for i := range o.Containers {
		if o.Containers[i].ID == id {
			return &o.Containers[i]
		}
	}
	return nil
}

func (w *world) pull(a Action) {
	m := w.state.Edit(a.Container)
	m.Image = w.spec(a.Container).Image
	if message := w.pullErrors[a.Container]; message != "" {
		delay := 10 * time.Second
		if m.PullFailure != nil {
			delay = 2 * m.PullFailure.Delay
		}
		m.PullFailure = &Failure{Reason: ReasonErrImagePull, Message: message, At: w.now, Delay: delay, Retry: w.now.Add(delay)}
		w.say("pull for %s fails", a.Container)
		return
	}
	m.ImageRef, m.PullFailure = "sha256:"+m.Image, nil
	w.say("pull for %s", a.Container)
}

func (w *world) spec(name string) *corev1.Container {
	for _, list := range [][]corev1.Container{w.pod.Spec.Containers, w.pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	for i := range w.pod.Spec.EphemeralContainers {
		if w.pod.Spec.EphemeralContainers[i].Name == name {
			return (*corev1.Container)(&w.pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		}
	}
	w.t.Fatalf("no container %s", name)
	return nil
}

func (w *world) start(a Action) {
	for i := range w.in.Containers {
		if c := &w.in.Containers[i]; c.Name == a.Container && c.State == Running {
			w.t.Errorf("invariant 1: %s is started while %s runs", a.Container, c.ID)
		}
	}
	c := w.spec(a.Container)
	granted := w.state.Allocated[a.Container]
	if _, ok := w.state.Allocated[a.Container]; !ok {
		granted = c.Resources
	}
	one := Container{
		ID: fmt.Sprintf("%s%d", a.Container, a.Attempt), Name: a.Container, SandboxID: a.SandboxID, Attempt: a.Attempt,
		State: Running, CreatedAt: w.now, StartedAt: w.now, Image: c.Image, Hash: HashOf(c), Resources: &granted,
	}
	w.in.Containers = slices.Insert(w.in.Containers, 0, one)
	m := w.state.Edit(a.Container)
	if a.Backoff > 0 {
		m.Backoff, m.BackoffSince = a.Backoff, w.now
	}
	m.PostStarted, m.ProbeID = one.ID, one.ID
	m.StartupDone, m.Ready, m.Unhealthy = nil, nil, nil
	w.say("start %s", one.ID)
}

// exit ends the running container of a name.
func (w *world) exit(name string, code int32) {
	for i := range w.in.Containers {
		if c := &w.in.Containers[i]; c.Name == name && (c.State == Running || c.State == Unknown) {
			c.State, c.ExitCode, c.FinishedAt = Exited, code, w.now
			delete(w.state.Killing, c.ID)
			return
		}
	}
	w.t.Fatalf("%s does not run", name)
}

func (w *world) exits(name string, code int32) {
	w.say("%s exits with %d", name, code)
	w.exit(name, code)
	w.settle()
}

func (w *world) sandboxDies(id string) {
	for i := range w.in.Sandboxes {
		if w.in.Sandboxes[i].ID == id {
			w.in.Sandboxes[i].Ready = false
		}
	}
}

// delete asks for the pod's deletion.
func (w *world) delete(grace int64) {
	w.say("deletion, grace %d", grace)
	at := metav1.NewTime(w.now.Add(time.Duration(grace) * time.Second))
	w.pod.DeletionTimestamp, w.pod.DeletionGracePeriodSeconds = &at, &grace
	w.settle()
}

func (w *world) status(name string) *corev1.ContainerStatus {
	s := findStatus(w.pod.Status.ContainerStatuses, name)
	if s == nil {
		s = findStatus(w.pod.Status.InitContainerStatuses, name)
	}
	if s == nil {
		s = findStatus(w.pod.Status.EphemeralContainerStatuses, name)
	}
	return s
}

func (w *world) waiting(name string) string {
	if s := w.status(name); s != nil && s.State.Waiting != nil {
		return s.State.Waiting.Reason
	}
	return ""
}

func (w *world) condition(t corev1.PodConditionType) corev1.ConditionStatus {
	if c := findCondition(w.pod.Status.Conditions, t); c != nil {
		return c.Status
	}
	return ""
}

func podWith(change ...func(*corev1.Pod)) *corev1.Pod {
	grace := int64(30)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "u", Generation: 1},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyAlways, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "main", Image: "hello"}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func policy(r corev1.RestartPolicy) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.RestartPolicy = r }
}

func inits(names ...string) func(*corev1.Pod) {
	always := corev1.ContainerRestartPolicyAlways
	return func(p *corev1.Pod) {
		for _, n := range names {
			c := corev1.Container{Name: n, Image: "hello"}
			if strings.HasPrefix(n, "side") {
				c.RestartPolicy = &always
			}
			p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		}
	}
}

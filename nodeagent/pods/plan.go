package pods

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// planner accumulates one plan.
type planner struct {
	Input
	plan    Plan
	sandbox *Sandbox // current and ready, else nil
	// backoff has the end of each container's restart delay under way.
	backoff map[string]time.Time
	// reason and message become the pod's when the node ends it.
	reason, message string
}

// Make plans one pod.
func Make(in Input) Plan {
	p := &planner{Input: in, backoff: map[string]time.Time{}}
	if s := in.Observed.Current(); s != nil && s.Ready && !in.State.StoppedSandboxes[s.ID] {
		p.sandbox = s
	}
	grace, end := p.ending()
	switch {
	case end:
		p.terminate(grace)
	case p.prepare():
		p.run()
	}
	p.plan.Status = p.status()
	if p.plan.Terminating && terminal(p.plan.Status.Phase) && p.nothingRuns() {
		p.close()
	}
	return p.plan
}

// ending reports whether the pod must end, and with which grace in seconds.
func (p *planner) ending() (int64, bool) {
	pod, s := p.Pod, p.State
	own := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		own = *pod.Spec.TerminationGracePeriodSeconds
	}
	switch {
	case s.Gone:
		return s.GoneGrace, true
	case pod.DeletionTimestamp != nil:
		if pod.DeletionGracePeriodSeconds != nil {
			own = *pod.DeletionGracePeriodSeconds
		}
		p.keepReason()
		return own, true
	case terminal(pod.Status.Phase):
		p.keepReason()
		return own, true
	case s.Rejected != nil:
		p.reason, p.message = s.Rejected.Reason, s.Rejected.Message
		return 0, true
	case s.Kill != nil:
		p.reason, p.message = s.Kill.Reason, s.Kill.Message
		if s.Kill.Grace != nil {
			own = *s.Kill.Grace
		}
		return own, true
	case p.pastDeadline():
		p.reason, p.message = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
		return own, true
	}
	return own, p.finished()
}

// keepReason keeps what an earlier plan, or the one who deletes, wrote.
func (p *planner) keepReason() {
	p.reason, p.message = p.Pod.Status.Reason, p.Pod.Status.Message
}

// Terminal reports whether a phase is never left.
func Terminal(phase corev1.PodPhase) bool { return terminal(phase) }

func terminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

func (p *planner) pastDeadline() bool {
	seconds, start := p.Pod.Spec.ActiveDeadlineSeconds, p.Pod.Status.StartTime
	if seconds == nil || start == nil {
		return false
	}
	deadline := start.Add(podapi.Seconds(*seconds))
	if p.Now.Before(deadline) {
		p.lookAgain(deadline)
		return false
	}
	return true
}

// finished reports whether the pod came to its own end: every ordinary container
// exited and none restarts, or initialization failed for good.
func (p *planner) finished() bool {
	if p.initFailed() {
		return true
	}
	if len(p.State.InFlight) > 0 && p.anyInFlight(StartContainer) {
		return false
	}
	for i := range p.Pod.Spec.Containers {
		c := &p.Pod.Spec.Containers[i]
		o := p.Observed.Newest(c.Name)
		if o == nil || o.State != Exited || restarts(p.Pod, c, o.ExitCode, false) {
			return false
		}
	}
	return len(p.Pod.Spec.Containers) > 0
}

func (p *planner) initFailed() bool {
	if p.initialized() {
		return false
	}
	for i := range p.Pod.Spec.InitContainers {
		c := &p.Pod.Spec.InitContainers[i]
		o := p.Observed.Newest(c.Name)
		if o != nil && o.State == Exited && o.ExitCode != 0 && !restarts(p.Pod, c, o.ExitCode, true) {
			return true
		}
	}
	return false
}

// prepare gets volumes and a sandbox; it reports whether containers may run.
func (p *planner) prepare() bool {
	s := p.State
	if !s.Prepared {
		if f := s.PrepareFailure; f != nil && p.wait(f.Retry) {
			return p.sandbox != nil
		}
		p.act(Action{Kind: Prepare})
		// The first images may come while volumes are being mounted.
		p.pullFirst()
		return p.sandbox != nil
	}
	if p.sandbox != nil {
		return true
	}
	if p.discardOldSandbox() {
		return false
	}
	if f := s.SandboxFailure; f != nil && p.wait(f.Retry) {
		return false
	}
	var attempt uint32
	if old := p.Observed.Current(); old != nil {
		attempt = old.Attempt + 1
	}
	p.act(Action{Kind: CreateSandbox, Attempt: attempt})
	p.pullFirst()
	return false
}

// discardOldSandbox ends what is left in sandboxes that are not ready any more;
// it reports whether there was anything, which must be gone before a new one.
func (p *planner) discardOldSandbox() bool {
	left := false
	for i := range p.Observed.Containers {
		if c := &p.Observed.Containers[i]; c.State == Running {
			p.kill(c, 0, "Pod sandbox changed, it will be killed and re-created.")
			left = true
		}
	}
	if left {
		return true
	}
	for _, s := range p.Observed.Sandboxes {
		if !p.State.StoppedSandboxes[s.ID] {
			p.act(Action{Kind: StopSandbox, SandboxID: s.ID})
			left = true
		}
	}
	return left
}

// pullFirst pulls the images of the containers that start first.
func (p *planner) pullFirst() {
	first := p.Pod.Spec.Containers
	if len(p.Pod.Spec.InitContainers) > 0 {
		first = p.Pod.Spec.InitContainers[:1]
	}
	for i := range first {
		// One that is there already belongs to a pod being adopted.
		if p.Observed.Newest(first[i].Name) == nil {
			p.image(&first[i])
		}
	}
}

// run advances the containers of a pod whose sandbox is ready.
func (p *planner) run() {
	if !p.runInit() {
		p.runEphemeral()
		return
	}
	for i := range p.Pod.Spec.Containers {
		p.advance(&p.Pod.Spec.Containers[i], false)
	}
	p.runEphemeral()
}

// initialized reports whether an ordinary container was ever started in the
// current sandbox, after which init containers are a thing of the past.
func (p *planner) initialized() bool {
	s := p.Observed.Current()
	return s != nil && slices.ContainsFunc(p.Pod.Spec.Containers, func(c corev1.Container) bool {
		o := p.Observed.Newest(c.Name)
		return o != nil && o.SandboxID == s.ID
	})
}

// runInit advances init containers and reports whether ordinary ones may run.
func (p *planner) runInit() bool {
	over := p.initialized()
	inits := p.Pod.Spec.InitContainers
	// Where a later one exists, those before it are done, even if their
	// containers were removed meanwhile.
	last := -1
	for i := range inits {
		if o := p.Observed.Newest(inits[i].Name); o != nil && o.SandboxID == p.sandbox.ID {
			last = i
		}
	}
	for i := range inits {
		c := &inits[i]
		o := p.Observed.Newest(c.Name)
		here := o != nil && o.SandboxID == p.sandbox.ID
		switch {
		case IsSidecar(c):
			p.advance(c, true)
			if !over && i >= last && !(here && p.started(c, o)) {
				return false
			}
		case over || i < last || here && o.State == Exited && o.ExitCode == 0:
		default:
			p.advance(c, true)
			return false
		}
	}
	return true
}

// advance starts, restarts or kills one container as needed.
func (p *planner) advance(c *corev1.Container, init bool) {
	o := p.Observed.Newest(c.Name)
	m := p.State.Of(c.Name)
	switch {
	case o != nil && o.State == Running && o.SandboxID != p.sandbox.ID:
		p.kill(o, 0, "Pod sandbox changed, it will be killed and re-created.")
	case o != nil && o.State == Running:
		p.tend(c, o, m, init)
	case o != nil && o.State == Unknown:
		p.kill(o, p.graceOf(nil), `Container is in "CONTAINER_UNKNOWN" state, try killing it before restart`)
	case o != nil && o.State == Exited && !p.again(c, o, init):
	case p.State.InFlight[Action{Kind: StartContainer, Container: c.Name}.Key()]:
		// It is being started, with the delay before the next start set already.
		// Containers that it has created so far must not be removed.
	case o != nil && o.State == Exited:
		if until := backoffUntil(m, o.FinishedAt, p.Now, p.State.MaxBackoff); !until.IsZero() {
			p.backoff[c.Name] = until
			p.lookAgain(until)
			return
		}
		p.start(c, nextBackoff(m, o.FinishedAt, p.State.MaxBackoff))
	default:
		p.start(c, 0)
	}
}

// again reports whether a container that exited is to be started again; an init
// container of an earlier sandbox always is.
func (p *planner) again(c *corev1.Container, o *Container, init bool) bool {
	if init && o.SandboxID != p.sandbox.ID {
		return true
	}
	return o.Hash != "" && o.Hash != HashOf(c) || restarts(p.Pod, c, o.ExitCode, init)
}

// tend looks after a running container.
func (p *planner) tend(c *corev1.Container, o *Container, m *Memory, init bool) {
	switch {
	case o.Hash != "" && o.Hash != HashOf(c):
		p.kill(o, p.graceOf(nil), "Container "+c.Name+" definition changed")
		return
	case m.ProbeID == o.ID && m.Unhealthy != nil:
		p.kill(o, p.graceOf(m.Unhealthy.Grace), m.Unhealthy.Message)
		return
	}
	if p.needsResize(c, o) {
		if f := m.ResizeFailure; f == nil || !p.wait(f.Retry) {
			p.act(Action{Kind: Resize, Container: c.Name, ContainerID: o.ID})
		}
	}
	if m.PostStarted == o.ID && hasProbes(c) && (!init || IsSidecar(c)) {
		p.plan.Probes = append(p.plan.Probes, Probe{Container: c.Name, ContainerID: o.ID})
	}
}

func hasProbes(c *corev1.Container) bool {
	return c.StartupProbe != nil || c.LivenessProbe != nil || c.ReadinessProbe != nil
}

func (p *planner) graceOf(override *int64) time.Duration {
	seconds := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if p.Pod.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *p.Pod.Spec.TerminationGracePeriodSeconds
	}
	if override != nil {
		seconds = *override
	}
	return podapi.Seconds(seconds)
}

// start pulls the image, then starts the container.
func (p *planner) start(c *corev1.Container, backoff time.Duration) {
	if !p.image(c) || !p.State.Prepared {
		return
	}
	if f := p.State.Of(c.Name).StartFailure; f != nil && p.wait(f.Retry) {
		return
	}
	p.act(Action{
		Kind: StartContainer, Container: c.Name, SandboxID: p.sandbox.ID,
		Attempt: p.nextAttempt(c.Name), Backoff: backoff,
	})
	// Only the newest two of a name are kept: the last for its status and logs.
	for i, seen := 0, 0; i < len(p.Observed.Containers); i++ {
		if o := &p.Observed.Containers[i]; o.Name == c.Name && o.State != Running {
			if seen++; seen > 1 || o.State == Created {
				p.act(Action{Kind: RemoveContainer, Container: c.Name, ContainerID: o.ID})
			}
		}
	}
}

// nextAttempt returns one more than any that the runtime or the API remembers.
func (p *planner) nextAttempt(name string) uint32 {
	next := uint32(0)
	for i := range p.Observed.Containers {
		if o := &p.Observed.Containers[i]; o.Name == name && o.State != Created {
			next = max(next, o.Attempt+1)
		}
	}
	for _, list := range [][]corev1.ContainerStatus{p.Pod.Status.ContainerStatuses, p.Pod.Status.InitContainerStatuses} {
		if s := findStatus(list, name); s != nil && s.ContainerID != "" {
			next = max(next, uint32(s.RestartCount)+1)
		}
	}
	return next
}

// image makes sure of a container's image and reports whether it is there.
func (p *planner) image(c *corev1.Container) bool {
	m := p.State.Of(c.Name)
	if m.ImageRef != "" && m.Image == c.Image {
		return true
	}
	if f := m.PullFailure; f != nil && m.Image == c.Image {
		if p.Now.Before(f.At.Add(pullErrorShown)) {
			p.lookAgain(f.At.Add(pullErrorShown))
		}
		if p.wait(f.Retry) {
			return false
		}
	}
	p.act(Action{Kind: PullImage, Container: c.Name})
	return false
}

// runEphemeral starts ephemeral containers once; they never restart.
func (p *planner) runEphemeral() {
	for i := range p.Pod.Spec.EphemeralContainers {
		c := (*corev1.Container)(&p.Pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		if p.Observed.Newest(c.Name) == nil {
			p.start(c, 0)
		}
	}
}

// act adds an action unless it is under way.
func (p *planner) act(a Action) {
	if !p.State.InFlight[a.Key()] {
		p.plan.Actions = append(p.plan.Actions, a)
	}
}

func (p *planner) anyInFlight(kinds ...Kind) bool {
	for key := range p.State.InFlight {
		for _, k := range kinds {
			if name := k.String(); key == name || len(key) > len(name) && key[:len(name)+1] == name+"/" {
				return true
			}
		}
	}
	return false
}

// wait reports whether t is still to come, and if so has the plan made again then.
func (p *planner) wait(t time.Time) bool {
	if !p.Now.Before(t) {
		return false
	}
	p.lookAgain(t)
	return true
}

func (p *planner) lookAgain(t time.Time) {
	if p.plan.Next.IsZero() || t.Before(p.plan.Next) {
		p.plan.Next = t
	}
}

package nodeagent

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent/admission"
	"github.com/coracle-k8s/coracle/nodeagent/containers"
	"github.com/coracle-k8s/coracle/nodeagent/host"
	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/podstatus"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// worker runs one pod. Its goroutine alone touches the fields below mu; effects
// run in goroutines of their own and hand their results in.
type worker struct {
	agent *Agent
	uid   types.UID
	wake  chan struct{}

	mu    sync.Mutex
	inbox inbox
	shown *corev1.Pod // what snapshot returns
	logs  []containerLog

	pod      *corev1.Pod // newest from the API, never changed
	status   corev1.PodStatus
	state    *pods.State
	observer *runtime.Observer
	observed pods.Observed
	// looked reports whether observed was ever read, and not since found stale.
	looked bool
	// unseen is when to look again after the runtime did not answer.
	unseen time.Time
	// admitted is set once the node decided about the pod.
	admitted bool
	// share is the pod's part of the node's resources.
	share *admission.Share

	volumes map[string]host.Volume
	// retried is set when what a mount misses may have come since it began.
	retried bool
	users   map[string]podconfig.User // by container, of its image
	// imageRefs are the images that are volumes, by volume.
	imageRefs map[string]containers.ImageRef
	probes    map[probeKey]context.CancelFunc
	// resized has what containers were given since they began, by ID.
	resized map[string]corev1.ResourceRequirements
	// cancelSetup ends pulls, mounts and postStart hooks when the pod is to end.
	setup       context.Context
	cancelSetup context.CancelFunc
	effects     sync.WaitGroup
	writer      podstatus.Writer
}

// inbox collects what happened since the worker last looked.
type inbox struct {
	pod     *corev1.Pod
	gone    *corev1.Pod
	dirty   bool
	retry   bool
	resize  bool
	results []func()
}

func newWorker(a *Agent, pod *corev1.Pod) *worker {
	w := &worker{
		agent: a, share: a.ledger.NewShare(), uid: pod.UID, wake: make(chan struct{}, 1), pod: pod, status: *pod.Status.DeepCopy(),
		state:    pods.NewState(a.config.NodeIPs, a.config.MaxContainerBackoff),
		observer: runtime.NewObserver(a.runtime),
		volumes:  map[string]host.Volume{}, users: map[string]podconfig.User{}, imageRefs: map[string]containers.ImageRef{},
		probes: map[probeKey]context.CancelFunc{}, resized: map[string]corev1.ResourceRequirements{},
	}
	w.recall()
	return w
}

// tell changes the inbox by fn and wakes the worker.
func (w *worker) tell(fn func(*inbox)) {
	w.mu.Lock()
	fn(&w.inbox)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) podChanged(pod *corev1.Pod) { w.tell(func(i *inbox) { i.pod = pod }) }
func (w *worker) gone(pod *corev1.Pod)       { w.tell(func(i *inbox) { i.gone = pod }) }
func (w *worker) runtimeChanged()            { w.tell(func(i *inbox) { i.dirty = true }) }
func (w *worker) retry()                     { w.tell(func(i *inbox) { i.retry = true }) }
func (w *worker) retryResize()               { w.tell(func(i *inbox) { i.resize = true }) }

// result hands fn to the worker's goroutine.
func (w *worker) result(fn func()) { w.tell(func(i *inbox) { i.results = append(i.results, fn) }) }

// snapshot returns the pod with the status the worker last decided on.
func (w *worker) snapshot() *corev1.Pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shown
}

// run is the worker's life; it ends with ctx or when nothing is left of the pod.
func (w *worker) run(ctx context.Context) {
	w.setup, w.cancelSetup = context.WithCancel(ctx)
	timer := w.agent.config.Clock.NewTimer(time.Hour)
	defer func() {
		timer.Stop()
		w.cancelSetup()
		w.stopProbes()
		w.effects.Wait()
	}()
	for {
		select {
		case <-w.wake:
		case <-timer.C():
		case <-ctx.Done():
			return
		}
		w.receive()
		next, done := w.step(ctx)
		if done {
			return
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(next.Sub(w.agent.config.Clock.Now()), 0))
		}
	}
}

// receive empties the inbox into the worker's own state.
func (w *worker) receive() {
	w.mu.Lock()
	in := w.inbox
	w.inbox = inbox{}
	w.mu.Unlock()
	if in.pod != nil {
		w.accept(in.pod)
	}
	if in.gone != nil && !w.state.Gone {
		w.state.Gone, w.state.GoneGrace = true, 1
		if g := in.gone.DeletionGracePeriodSeconds; g != nil && *g > 0 {
			w.state.GoneGrace = *g
		}
	}
	if in.retry {
		w.state.PrepareFailure, w.retried = nil, true
	}
	if in.dirty {
		w.looked = false
	}
	for _, fn := range in.results {
		fn()
	}
	if in.resize && w.admitted {
		w.grantResize()
	}
}

// accept takes a version of the pod from the API unless it is older than the
// present one, which the answer to the agent's own write may have brought earlier.
func (w *worker) accept(pod *corev1.Pod) {
	if order, err := resourceversion.CompareResourceVersion(pod.ResourceVersion, w.pod.ResourceVersion); err == nil && order < 0 {
		return
	}
	old := w.pod
	w.pod = pod
	w.status.Conditions = mergeConditions(w.status.Conditions, pod.Status.Conditions)
	if pods.Terminal(pod.Status.Phase) && !pods.Terminal(w.status.Phase) {
		w.status.Phase, w.status.Reason, w.status.Message = pod.Status.Phase, pod.Status.Reason, pod.Status.Message
	}
	// Others write these, and an agent may not.
	w.status.ResourceClaimStatuses = pod.Status.ResourceClaimStatuses
	w.status.ExtendedResourceClaimStatus = pod.Status.ExtendedResourceClaimStatus
	w.status.NodeAllocatableResourceClaimStatuses = pod.Status.NodeAllocatableResourceClaimStatuses
	w.status.NominatedNodeName = pod.Status.NominatedNodeName
	if w.state.Prepared {
		w.agent.config.Volumes.Update(pod)
	}
	if w.admitted && old.Generation != pod.Generation {
		w.grantResize()
	}
}

// mergeConditions keeps the agent's own conditions and takes those of others.
func mergeConditions(ours, theirs []corev1.PodCondition) []corev1.PodCondition {
	var out []corev1.PodCondition
	for _, c := range ours {
		if pods.OwnCondition(c.Type) {
			out = append(out, c)
		}
	}
	for _, c := range theirs {
		if !pods.OwnCondition(c.Type) {
			out = append(out, c)
		}
	}
	return out
}

// planned returns the pod for planning: the API's spec, the agent's own status.
func (w *worker) planned() *corev1.Pod {
	pod := *w.pod
	pod.Status = w.status
	return &pod
}

// step looks, plans and acts. It returns when to do so again, and whether the
// pod is over and done with.
func (w *worker) step(ctx context.Context) (time.Time, bool) {
	now := w.agent.config.Clock.Now()
	if !w.looked {
		if now.Before(w.unseen) {
			return w.unseen, false
		}
		if err := w.look(ctx); err != nil {
			if ctx.Err() == nil {
				log.FromContext(ctx).V(1).Info("Reading pod from the runtime failed, trying again", "pod", w.pod.Name, "error", err.Error())
			}
			w.unseen = now.Add(500 * time.Millisecond)
			return w.unseen, false
		}
	}
	if !w.admitted && !w.admit(ctx) {
		return time.Time{}, false
	}
	plan := pods.Make(pods.Input{Pod: w.planned(), Observed: w.observed, State: w.state, Now: now})
	if plan.Terminating {
		w.cancelSetup()
		if w.state.TerminatingSince.IsZero() {
			w.state.TerminatingSince = now
		}
	}
	w.tellChanges(plan)
	w.status = plan.Status
	if pods.Terminal(plan.Status.Phase) || plan.Done {
		w.releaseShare()
	}
	pod := w.planned()
	w.mu.Lock()
	w.shown, w.logs = pod, w.logsOf(podconfig.LogDir(w.agent.config.PodLogDir, pod))
	w.mu.Unlock()
	written := w.writeStatus(ctx, pod)
	for _, a := range plan.Actions {
		if a.Kind == pods.Finalize && !written {
			continue // when the status is in the API, the plan is made again
		}
		w.begin(ctx, pod, a)
	}
	w.syncProbes(plan.Probes)
	return earlier(plan.Next, w.writer.RetryAt()), plan.Done && !w.writer.Busy()
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// look reads the pod from the runtime, and at the first time adopts the
// containers of an earlier agent.
func (w *worker) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	observed, err := w.observer.Observe(ctx, w.uid)
	if err != nil {
		return err
	}
	first := w.observed.Sandboxes == nil && w.observed.Containers == nil && len(w.state.Containers) == 0
	w.observed, w.looked = observed, true
	for i := range w.observed.Containers {
		c := &w.observed.Containers[i]
		if r, ok := w.resized[c.ID]; ok {
			c.Resources = &r
		}
		if first && c.State == pods.Running {
			w.adopt(c)
		}
		if c.State != pods.Running && c.State != pods.Unknown {
			delete(w.state.Killing, c.ID)
		}
	}
	return nil
}

// adopt takes the state of a container that runs already from its pod's status.
func (w *worker) adopt(c *pods.Container) {
	m := w.state.Edit(c.Name)
	m.PostStarted, m.ProbeID = c.ID, c.ID
	for _, list := range [][]corev1.ContainerStatus{w.status.ContainerStatuses, w.status.InitContainerStatuses} {
		for _, s := range list {
			if s.Name == c.Name && s.ContainerID == "containerd://"+c.ID {
				started, ready := s.Started != nil && *s.Started, s.Ready
				m.StartupDone, m.Ready = &started, &ready
			}
		}
	}
}

// tellChanges emits the events that belong to changes of status.
func (w *worker) tellChanges(plan pods.Plan) {
	if w.state.Gone {
		return
	}
	was := func(list []corev1.ContainerStatus, name string) string {
		for _, s := range list {
			if s.Name == name && s.State.Waiting != nil {
				return s.State.Waiting.Reason
			}
		}
		return ""
	}
	check := func(before, after []corev1.ContainerStatus) {
		for _, s := range after {
			if s.State.Waiting == nil || was(before, s.Name) == s.State.Waiting.Reason {
				continue
			}
			switch s.State.Waiting.Reason {
			case pods.ReasonCrashLoopBackOff:
				w.agent.warn(w.pod, eventBackOff, "Back-off restarting failed container %s in pod %s_%s(%s)", s.Name, w.pod.Name, w.pod.Namespace, w.uid)
			case pods.ReasonImagePullBackOff:
				w.agent.normal(w.pod, eventBackOff, "Back-off pulling image %q", images.NameOf(w.pod, s.Name))
				w.agent.warn(w.pod, eventFailed, "Error: %s", pods.ReasonImagePullBackOff)
			}
		}
	}
	check(w.status.InitContainerStatuses, plan.Status.InitContainerStatuses)
	check(w.status.ContainerStatuses, plan.Status.ContainerStatuses)
	if plan.Status.Reason == "DeadlineExceeded" && w.status.Reason == "" {
		w.agent.normal(w.pod, eventDeadlineExceeded, "%s", plan.Status.Message)
	}
}

// writeStatus makes the API's status that of the pod and reports whether it is so
// already. Otherwise a write is begun, whose end wakes the worker.
func (w *worker) writeStatus(ctx context.Context, pod *corev1.Pod) bool {
	if w.state.Gone {
		return true
	}
	written, begun := w.writer.Begin(w.pod, pod, w.agent.config.Clock.Now())
	if !begun {
		return written
	}
	base := w.pod
	w.effects.Go(func() {
		object, err := podstatus.Write(ctx, w.agent.config.Client, base, pod)
		w.result(func() {
			w.writer.Ended(ctx, pod, object, err, w.agent.config.Clock.Now())
			if err == nil {
				w.accept(object)
			}
		})
	})
	return false
}

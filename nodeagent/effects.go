package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/nodeagent/cgroups"
	"github.com/coracle-k8s/coracle/nodeagent/containers"
	"github.com/coracle-k8s/coracle/nodeagent/host"
	"github.com/coracle-k8s/coracle/nodeagent/logs"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// begin starts an action. Its effect runs in a goroutine of its own, with pod as
// it is now; what comes of it is applied by the worker's.
func (w *worker) begin(ctx context.Context, pod *corev1.Pod, a pods.Action) {
	key := a.Key()
	if a.Kind == pods.KillContainer {
		_, again := w.state.Killing[a.ContainerID]
		w.state.Killing[a.ContainerID] = w.agent.config.Clock.Now().Add(a.Grace)
		w.effects.Go(func() { w.killContainer(ctx, pod, a, again) })
		return
	}
	w.state.InFlight[key] = true
	run := w.effect(pod, a)
	w.effects.Go(func() {
		apply := run(ctx)
		w.result(func() {
			delete(w.state.InFlight, key)
			apply()
		})
	})
}

// effect returns what brings an action about, which in turn returns what to
// change in the worker's state. It is called by the worker's goroutine, and may
// read the worker's state; what it returns may not.
func (w *worker) effect(pod *corev1.Pod, a pods.Action) func(ctx context.Context) func() {
	switch a.Kind {
	case pods.Prepare:
		w.retried = false
		return func(context.Context) func() { return w.prepare(pod) }
	case pods.CreateSandbox:
		groups := w.extraGroups()
		return func(ctx context.Context) func() { return w.createSandbox(ctx, pod, a, groups) }
	case pods.PullImage:
		return w.pullImage(pod, a)
	case pods.StartContainer:
		return w.startContainer(pod, a)
	case pods.StopSandbox:
		return func(ctx context.Context) func() { return w.stopSandbox(ctx, pod, a) }
	case pods.RemoveContainer:
		log := w.logFile(a.ContainerID)
		return func(ctx context.Context) func() {
			_, err := w.agent.runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: a.ContainerID})
			if ignoreNotFound(err) == nil && log != "" {
				err = logs.Remove(log)
			}
			return func() {
				if ignoreNotFound(err) != nil {
					w.retryLater(a.Key())
					return
				}
				w.looked = false
			}
		}
	case pods.Resize:
		return w.resizeContainer(pod, a)
	case pods.Release:
		return func(ctx context.Context) func() { return w.release(ctx, pod) }
	case pods.Remove:
		observed := w.observed
		return func(ctx context.Context) func() { return w.remove(ctx, pod, observed.Sandboxes, observed.Containers) }
	case pods.Finalize:
		return func(ctx context.Context) func() { return w.finalize(ctx, pod) }
	}
	return func(context.Context) func() { return func() {} }
}

func ignoreNotFound(err error) error {
	if runtime.NotFound(err) {
		return nil
	}
	return err
}

// again makes a failure to be tried again after a delay that doubles.
func (w *worker) again(old *pods.Failure, reason, message string, first, most time.Duration) *pods.Failure {
	now := w.agent.config.Clock.Now()
	delay := first
	if old != nil {
		delay = min(2*old.Delay, most)
	}
	return &pods.Failure{Reason: reason, Message: message, At: now, Delay: delay, Retry: now.Add(delay)}
}

// retryLater has an action that failed tried again after a second.
func (w *worker) retryLater(key string) {
	w.state.InFlight[key] = true
	timer := w.agent.config.Clock.NewTimer(time.Second)
	w.effects.Go(func() {
		defer timer.Stop()
		select {
		case <-timer.C():
			w.result(func() { delete(w.state.InFlight, key) })
		case <-w.agent.ctx.Done():
		}
	})
}

func (a *Agent) cgroup(pod *corev1.Pod) string {
	if a.cgroups == nil {
		return ""
	}
	return cgroups.PodPath(a.config.CgroupRoot, podapi.QOSClass(pod), pod.UID)
}

// prepare makes the pod's directories and cgroup and mounts its volumes.
func (w *worker) prepare(pod *corev1.Pod) func() {
	a := w.agent
	if err := a.prepareClaims(w.setup, pod); err != nil {
		return w.unprepared(pod, eventFailedClaims, fmt.Errorf("Failed to prepare dynamic resources: prepare dynamic resources: %w", err))
	}
	volumes, err := func() (map[string]host.Volume, error) {
		for _, dir := range []string{filepath.Join(containers.PodDir(a.config.RootDir, pod), "containers"), podconfig.LogDir(a.config.PodLogDir, pod)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, fmt.Errorf("creating directories of pod: %w", err)
			}
		}
		if a.cgroups != nil {
			if err := a.cgroups.Set(a.cgroup(pod), cgroups.ForPod(pod)); err != nil {
				return nil, err
			}
		}
		return a.config.Volumes.Mount(w.setup, pod)
	}()
	if err != nil {
		return w.unprepared(pod, eventFailedMount, err)
	}
	return func() { w.volumes, w.state.Prepared, w.state.PrepareFailure = volumes, true, nil }
}

// unprepared returns what records a failure of prepare, which is tried again.
func (w *worker) unprepared(pod *corev1.Pod, reason string, err error) func() {
	return func() {
		if w.setup.Err() == nil {
			w.agent.warn(pod, reason, "%v", err)
		}
		w.state.PrepareFailure = w.again(w.state.PrepareFailure, reason, err.Error(), 500*time.Millisecond, 2*time.Minute)
		if w.retried {
			w.state.PrepareFailure.Retry, w.retried = w.agent.config.Clock.Now(), false
		}
	}
}

func (w *worker) extraGroups() []int64 {
	var out []int64
	for _, v := range w.volumes {
		out = append(out, v.SupplementalGroups...)
	}
	return out
}

func (w *worker) createSandbox(ctx context.Context, pod *corev1.Pod, action pods.Action, groups []int64) func() {
	a := w.agent
	err := func() error {
		handler, err := a.handler(ctx, pod)
		if err != nil {
			return err
		}
		config, err := a.starter.Sandbox(pod, action.Attempt, groups)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
		defer cancel()
		_, err = a.runtime.RunPodSandbox(ctx, &runtimeapi.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
		return err
	}()
	return func() {
		w.looked = false
		if err != nil {
			if ctx.Err() == nil {
				a.warn(pod, eventFailedSandbox, "Failed to create pod sandbox: %s", runtime.Text(err))
			}
			w.state.SandboxFailure = w.again(w.state.SandboxFailure, eventFailedSandbox, runtime.Text(err), time.Second, 30*time.Second)
			return
		}
		if action.Attempt > 0 {
			a.normal(pod, eventSandboxChanged, "Pod sandbox changed, it will be killed and re-created.")
		}
		w.state.SandboxFailure = nil
	}
}

func (w *worker) pullImage(pod *corev1.Pod, action pods.Action) func(ctx context.Context) func() {
	a := w.agent
	c := containerOf(pod, action.Container)
	m := w.state.Edit(c.Name)
	return func(context.Context) func() {
		image, volumes, failure := w.ensureImages(pod, c)
		return func() {
			if failure != nil {
				old := m.PullFailure
				if m.Image != c.Image {
					old = nil
				}
				m.Image, m.ImageRef = c.Image, ""
				m.PullFailure = w.again(old, failure.Reason, failure.Message, 10*time.Second, a.config.MaxContainerBackoff)
				return
			}
			m.Image, m.ImageRef, m.PullFailure = c.Image, image.Ref, nil
			w.users[c.Name] = image.User
			maps.Copy(w.imageRefs, volumes)
		}
	}
}

// containerOf finds a container of any kind by name.
func containerOf(pod *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			return (*corev1.Container)(&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		}
	}
	return nil
}

func (w *worker) stopSandbox(ctx context.Context, pod *corev1.Pod, action pods.Action) func() {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	_, err := w.agent.runtime.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: action.SandboxID})
	return func() {
		w.looked = false
		if ignoreNotFound(err) != nil {
			w.agent.warn(pod, eventFailedKill, "error killing pod: failed to stop sandbox: %s", runtime.Text(err))
			w.retryLater(action.Key())
			return
		}
		w.state.StoppedSandboxes[action.SandboxID] = true
	}
}

// release gives the pod's volumes and cgroup back.
func (w *worker) release(ctx context.Context, pod *corev1.Pod) func() {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	err := w.agent.config.Volumes.Unmount(ctx, pod.UID)
	if err == nil && w.agent.cgroups != nil {
		err = w.agent.cgroups.Remove(w.agent.cgroup(pod))
	}
	return func() {
		if err != nil {
			w.retryLater(pods.Release.String())
			return
		}
		w.state.Released = true
	}
}

// remove takes everything else of the pod off the node.
func (w *worker) remove(ctx context.Context, pod *corev1.Pod, sandboxes []pods.Sandbox, left []pods.Container) func() {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	err := func() error {
		for _, c := range left {
			_, err := w.agent.runtime.RemoveContainer(ctx, &runtimeapi.RemoveContainerRequest{ContainerId: c.ID})
			if ignoreNotFound(err) != nil {
				return fmt.Errorf("removing container %s: %w", c.ID, err)
			}
		}
		for _, s := range sandboxes {
			_, err := w.agent.runtime.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: s.ID})
			if ignoreNotFound(err) != nil {
				return fmt.Errorf("removing sandbox %s: %w", s.ID, err)
			}
		}
		return errors.Join(os.RemoveAll(containers.PodDir(w.agent.config.RootDir, pod)), os.RemoveAll(podconfig.LogDir(w.agent.config.PodLogDir, pod)))
	}()
	return func() {
		w.looked = false
		if err != nil {
			w.retryLater(pods.Remove.String())
			return
		}
		w.state.Removed = true
	}
}

// finalize removes the pod from the API.
func (w *worker) finalize(ctx context.Context, pod *corev1.Pod) func() {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := w.agent.config.Client.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}},
		client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID})
	return func() {
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			w.retryLater(pods.Finalize.String())
			return
		}
		// Finalizers may keep the object. Nothing is left to do for it but to wait.
		w.state.InFlight[pods.Finalize.String()] = true
	}
}

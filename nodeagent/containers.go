package nodeagent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/nodeagent/host"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/probes"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// startError is the error of a container that did not start, with the reason that users see.
type startError struct {
	reason string
	err    error
}

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// start is all that starting one container needs, read off the worker before.
type start struct {
	pod       *corev1.Pod
	container *corev1.Container
	action    pods.Action
	imageRef  string
	user      podconfig.User
	resources corev1.ResourceRequirements
	volumes   map[string]host.Volume
	imageRefs map[string]imageRef // by volume
	groups    []int64
	target    string
}

// startContainer returns the effect that creates and starts a container and runs
// its postStart hook.
func (w *worker) startContainer(pod *corev1.Pod, action pods.Action) func(ctx context.Context) func() {
	c := containerOf(pod, action.Container)
	m := w.state.Edit(c.Name)
	s := start{
		pod: pod, container: c, action: action, imageRef: m.ImageRef, user: w.users[c.Name],
		resources: c.Resources, volumes: w.volumes, imageRefs: maps.Clone(w.imageRefs), groups: w.extraGroups(), target: w.targetOf(pod, c.Name),
	}
	if granted, ok := w.state.Allocated[c.Name]; ok {
		s.resources = granted
	}
	if action.Backoff > 0 {
		m.Backoff, m.BackoffSince = action.Backoff, w.agent.config.Clock.Now()
	}
	return func(ctx context.Context) func() {
		id, err := w.agent.start(ctx, s)
		if err == nil {
			if c.Lifecycle != nil && c.Lifecycle.PostStart != nil {
				// It runs: its status need not wait for the hook.
				w.runtimeChanged()
				err = w.postStart(ctx, s, id)
			}
		}
		return func() { w.started(s, m, id, err) }
	}
}

// targetOf returns the running container whose processes an ephemeral one sees.
func (w *worker) targetOf(pod *corev1.Pod, name string) string {
	for i := range pod.Spec.EphemeralContainers {
		e := &pod.Spec.EphemeralContainers[i]
		if e.Name != name || e.TargetContainerName == "" {
			continue
		}
		if o := w.observed.Newest(e.TargetContainerName); o != nil && o.State == pods.Running {
			return o.ID
		}
	}
	return ""
}

// started remembers how the start of a container went.
func (w *worker) started(s start, m *pods.Memory, id string, err error) {
	w.looked = false
	if pullsAlways(s.pod, s.container) || err != nil {
		m.ImageRef = "" // look for it again before the next start
	}
	if err == nil {
		m.PostStarted, m.StartFailure = id, nil
		m.ProbeID, m.StartupDone, m.Ready, m.Unhealthy = id, nil, nil, nil
		return
	}
	reason := pods.ReasonRunError
	if e, ok := errors.AsType[*startError](err); ok {
		reason = e.reason
	}
	if w.setup.Err() == nil {
		w.agent.warn(s.pod, eventFailed, "Error: %s", runtime.Text(errors.Unwrap(err)))
	}
	m.StartFailure = w.again(m.StartFailure, reason, runtime.Text(errors.Unwrap(err)), time.Second, 30*time.Second)
}

// start creates and starts a container and returns its ID.
func (a *Agent) start(ctx context.Context, s start) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	sandbox, err := a.sandboxConfig(s.pod, 0, s.groups)
	if err != nil {
		return "", &startError{pods.ReasonCreateConfigError, err}
	}
	config, err := a.containerConfig(ctx, s)
	if err != nil {
		return "", &startError{pods.ReasonCreateConfigError, err}
	}
	if err := os.MkdirAll(filepath.Join(sandbox.LogDirectory, s.container.Name), 0o755); err != nil {
		return "", &startError{pods.ReasonCreateError, fmt.Errorf("creating log directory: %w", err)}
	}
	created, err := a.runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId: s.action.SandboxID, Config: config, SandboxConfig: sandbox,
	})
	if err != nil {
		return "", &startError{pods.ReasonCreateError, err}
	}
	a.normal(s.pod, eventCreated, "Container created")
	if _, err := a.runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: created.ContainerId}); err != nil {
		return created.ContainerId, &startError{pods.ReasonRunError, err}
	}
	a.normal(s.pod, eventStarted, "Container started")
	return created.ContainerId, nil
}

func (a *Agent) containerConfig(ctx context.Context, s start) (*runtimeapi.ContainerConfig, error) {
	resolved, err := a.config.Env.Environment(ctx, s.pod, s.container)
	if err != nil {
		return nil, err
	}
	env := make([]podconfig.KeyValue, len(resolved))
	values := make(map[string]string, len(resolved))
	for i, e := range resolved {
		env[i] = podconfig.KeyValue{Name: e.Name, Value: e.Value}
		values[e.Name] = e.Value
	}
	mounts, err := a.mounts(ctx, s, values)
	if err != nil {
		return nil, err
	}
	devices, err := blockDevices(s)
	if err != nil {
		return nil, err
	}
	message, err := a.messageFile(s)
	if err != nil {
		return nil, err
	}
	return podconfig.Container(podconfig.ContainerInput{
		Pod: s.pod, Container: s.container, Attempt: s.action.Attempt, ImageRef: s.imageRef, ImageUser: s.user,
		Resources: s.resources, Env: env, Mounts: mounts, Devices: devices, MessageHostPath: message,
		TargetID: s.target, ExtraGroups: s.groups, SeccompDir: a.config.SeccompDir,
		AppArmor: a.appArmor, CgroupV2: a.cgroups != nil && a.cgroups.V2(), NodeMemory: a.memory(),
	})
}

// mounts returns the container's volumes and its hosts file.
func (a *Agent) mounts(ctx context.Context, s start, env map[string]string) ([]*runtimeapi.Mount, error) {
	var out []*runtimeapi.Mount
	ownHosts := false
	for i, m := range s.container.VolumeMounts {
		ownHosts = ownHosts || m.MountPath == "/etc/hosts"
		sub, err := podconfig.SubPath(m, env)
		if err != nil {
			return nil, err
		}
		if ref, ok := s.imageRefs[m.Name]; ok {
			mount, err := s.imageMount(m, ref, sub)
			if err != nil {
				return nil, err
			}
			out = append(out, mount)
			continue
		}
		volume, ok := s.volumes[m.Name]
		if !ok || volume.Block {
			return nil, fmt.Errorf("mounting volume %q: it is not there", m.Name)
		}
		path := volume.Path
		if sub != "" {
			var err error
			if path, err = a.config.Volumes.SubPath(ctx, s.pod, s.container.Name, i, volume, sub); err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, s.container.Name, err)
			}
		}
		mount, err := podconfig.Mount(m, path, volume.ReadOnly)
		if err != nil {
			return nil, err
		}
		out = append(out, mount)
	}
	if ownHosts {
		return out, nil
	}
	hosts, err := a.hostsFile(s.pod)
	if err != nil {
		return nil, err
	}
	return append(out, &runtimeapi.Mount{HostPath: hosts, ContainerPath: "/etc/hosts"}), nil
}

// hostsFile writes the pod's /etc/hosts once for each set of addresses, in place
// so that containers that have it mounted see it.
func (a *Agent) hostsFile(pod *corev1.Pod) (string, error) {
	file := filepath.Join(a.podDir(pod), "etc-hosts")
	var host []byte
	if pod.Spec.HostNetwork {
		var err error
		if host, err = os.ReadFile("/etc/hosts"); err != nil {
			return "", fmt.Errorf("reading the host's hosts file: %w", err)
		}
	}
	var ips []string
	for _, ip := range pod.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	name, err := podconfig.Hostname(pod, a.config.Hostname, a.config.ClusterDomain)
	if err != nil {
		return "", err
	}
	content := podconfig.HostsFile(pod, ips, host, name, podconfig.FQDN(pod, a.config.ClusterDomain))
	if old, err := os.ReadFile(file); err == nil && string(old) == string(content) {
		return file, nil
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		return "", fmt.Errorf("writing hosts file: %w", err)
	}
	return file, nil
}

func blockDevices(s start) ([]*runtimeapi.Device, error) {
	var out []*runtimeapi.Device
	for _, d := range s.container.VolumeDevices {
		volume, ok := s.volumes[d.Name]
		if !ok || !volume.Block {
			return nil, fmt.Errorf("attaching block volume %q: it is not there", d.Name)
		}
		permissions := "mrw"
		if volume.ReadOnly {
			permissions = "mr"
		}
		out = append(out, &runtimeapi.Device{HostPath: volume.Path, ContainerPath: d.DevicePath, Permissions: permissions})
	}
	return out, nil
}

// messageFile makes the file behind terminationMessagePath, a new one per attempt.
func (a *Agent) messageFile(s start) (string, error) {
	if s.container.TerminationMessagePath == "" {
		return "", nil
	}
	dir := filepath.Join(a.podDir(s.pod), "containers", s.container.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("creating container directory: %w", err)
	}
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	file := filepath.Join(dir, hex.EncodeToString(b))
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		return "", fmt.Errorf("creating termination message file: %w", err)
	}
	// The container's user is any: the umask must not stand in its way.
	if err := os.Chmod(file, 0o666); err != nil {
		return "", fmt.Errorf("creating termination message file: %w", err)
	}
	return file, nil
}

// postStart runs a container's hook; if it fails the container is killed.
func (w *worker) postStart(ctx context.Context, s start, id string) error {
	err := w.agent.prober.Hook(w.setup, w.agent.config.Clock, w.target(s.pod, s.container, id), s.container.Lifecycle.PostStart)
	if err == nil || w.setup.Err() != nil {
		return nil
	}
	w.agent.warn(s.pod, eventFailedPostStart, "PostStartHook failed")
	w.killContainer(ctx, s.pod, pods.Action{
		Kind: pods.KillContainer, Container: s.container.Name, ContainerID: id,
		Grace: graceOf(s.pod), Message: "FailedPostStartHook",
	}, false)
	return &startError{pods.ReasonPostStartHookError, err}
}

func graceOf(pod *corev1.Pod) time.Duration {
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		return podapi.Seconds(*g)
	}
	return corev1.DefaultTerminationGracePeriodSeconds * time.Second
}

func (w *worker) target(pod *corev1.Pod, c *corev1.Container, id string) probes.Target {
	ip := pod.Status.PodIP
	if pod.Spec.HostNetwork {
		ip = w.agent.config.NodeIPs[0]
	}
	return probes.Target{Pod: pod, Container: c, ContainerID: id, IP: ip}
}

// leastGrace is the least time that a container has left after its preStop hook.
const leastGrace = 2 * time.Second

// killContainer runs the preStop hook, unless an earlier kill did, then has the
// container end within what is left of the grace.
func (w *worker) killContainer(ctx context.Context, pod *corev1.Pod, a pods.Action, again bool) {
	began := w.agent.config.Clock.Now()
	c := containerOf(pod, a.Container)
	if !again {
		w.agent.normal(pod, eventKilling, "%s", a.Message)
	}
	grace := a.Grace
	if c != nil && c.Lifecycle != nil && c.Lifecycle.PreStop != nil && !again && grace > 0 {
		hook, cancel := context.WithTimeout(ctx, grace)
		err := w.agent.prober.Hook(hook, w.agent.config.Clock, w.target(pod, c, a.ContainerID), c.Lifecycle.PreStop)
		cancel()
		if err != nil && ctx.Err() == nil {
			w.agent.warn(pod, eventFailedPreStop, "PreStopHook failed")
		}
		grace = max(grace-w.agent.config.Clock.Since(began), leastGrace)
	}
	bounded, cancel := context.WithTimeout(ctx, grace+2*time.Minute)
	defer cancel()
	_, err := w.agent.runtime.StopContainer(bounded, &runtimeapi.StopContainerRequest{
		ContainerId: a.ContainerID, Timeout: int64((grace + time.Second - 1) / time.Second),
	})
	w.result(func() {
		w.looked = false
		if ignoreNotFound(err) != nil {
			if ctx.Err() == nil {
				w.agent.warn(pod, eventFailedKill, "error killing pod: failed to stop container %s: %s", a.Container, runtime.Text(err))
			}
			w.unseen = w.agent.config.Clock.Now().Add(time.Second)
			delete(w.state.Killing, a.ContainerID)
		}
	})
}

// exec runs a command in a container, for probes and hooks. A timeout of 0 means none.
func (a *Agent) exec(ctx context.Context, id string, command []string, timeout time.Duration) (string, int32, error) {
	if timeout > 0 {
		// The runtime ends the command; its answer may come a little later.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout+5*time.Second)
		defer cancel()
	}
	response, err := a.runtime.ExecSync(ctx, &runtimeapi.ExecSyncRequest{
		ContainerId: id, Cmd: command, Timeout: int64((timeout + time.Second - 1) / time.Second),
	})
	if runtime.TimedOut(err) {
		return "", 0, context.DeadlineExceeded
	}
	if err != nil {
		return "", 0, errors.New(runtime.Text(err))
	}
	const most = 10 << 10
	out := append(response.Stdout, response.Stderr...)
	return string(out[:min(len(out), most)]), response.ExitCode, nil
}

// memory returns the node's memory in bytes.
func (a *Agent) memory() int64 {
	q := a.machine.Capacity[corev1.ResourceMemory]
	return q.Value()
}

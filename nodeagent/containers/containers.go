// Package containers creates and starts the containers of pods: with their environment, mounts,
// and the files that the agent makes for them.
//
// The API of this package is not stable: see docs/api.md.
package containers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/record"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/coracle-k8s/coracle/nodeagent/host"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// Config has what all containers of a node depend on. All fields are required.
type Config struct {
	Runtime  runtime.Service
	Volumes  host.Volumes
	Env      host.Env
	Recorder record.EventRecorder
	// RootDir has pods/UID, PodLogDir <ns>_<name>_<uid>/<container>/<n>.log, and SeccompDir
	// localhost seccomp profiles.
	RootDir, PodLogDir, SeccompDir string
	// ClusterDNS, ClusterDomain and ResolvConf, the host's, make the resolver settings.
	ClusterDNS    []string
	ClusterDomain string
	ResolvConf    string
	Hostname      string
	// Cgroup returns a pod's cgroup, empty if pods have none.
	Cgroup   func(*corev1.Pod) string
	CgroupV2 bool
	AppArmor bool
	// Memory returns the node's memory in bytes.
	Memory func() int64
}

// Starter starts containers. Make it with New.
type Starter struct{ config Config }

// New returns a Starter.
func New(c Config) *Starter { return &Starter{c} }

// Request is all that starting one container needs.
type Request struct {
	Pod       *corev1.Pod
	Container *corev1.Container
	// SandboxID is the pod's sandbox, Attempt how often the container was started before.
	SandboxID string
	Attempt   uint32
	// ImageRef is the image as the runtime calls it, and ImageUser its user.
	ImageRef  string
	ImageUser podconfig.User
	// Resources are those that the node granted.
	Resources corev1.ResourceRequirements
	// Volumes are the pod's by name, and Images those that are images.
	Volumes map[string]host.Volume
	Images  map[string]ImageRef
	// Groups are those of volumes.
	Groups []int64
	// TargetID is the container whose processes an ephemeral one sees, empty for others.
	TargetID string
}

// ImageRef is an image as the runtime calls it, and as the pod does.
type ImageRef struct{ ID, Name string }

// Error is the error of a container that did not start, with the reason that users see.
type Error struct {
	Reason string
	Err    error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error without the reason.
func (e *Error) Unwrap() error { return e.Err }

func (s *Starter) podDir(pod *corev1.Pod) string { return PodDir(s.config.RootDir, pod) }

// PodDir returns the directory of a pod below the agent's.
func PodDir(rootDir string, pod *corev1.Pod) string {
	return filepath.Join(rootDir, "pods", string(pod.UID))
}

// Start creates and starts a container and returns its ID. The error is an *Error. The ID is empty
// unless the container was created.
func (s *Starter) Start(ctx context.Context, r Request) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	sandbox, err := s.Sandbox(r.Pod, 0, r.Groups)
	if err != nil {
		return "", &Error{pods.ReasonCreateConfigError, err}
	}
	config, err := s.containerConfig(ctx, r)
	if err != nil {
		return "", &Error{pods.ReasonCreateConfigError, err}
	}
	if err := os.MkdirAll(filepath.Join(sandbox.LogDirectory, r.Container.Name), 0o755); err != nil {
		return "", &Error{pods.ReasonCreateError, fmt.Errorf("creating log directory: %w", err)}
	}
	created, err := s.config.Runtime.CreateContainer(ctx, &runtimeapi.CreateContainerRequest{
		PodSandboxId: r.SandboxID, Config: config, SandboxConfig: sandbox,
	})
	if err != nil {
		return "", &Error{pods.ReasonCreateError, err}
	}
	s.config.Recorder.Eventf(r.Pod, corev1.EventTypeNormal, "Created", "Container created")
	if _, err := s.config.Runtime.StartContainer(ctx, &runtimeapi.StartContainerRequest{ContainerId: created.ContainerId}); err != nil {
		return created.ContainerId, &Error{pods.ReasonRunError, err}
	}
	s.config.Recorder.Eventf(r.Pod, corev1.EventTypeNormal, "Started", "Container started")
	return created.ContainerId, nil
}

func (s *Starter) containerConfig(ctx context.Context, r Request) (*runtimeapi.ContainerConfig, error) {
	resolved, err := s.config.Env.Environment(ctx, r.Pod, r.Container)
	if err != nil {
		return nil, err
	}
	env := make([]podconfig.KeyValue, len(resolved))
	values := make(map[string]string, len(resolved))
	for i, e := range resolved {
		env[i] = podconfig.KeyValue{Name: e.Name, Value: e.Value}
		values[e.Name] = e.Value
	}
	mounts, err := s.mounts(ctx, r, values)
	if err != nil {
		return nil, err
	}
	devices, err := blockDevices(r)
	if err != nil {
		return nil, err
	}
	message, err := s.messageFile(r)
	if err != nil {
		return nil, err
	}
	return podconfig.Container(podconfig.ContainerInput{
		Pod: r.Pod, Container: r.Container, Attempt: r.Attempt, ImageRef: r.ImageRef, ImageUser: r.ImageUser,
		Resources: r.Resources, Env: env, Mounts: mounts, Devices: devices, MessageHostPath: message,
		TargetID: r.TargetID, ExtraGroups: r.Groups, SeccompDir: s.config.SeccompDir,
		AppArmor: s.config.AppArmor, CgroupV2: s.config.CgroupV2, NodeMemory: s.config.Memory(),
	})
}

// mounts returns the container's volumes and its hosts file.
func (s *Starter) mounts(ctx context.Context, r Request, env map[string]string) ([]*runtimeapi.Mount, error) {
	var out []*runtimeapi.Mount
	ownHosts := false
	for i, m := range r.Container.VolumeMounts {
		ownHosts = ownHosts || m.MountPath == "/etc/hosts"
		sub, err := podconfig.SubPath(m, env)
		if err != nil {
			return nil, err
		}
		if ref, ok := r.Images[m.Name]; ok {
			mount, err := r.imageMount(m, ref, sub)
			if err != nil {
				return nil, err
			}
			out = append(out, mount)
			continue
		}
		volume, ok := r.Volumes[m.Name]
		if !ok || volume.Block {
			return nil, fmt.Errorf("mounting volume %q: it is not there", m.Name)
		}
		path := volume.Path
		if sub != "" {
			var err error
			if path, err = s.config.Volumes.SubPath(ctx, r.Pod, r.Container.Name, i, volume, sub); err != nil {
				return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", m.Name, r.Container.Name, err)
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
	hosts, err := s.hostsFile(r.Pod)
	if err != nil {
		return nil, err
	}
	return append(out, &runtimeapi.Mount{HostPath: hosts, ContainerPath: "/etc/hosts"}), nil
}

// hostsFile writes the pod's /etc/hosts once for each set of addresses, in place
// so that containers that have it mounted see it.
func (s *Starter) hostsFile(pod *corev1.Pod) (string, error) {
	file := filepath.Join(s.podDir(pod), "etc-hosts")
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
	name, err := podconfig.Hostname(pod, s.config.Hostname, s.config.ClusterDomain)
	if err != nil {
		return "", err
	}
	content := podconfig.HostsFile(pod, ips, host, name, podconfig.FQDN(pod, s.config.ClusterDomain))
	if old, err := os.ReadFile(file); err == nil && string(old) == string(content) {
		return file, nil
	}
	if err := os.WriteFile(file, content, 0o644); err != nil { //nolint:gosec // below the pod's directory
		return "", fmt.Errorf("writing hosts file: %w", err)
	}
	return file, nil
}

func blockDevices(r Request) ([]*runtimeapi.Device, error) {
	var out []*runtimeapi.Device
	for _, d := range r.Container.VolumeDevices {
		volume, ok := r.Volumes[d.Name]
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
func (s *Starter) messageFile(r Request) (string, error) {
	if r.Container.TerminationMessagePath == "" {
		return "", nil
	}
	dir := filepath.Join(s.podDir(r.Pod), "containers", r.Container.Name)
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

// imageMount mounts an image volume, or a directory in it.
func (r *Request) imageMount(m corev1.VolumeMount, ref ImageRef, sub string) (*runtimeapi.Mount, error) {
	if sub != "" && !filepath.IsLocal(sub) {
		return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: subPath %q must be inside the volume", m.Name, r.Container.Name, sub)
	}
	mount, err := podconfig.Mount(m, "", true)
	if err != nil {
		return nil, err
	}
	mount.Image = &runtimeapi.ImageSpec{Image: ref.ID, UserSpecifiedImage: ref.Name, Annotations: maps.Clone(r.Pod.Annotations)}
	mount.ImageSubPath = sub
	return mount, nil
}

// Sandbox returns the config of the pod's sandbox, with the host's resolver.
func (s *Starter) Sandbox(pod *corev1.Pod, attempt uint32, groups []int64) (*runtimeapi.PodSandboxConfig, error) {
	text, err := os.ReadFile(s.config.ResolvConf)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the host's resolver settings: %w", err)
	}
	dns, missing := podconfig.DNS(pod, s.config.ClusterDNS, s.config.ClusterDomain, podconfig.ParseResolvConf(text))
	if missing && attempt == 0 {
		s.config.Recorder.Eventf(pod, corev1.EventTypeWarning, "MissingClusterDNS", "pod: %q. kubelet does not have ClusterDNS IP configured and cannot create Pod using %q policy. Falling back to %q policy.",
			pod.Name+"_"+pod.Namespace+"("+string(pod.UID)+")", pod.Spec.DNSPolicy, corev1.DNSDefault)
	}
	return podconfig.Sandbox(podconfig.SandboxInput{
		Pod: pod, Attempt: attempt, LogRoot: s.config.PodLogDir, CgroupParent: s.config.Cgroup(pod),
		Hostname: s.config.Hostname, ClusterDomain: s.config.ClusterDomain, DNS: dns, ExtraGroups: groups,
	})
}

// HasAppArmor reports whether the kernel of this machine enforces AppArmor profiles.
func HasAppArmor() bool {
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && strings.HasPrefix(string(enabled), "Y")
}

package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelettypes "k8s.io/kubelet/pkg/types"

	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// Identity names a pod by the labels of its sandbox or containers.
type Identity struct {
	UID             types.UID
	Namespace, Name string
}

// Observer reads pods' state off the runtime. Containers that exited do not
// change, so it asks for each of them only once.
type Observer struct {
	service Service
	exited  map[string]pods.Container
}

// NewObserver returns an Observer for one pod; it is not for concurrent use.
func NewObserver(s Service) *Observer {
	return &Observer{service: s, exited: map[string]pods.Container{}}
}

// Observe returns the runtime's sandboxes and containers of a pod.
func (o *Observer) Observe(ctx context.Context, uid types.UID) (pods.Observed, error) {
	var out pods.Observed
	selector := map[string]string{kubelettypes.KubernetesPodUIDLabel: string(uid)}
	sandboxes, err := o.service.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{
		Filter: &runtimeapi.PodSandboxFilter{LabelSelector: selector}})
	if err != nil {
		return out, fmt.Errorf("listing sandboxes of pod %s: %w", uid, err)
	}
	for _, s := range sandboxes.Items {
		sandbox, err := o.sandbox(ctx, s)
		if err != nil {
			return out, err
		}
		if sandbox != nil {
			out.Sandboxes = append(out.Sandboxes, *sandbox)
		}
	}
	slices.SortFunc(out.Sandboxes, func(a, b pods.Sandbox) int { return b.CreatedAt.Compare(a.CreatedAt) })
	if len(out.Sandboxes) == 0 {
		return out, nil
	}
	containers, err := o.service.ListContainers(ctx, &runtimeapi.ListContainersRequest{
		Filter: &runtimeapi.ContainerFilter{LabelSelector: selector}})
	if err != nil {
		return out, fmt.Errorf("listing containers of pod %s: %w", uid, err)
	}
	known := map[string]pods.Container{}
	for _, c := range containers.Containers {
		container, err := o.container(ctx, c)
		if err != nil {
			return out, err
		}
		if container == nil {
			continue
		}
		if container.State == pods.Exited {
			known[container.ID] = *container
		}
		out.Containers = append(out.Containers, *container)
	}
	o.exited = known
	slices.SortFunc(out.Containers, func(a, b pods.Container) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, nil
}

func (o *Observer) sandbox(ctx context.Context, s *runtimeapi.PodSandbox) (*pods.Sandbox, error) {
	out := &pods.Sandbox{
		ID: s.Id, Attempt: s.Metadata.GetAttempt(), CreatedAt: time.Unix(0, s.CreatedAt),
		Ready: s.State == runtimeapi.PodSandboxState_SANDBOX_READY,
	}
	if !out.Ready {
		return out, nil
	}
	status, err := o.service.PodSandboxStatus(ctx, &runtimeapi.PodSandboxStatusRequest{PodSandboxId: s.Id})
	if NotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading status of sandbox %s: %w", s.Id, err)
	}
	out.Ready = status.Status.State == runtimeapi.PodSandboxState_SANDBOX_READY
	if network := status.Status.Network; network != nil && network.Ip != "" {
		out.IPs = append(out.IPs, network.Ip)
		for _, ip := range network.AdditionalIps {
			out.IPs = append(out.IPs, ip.Ip)
		}
	}
	return out, nil
}

func (o *Observer) container(ctx context.Context, c *runtimeapi.Container) (*pods.Container, error) {
	if known, ok := o.exited[c.Id]; ok {
		return &known, nil
	}
	response, err := o.service.ContainerStatus(ctx, &runtimeapi.ContainerStatusRequest{ContainerId: c.Id})
	if NotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading status of container %s: %w", c.Id, err)
	}
	out := Container(response.Status)
	out.SandboxID = c.PodSandboxId
	return &out, nil
}

// Container translates a container's status; SandboxID is not in it.
func Container(s *runtimeapi.ContainerStatus) pods.Container {
	out := pods.Container{
		ID: s.Id, Name: s.Labels[kubelettypes.KubernetesContainerNameLabel], Attempt: s.Metadata.GetAttempt(),
		CreatedAt: time.Unix(0, s.CreatedAt), Hash: s.Annotations[podconfig.HashAnnotation],
		Image: s.Image.GetUserSpecifiedImage(), ImageID: s.ImageRef,
	}
	if out.Image == "" {
		out.Image = s.Image.GetImage()
	}
	if s.StartedAt > 0 {
		out.StartedAt = time.Unix(0, s.StartedAt)
	}
	if u := s.User.GetLinux(); u != nil {
		out.User = &corev1.ContainerUser{Linux: &corev1.LinuxContainerUser{
			UID: u.Uid, GID: u.Gid, SupplementalGroups: u.SupplementalGroups,
		}}
	}
	if signal := s.Annotations[podconfig.StopSignalAnnotation]; signal != "" {
		value := corev1.Signal(signal)
		out.StopSignal = &value
	}
	var resources corev1.ResourceRequirements
	if err := json.Unmarshal([]byte(s.Annotations[podconfig.ResourcesAnnotation]), &resources); err == nil {
		out.Resources = &resources
	}
	switch s.State {
	case runtimeapi.ContainerState_CONTAINER_CREATED:
		out.State = pods.Created
	case runtimeapi.ContainerState_CONTAINER_RUNNING:
		out.State = pods.Running
	case runtimeapi.ContainerState_CONTAINER_EXITED:
		out.State = pods.Exited
		out.FinishedAt, out.ExitCode = time.Unix(0, s.FinishedAt), s.ExitCode
		out.Reason, out.Message = s.Reason, terminationMessage(s)
	default:
		out.State = pods.Unknown
	}
	return out
}

// The bounds of a termination message, see
// https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/.
const (
	maxMessageBytes    = 4096
	maxMessageLogBytes = 2048
	maxMessageLogLines = 80
)

// terminationMessage returns the text that the container wrote to its message file, or
// for a failed one with that policy the end of its log, after the runtime's own message.
func terminationMessage(s *runtimeapi.ContainerStatus) string {
	text := readEnd(s.Annotations[podconfig.MessageHostPathAnnotation], maxMessageBytes)
	if text == "" && s.ExitCode != 0 &&
		s.Annotations[podconfig.MessagePolicyAnnotation] == string(corev1.TerminationMessageFallbackToLogsOnError) {
		text = lastLines(readEnd(s.LogPath, 2*maxMessageLogBytes+maxMessageLogLines*40))
	}
	switch {
	case s.Message == "":
		return text
	case text == "":
		return s.Message
	}
	return s.Message + ": " + text
}

// readEnd returns up to limit bytes from the end of a file, or nothing.
func readEnd(path string, limit int64) string {
	if path == "" {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size == 0 {
		return ""
	} else if _, err := f.Seek(max(size-limit, 0), io.SeekStart); err != nil {
		return ""
	}
	b, _ := io.ReadAll(io.LimitReader(f, limit))
	return string(b)
}

// Package fake is a container runtime without containers: sandboxes and
// containers are records that behave by CRI's contract. Tests end containers,
// break calls, and look at the state.
//
// The API of this package is not stable: see docs/api.md.
package fake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/utils/clock"
)

// Runtime implements runtime.Service. Make it with New.
type Runtime struct {
	runtimeapi.RuntimeServiceClient // nil: calls that are not written here are a test's error
	runtimeapi.ImageServiceClient

	clock clock.PassiveClock

	mu         sync.Mutex
	serial     int
	sandboxes  map[string]*runtimeapi.PodSandboxStatus
	containers map[string]*container
	images     map[string]*runtimeapi.Image
	passwords  map[string]string
	watchers   map[chan *runtimeapi.ContainerEventResponse]bool
	failures   map[string]error
	stubborn   map[string]bool
	exec       func(command []string) (string, int32)
	calls      []string
}

type container struct {
	status  *runtimeapi.ContainerStatus
	sandbox string
	config  *runtimeapi.ContainerConfig
}

// New returns a runtime that has the images.
func New(clock clock.PassiveClock, images ...string) *Runtime {
	r := &Runtime{
		clock: clock, sandboxes: map[string]*runtimeapi.PodSandboxStatus{}, containers: map[string]*container{},
		images: map[string]*runtimeapi.Image{}, passwords: map[string]string{}, watchers: map[chan *runtimeapi.ContainerEventResponse]bool{},
		failures: map[string]error{}, stubborn: map[string]bool{},
		exec: func([]string) (string, int32) { return "", 0 },
	}
	for _, i := range images {
		r.images[i] = &runtimeapi.Image{Id: "sha256:" + i, RepoTags: []string{i}, Size: 1 << 20}
	}
	return r
}

// Fail makes a call, named as in CRI, return an error until it is nil again.
func (r *Runtime) Fail(call string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures[call] = err
}

// Stubborn makes containers of that name end only when they are killed, not at
// their stop signal.
func (r *Runtime) Stubborn(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stubborn[name] = true
}

// OnExec sets what commands in containers answer.
func (r *Runtime) OnExec(fn func(command []string) (output string, code int32)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exec = fn
}

// Exit ends the running container of a name; it reports whether there was one.
func (r *Runtime) Exit(name string, code int32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.containers {
		if c.status.Metadata.Name == name && c.status.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
			r.end(c, code)
			return true
		}
	}
	return false
}

// Running lists the names of running containers, sorted.
func (r *Runtime) Running() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []string{}
	for _, c := range r.containers {
		if c.status.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
			out = append(out, c.status.Metadata.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Empty reports whether there are neither sandboxes nor containers.
func (r *Runtime) Empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sandboxes) == 0 && len(r.containers) == 0
}

// Config returns the config of the newest container of a name, or nil.
func (r *Runtime) Config(name string) *runtimeapi.ContainerConfig {
	r.mu.Lock()
	defer r.mu.Unlock()
	var newest *container
	for _, c := range r.containers {
		if c.status.Metadata.Name == name && (newest == nil || c.status.Metadata.Attempt > newest.status.Metadata.Attempt) {
			newest = c
		}
	}
	if newest == nil {
		return nil
	}
	return newest.config
}

// Drop ends all event streams, as a runtime that restarts does.
func (r *Runtime) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ch := range r.watchers {
		close(ch)
	}
	r.watchers = map[chan *runtimeapi.ContainerEventResponse]bool{}
}

// begin counts a call and returns its failure; r.mu is held after it.
func (r *Runtime) begin(call string) error {
	r.mu.Lock()
	r.calls = append(r.calls, call)
	return r.failures[call]
}

// end makes a container exit; r.mu is held.
func (r *Runtime) end(c *container, code int32) {
	c.status.State = runtimeapi.ContainerState_CONTAINER_EXITED
	c.status.FinishedAt, c.status.ExitCode = r.clock.Now().UnixNano(), code
	r.tell(c.sandbox, c.status.Id, runtimeapi.ContainerEventType_CONTAINER_STOPPED_EVENT)
}

func (r *Runtime) tell(sandbox, id string, kind runtimeapi.ContainerEventType) {
	for ch := range r.watchers {
		ch <- &runtimeapi.ContainerEventResponse{ContainerId: id, ContainerEventType: kind, PodSandboxStatus: r.sandboxes[sandbox]}
	}
}

func notFound(id string) error { return status.Errorf(codes.NotFound, "%s: not found", id) }

// Version implements CRI.
func (r *Runtime) Version(context.Context, *runtimeapi.VersionRequest, ...grpc.CallOption) (*runtimeapi.VersionResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("Version"); err != nil {
		return nil, err
	}
	return &runtimeapi.VersionResponse{RuntimeName: "containerd", RuntimeVersion: "v2.4.2"}, nil
}

// Status implements CRI: all is well.
func (r *Runtime) Status(context.Context, *runtimeapi.StatusRequest, ...grpc.CallOption) (*runtimeapi.StatusResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("Status"); err != nil {
		return nil, err
	}
	return &runtimeapi.StatusResponse{Status: &runtimeapi.RuntimeStatus{Conditions: []*runtimeapi.RuntimeCondition{
		{Type: "RuntimeReady", Status: true}, {Type: "NetworkReady", Status: true}}}}, nil
}

// RunPodSandbox implements CRI.
func (r *Runtime) RunPodSandbox(_ context.Context, in *runtimeapi.RunPodSandboxRequest, _ ...grpc.CallOption) (*runtimeapi.RunPodSandboxResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("RunPodSandbox"); err != nil {
		return nil, err
	}
	if in.RuntimeHandler != "" {
		return nil, status.Errorf(codes.Unknown, "no runtime for %q is configured", in.RuntimeHandler)
	}
	r.serial++
	s := &runtimeapi.PodSandboxStatus{
		Id: fmt.Sprintf("sandbox-%d", r.serial), Metadata: in.Config.Metadata, Labels: in.Config.Labels,
		State: runtimeapi.PodSandboxState_SANDBOX_READY, CreatedAt: r.clock.Now().UnixNano() + int64(r.serial),
		Network: &runtimeapi.PodSandboxNetworkStatus{Ip: fmt.Sprintf("10.0.0.%d", r.serial)},
	}
	r.sandboxes[s.Id] = s
	return &runtimeapi.RunPodSandboxResponse{PodSandboxId: s.Id}, nil
}

// StopPodSandbox implements CRI.
func (r *Runtime) StopPodSandbox(_ context.Context, in *runtimeapi.StopPodSandboxRequest, _ ...grpc.CallOption) (*runtimeapi.StopPodSandboxResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("StopPodSandbox"); err != nil {
		return nil, err
	}
	if s := r.sandboxes[in.PodSandboxId]; s != nil {
		s.State = runtimeapi.PodSandboxState_SANDBOX_NOTREADY
	}
	for _, c := range r.containers {
		if c.sandbox == in.PodSandboxId && c.status.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
			r.end(c, 137)
		}
	}
	return &runtimeapi.StopPodSandboxResponse{}, nil
}

// RemovePodSandbox implements CRI.
func (r *Runtime) RemovePodSandbox(_ context.Context, in *runtimeapi.RemovePodSandboxRequest, _ ...grpc.CallOption) (*runtimeapi.RemovePodSandboxResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("RemovePodSandbox"); err != nil {
		return nil, err
	}
	delete(r.sandboxes, in.PodSandboxId)
	for id, c := range r.containers {
		if c.sandbox == in.PodSandboxId {
			delete(r.containers, id)
		}
	}
	return &runtimeapi.RemovePodSandboxResponse{}, nil
}

func matches(labels, selector map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// ListPodSandbox implements CRI.
func (r *Runtime) ListPodSandbox(_ context.Context, in *runtimeapi.ListPodSandboxRequest, _ ...grpc.CallOption) (*runtimeapi.ListPodSandboxResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("ListPodSandbox"); err != nil {
		return nil, err
	}
	out := &runtimeapi.ListPodSandboxResponse{}
	for _, s := range r.sandboxes {
		if matches(s.Labels, in.Filter.GetLabelSelector()) {
			out.Items = append(out.Items, &runtimeapi.PodSandbox{Id: s.Id, Metadata: s.Metadata, State: s.State, CreatedAt: s.CreatedAt, Labels: s.Labels})
		}
	}
	return out, nil
}

// PodSandboxStatus implements CRI.
func (r *Runtime) PodSandboxStatus(_ context.Context, in *runtimeapi.PodSandboxStatusRequest, _ ...grpc.CallOption) (*runtimeapi.PodSandboxStatusResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("PodSandboxStatus"); err != nil {
		return nil, err
	}
	s := r.sandboxes[in.PodSandboxId]
	if s == nil {
		return nil, notFound(in.PodSandboxId)
	}
	return &runtimeapi.PodSandboxStatusResponse{Status: &runtimeapi.PodSandboxStatus{
		Id: s.Id, Metadata: s.Metadata, State: s.State, CreatedAt: s.CreatedAt, Network: s.Network, Labels: s.Labels}}, nil
}

// CreateContainer implements CRI.
func (r *Runtime) CreateContainer(_ context.Context, in *runtimeapi.CreateContainerRequest, _ ...grpc.CallOption) (*runtimeapi.CreateContainerResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("CreateContainer"); err != nil {
		return nil, err
	}
	if r.sandboxes[in.PodSandboxId] == nil {
		return nil, notFound(in.PodSandboxId)
	}
	for _, c := range r.containers {
		if c.sandbox == in.PodSandboxId && c.status.Metadata.Name == in.Config.Metadata.Name && c.status.Metadata.Attempt == in.Config.Metadata.Attempt {
			return nil, status.Errorf(codes.AlreadyExists, "container %s is there", c.status.Id)
		}
	}
	r.serial++
	id := fmt.Sprintf("container-%d", r.serial)
	r.containers[id] = &container{sandbox: in.PodSandboxId, config: in.Config, status: &runtimeapi.ContainerStatus{
		Id: id, Metadata: in.Config.Metadata, Labels: in.Config.Labels, Annotations: in.Config.Annotations, Image: in.Config.Image,
		ImageRef: in.Config.Image.Image, CreatedAt: r.clock.Now().UnixNano() + int64(r.serial),
	}}
	return &runtimeapi.CreateContainerResponse{ContainerId: id}, nil
}

// StartContainer implements CRI.
func (r *Runtime) StartContainer(_ context.Context, in *runtimeapi.StartContainerRequest, _ ...grpc.CallOption) (*runtimeapi.StartContainerResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("StartContainer"); err != nil {
		return nil, err
	}
	c := r.containers[in.ContainerId]
	if c == nil {
		return nil, notFound(in.ContainerId)
	}
	c.status.State, c.status.StartedAt = runtimeapi.ContainerState_CONTAINER_RUNNING, r.clock.Now().UnixNano()
	return &runtimeapi.StartContainerResponse{}, nil
}

// StopContainer implements CRI. It does not wait for a stubborn container: with
// a timeout of 0 it kills it, otherwise it returns when ctx is done.
func (r *Runtime) StopContainer(ctx context.Context, in *runtimeapi.StopContainerRequest, _ ...grpc.CallOption) (*runtimeapi.StopContainerResponse, error) {
	err := r.begin("StopContainer")
	c := r.containers[in.ContainerId]
	wait := err == nil && c != nil && r.stubborn[c.status.Metadata.Name] && in.Timeout > 0
	if err == nil && c != nil && !wait && c.status.State == runtimeapi.ContainerState_CONTAINER_RUNNING {
		r.end(c, 143)
	}
	r.mu.Unlock()
	if wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &runtimeapi.StopContainerResponse{}, err
}

// RemoveContainer implements CRI.
func (r *Runtime) RemoveContainer(_ context.Context, in *runtimeapi.RemoveContainerRequest, _ ...grpc.CallOption) (*runtimeapi.RemoveContainerResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("RemoveContainer"); err != nil {
		return nil, err
	}
	delete(r.containers, in.ContainerId)
	return &runtimeapi.RemoveContainerResponse{}, nil
}

// ListContainers implements CRI.
func (r *Runtime) ListContainers(_ context.Context, in *runtimeapi.ListContainersRequest, _ ...grpc.CallOption) (*runtimeapi.ListContainersResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("ListContainers"); err != nil {
		return nil, err
	}
	out := &runtimeapi.ListContainersResponse{}
	for id, c := range r.containers {
		if matches(c.status.Labels, in.Filter.GetLabelSelector()) {
			out.Containers = append(out.Containers, &runtimeapi.Container{
				Id: id, PodSandboxId: c.sandbox, Metadata: c.status.Metadata, State: c.status.State, Labels: c.status.Labels, Image: c.status.Image,
			})
		}
	}
	slices.SortFunc(out.Containers, func(a, b *runtimeapi.Container) int { return cmp.Compare(a.Id, b.Id) })
	return out, nil
}

// UpdateContainerResources implements CRI.
func (r *Runtime) UpdateContainerResources(_ context.Context, in *runtimeapi.UpdateContainerResourcesRequest, _ ...grpc.CallOption) (*runtimeapi.UpdateContainerResourcesResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("UpdateContainerResources"); err != nil {
		return nil, err
	}
	if r.containers[in.ContainerId] == nil {
		return nil, notFound(in.ContainerId)
	}
	return &runtimeapi.UpdateContainerResourcesResponse{}, nil
}

// ReopenContainerLog implements CRI. Containers here write no logs.
func (r *Runtime) ReopenContainerLog(_ context.Context, in *runtimeapi.ReopenContainerLogRequest, _ ...grpc.CallOption) (*runtimeapi.ReopenContainerLogResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("ReopenContainerLog"); err != nil {
		return nil, err
	}
	if r.containers[in.ContainerId] == nil {
		return nil, notFound(in.ContainerId)
	}
	return &runtimeapi.ReopenContainerLogResponse{}, nil
}

// ImageFsInfo implements CRI: images here take no space.
func (r *Runtime) ImageFsInfo(context.Context, *runtimeapi.ImageFsInfoRequest, ...grpc.CallOption) (*runtimeapi.ImageFsInfoResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("ImageFsInfo"); err != nil {
		return nil, err
	}
	return &runtimeapi.ImageFsInfoResponse{}, nil
}

// ContainerStatus implements CRI.
func (r *Runtime) ContainerStatus(_ context.Context, in *runtimeapi.ContainerStatusRequest, _ ...grpc.CallOption) (*runtimeapi.ContainerStatusResponse, error) {
	defer r.mu.Unlock()
	if err := r.begin("ContainerStatus"); err != nil {
		return nil, err
	}
	c := r.containers[in.ContainerId]
	if c == nil {
		return nil, notFound(in.ContainerId)
	}
	s := c.status
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{
		Id: s.Id, Metadata: s.Metadata, Labels: s.Labels, Annotations: s.Annotations, Image: s.Image, ImageRef: s.ImageRef,
		State: s.State, CreatedAt: s.CreatedAt, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt, ExitCode: s.ExitCode,
	}}, nil
}

// ExecSync implements CRI.
func (r *Runtime) ExecSync(_ context.Context, in *runtimeapi.ExecSyncRequest, _ ...grpc.CallOption) (*runtimeapi.ExecSyncResponse, error) {
	err := r.begin("ExecSync")
	fn := r.exec
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	output, code := fn(in.Cmd)
	return &runtimeapi.ExecSyncResponse{Stdout: []byte(output), ExitCode: code}, nil
}

// stream is one watcher's.
type stream struct {
	grpc.ClientStream // nil: only Recv is called
	ctx               context.Context
	events            chan *runtimeapi.ContainerEventResponse
}

// Recv returns the next event.
func (s *stream) Recv() (*runtimeapi.ContainerEventResponse, error) {
	select {
	case e, ok := <-s.events:
		if !ok {
			return nil, io.EOF
		}
		return e, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// GetContainerEvents implements CRI.
func (r *Runtime) GetContainerEvents(ctx context.Context, _ *runtimeapi.GetEventsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[runtimeapi.ContainerEventResponse], error) {
	defer r.mu.Unlock()
	if err := r.begin("GetContainerEvents"); err != nil {
		return nil, err
	}
	s := &stream{ctx: ctx, events: make(chan *runtimeapi.ContainerEventResponse, 1000)}
	r.watchers[s.events] = true
	return s, nil
}

package containerd

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// stopPods stops and removes every sandbox with its containers.
func stopPods(ctx context.Context, endpoint string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+30*time.Second)
	defer cancel()
	client, err := runtime.Dial(endpoint)
	if err != nil {
		return err
	}
	defer client.Close()
	containers, err := client.ListContainers(ctx, &runtimeapi.ListContainersRequest{Filter: &runtimeapi.ContainerFilter{
		State: &runtimeapi.ContainerStateValue{State: runtimeapi.ContainerState_CONTAINER_RUNNING}}})
	if err != nil {
		return fmt.Errorf("listing containers to stop: %w", err)
	}
	var group errgroup.Group
	for _, c := range containers.Containers {
		group.Go(func() error {
			_, err := client.StopContainer(ctx, &runtimeapi.StopContainerRequest{ContainerId: c.Id, Timeout: int64(grace.Seconds())})
			return ignoreNotFound(err)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("stopping containers: %w", err)
	}
	sandboxes, err := client.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("listing sandboxes to stop: %w", err)
	}
	group = errgroup.Group{}
	for _, s := range sandboxes.Items {
		group.Go(func() error {
			if _, err := client.StopPodSandbox(ctx, &runtimeapi.StopPodSandboxRequest{PodSandboxId: s.Id}); ignoreNotFound(err) != nil {
				return err
			}
			_, err := client.RemovePodSandbox(ctx, &runtimeapi.RemovePodSandboxRequest{PodSandboxId: s.Id})
			return ignoreNotFound(err)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("stopping sandboxes: %w", err)
	}
	return nil
}

func ignoreNotFound(err error) error {
	if runtime.NotFound(err) {
		return nil
	}
	return err
}

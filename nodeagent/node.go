package nodeagent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent/nodestatus"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// runNode keeps the node's object until ctx is done.
func (a *Agent) runNode(ctx context.Context) error {
	if len(a.config.PodCIDRs) > 0 {
		if err := a.configureNetwork(ctx, a.config.PodCIDRs); err != nil {
			return err
		}
	}
	return a.nodeStatus.Start(ctx)
}

func (a *Agent) configureNetwork(ctx context.Context, cidrs []string) error {
	if a.config.Network == nil {
		return nil
	}
	if err := a.config.Network.Configure(ctx, cidrs); err != nil {
		return fmt.Errorf("configuring the pod network: %w", err)
	}
	return nil
}

// nodeChanged takes in a version of the node's object.
func (a *Agent) nodeChanged(node *corev1.Node) {
	a.mu.Lock()
	first, old := a.node == nil, a.node
	a.node = node
	ctx := a.ctx
	a.mu.Unlock()
	if len(a.config.PodCIDRs) > 0 || len(node.Spec.PodCIDRs) == 0 {
		return
	}
	if first || !slices.Equal(old.Spec.PodCIDRs, node.Spec.PodCIDRs) {
		if err := a.configureNetwork(ctx, node.Spec.PodCIDRs); err != nil {
			log.FromContext(ctx).Error(err, "Pods get no network")
		}
	}
}

// newNodeStatus composes what publishes the node.
func (a *Agent) newNodeStatus() *nodestatus.Node {
	return nodestatus.New(nodestatus.Config{
		Client: a.config.Client, Cache: a.config.Cache, Recorder: a.config.Recorder, Clock: a.config.Clock,
		Name: a.config.NodeName, Hostname: a.config.Hostname, Labels: a.config.Labels, Annotations: a.config.Annotations, Taints: a.config.Taints,
		PodCIDRs: a.config.PodCIDRs, LeaseDuration: a.config.LeaseDuration, StatusInterval: a.config.StatusInterval,
		Observe: a.observeNode, Changed: a.nodeChanged,
	})
}

// observeNode returns the contents of the node's status.
func (a *Agent) observeNode(ctx context.Context) nodestatus.Desired {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	d := nodestatus.Desired{Capacity: a.capacity(), Info: a.machine.Info, Port: a.config.ServerPort}
	d.Allocatable = nodestatus.Allocatable(d.Capacity, a.config.SystemReserved)
	d.Info.KubeletVersion = a.config.KubeletVersion
	for _, ip := range a.config.NodeIPs {
		d.Addresses = append(d.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	d.Addresses = append(d.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: a.config.Hostname})
	a.observeRuntime(ctx, &d)
	d.Health.DiskPressure = a.diskPressure.Load()
	return d
}

// capacity returns the machine's capacity, overridden by the config's.
func (a *Agent) capacity() corev1.ResourceList {
	out := a.machine.Capacity.DeepCopy()
	out[corev1.ResourcePods] = *resource.NewQuantity(int64(a.config.MaxPods), resource.DecimalSI)
	maps.Copy(out, a.config.Capacity)
	return out
}

// observeRuntime adds the container runtime's version and state.
func (a *Agent) observeRuntime(ctx context.Context, d *nodestatus.Desired) {
	version, err := a.runtime.Version(ctx, &runtimeapi.VersionRequest{})
	if err != nil {
		d.Info.ContainerRuntimeVersion = "containerd://Unknown"
		d.Health.Problem = "container runtime is down"
		return
	}
	d.Info.ContainerRuntimeVersion = version.RuntimeName + "://" + strings.TrimPrefix(version.RuntimeVersion, "v")
	status, err := a.runtime.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		d.Health.Problem = "container runtime status check failed: " + runtime.Text(err)
		return
	}
	for _, h := range status.RuntimeHandlers {
		rro, userns := h.Features.GetRecursiveReadOnlyMounts(), false
		d.Handlers = append(d.Handlers, corev1.NodeRuntimeHandler{
			Name:     h.Name,
			Features: &corev1.NodeRuntimeHandlerFeatures{RecursiveReadOnlyMounts: &rro, UserNamespaces: &userns},
		})
	}
	slices.SortFunc(d.Handlers, func(a, b corev1.NodeRuntimeHandler) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range status.Status.GetConditions() {
		if c.Status || d.Health.Problem != "" {
			continue
		}
		switch c.Type {
		case "RuntimeReady":
			d.Health.Problem = fmt.Sprintf("container runtime not ready: %s=%t reason:%s message:%s", c.Type, c.Status, c.Reason, c.Message)
		case "NetworkReady":
			d.Health.Problem = fmt.Sprintf("container runtime network not ready: %s=%t reason:%s message:%s", c.Type, c.Status, c.Reason, c.Message)
		}
	}
	if images, err := a.runtime.ListImages(ctx, &runtimeapi.ListImagesRequest{}); err == nil {
		for _, i := range images.Images {
			d.Images = append(d.Images, corev1.ContainerImage{
				Names: append(slices.Clone(i.RepoDigests), i.RepoTags...), SizeBytes: int64(i.Size),
			})
		}
	}
}

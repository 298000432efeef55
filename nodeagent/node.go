package nodeagent

import (
	"context"
	"errors"
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

// How long the runtime may take to describe itself, and how long it may not answer before the
// node is not ready: the kubelet's maxWaitForContainerRuntime.
const (
	runtimeLimit    = 10 * time.Second
	runtimePatience = 30 * time.Second
)

// runtimeView holds the runtime's version, state and images, as of one time.
type runtimeView struct {
	at       time.Time
	version  string
	handlers []corev1.NodeRuntimeHandler
	images   []corev1.ContainerImage
	// problem is why the runtime cannot run pods, empty if it can.
	problem string
}

// observeNode returns the contents of the node's status. It is not called by two at a time.
func (a *Agent) observeNode(ctx context.Context) nodestatus.Desired {
	d := nodestatus.Desired{Capacity: a.capacity(), Info: a.machine.Info, Port: a.config.ServerPort}
	d.Allocatable = nodestatus.Allocatable(d.Capacity, a.config.SystemReserved)
	d.Info.KubeletVersion = a.config.KubeletVersion
	for _, ip := range a.config.NodeIPs {
		d.Addresses = append(d.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	d.Addresses = append(d.Addresses, corev1.NodeAddress{Type: corev1.NodeHostName, Address: a.config.Hostname})
	seen, err := a.lookAtRuntime(ctx)
	switch now := a.config.Clock.Now(); {
	case err == nil:
		a.seen = seen
	case !a.seen.at.IsZero() && now.Sub(a.seen.at) < runtimePatience:
		d.Unsure = true // it may be busy, or starting again: its latest answer still counts
	default:
		a.seen = runtimeView{version: "containerd://Unknown", problem: err.Error()}
	}
	d.Info.ContainerRuntimeVersion, d.Handlers, d.Images, d.Health.Problem = a.seen.version, a.seen.handlers, a.seen.images, a.seen.problem
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

// lookAtRuntime asks the container runtime for its version, state and images.
func (a *Agent) lookAtRuntime(ctx context.Context) (runtimeView, error) {
	ctx, cancel := context.WithTimeout(ctx, runtimeLimit)
	defer cancel()
	version, err := a.runtime.Version(ctx, &runtimeapi.VersionRequest{})
	if err != nil {
		return runtimeView{}, errors.New("container runtime is down")
	}
	view := runtimeView{at: a.config.Clock.Now(), version: version.RuntimeName + "://" + strings.TrimPrefix(version.RuntimeVersion, "v")}
	status, err := a.runtime.Status(ctx, &runtimeapi.StatusRequest{})
	if err != nil {
		return runtimeView{}, fmt.Errorf("container runtime status check failed: %s", runtime.Text(err))
	}
	for _, h := range status.RuntimeHandlers {
		rro, userns := h.Features.GetRecursiveReadOnlyMounts(), false
		view.handlers = append(view.handlers, corev1.NodeRuntimeHandler{
			Name:     h.Name,
			Features: &corev1.NodeRuntimeHandlerFeatures{RecursiveReadOnlyMounts: &rro, UserNamespaces: &userns},
		})
	}
	slices.SortFunc(view.handlers, func(a, b corev1.NodeRuntimeHandler) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range status.Status.GetConditions() {
		if c.Status || view.problem != "" {
			continue
		}
		switch c.Type {
		case "RuntimeReady":
			view.problem = fmt.Sprintf("container runtime not ready: %s=%t reason:%s message:%s", c.Type, c.Status, c.Reason, c.Message)
		case "NetworkReady":
			view.problem = fmt.Sprintf("container runtime network not ready: %s=%t reason:%s message:%s", c.Type, c.Status, c.Reason, c.Message)
		}
	}
	images, err := a.runtime.ListImages(ctx, &runtimeapi.ListImagesRequest{})
	if err != nil {
		view.images = a.seen.images
		return view, nil
	}
	for _, i := range images.Images {
		view.images = append(view.images, corev1.ContainerImage{
			Names: append(slices.Clone(i.RepoDigests), i.RepoTags...), SizeBytes: int64(i.Size),
		})
	}
	return view, nil
}

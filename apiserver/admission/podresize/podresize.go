// Package podresize refuses new requests of a pod that its node could never
// grant. It is PodResizeValidator, part of
// https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/.
//
// The API of this package is not stable: see docs/api.md.
package podresize

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/coracle-k8s/coracle/apiserver/admission/boundpod"
)

// Causes of a refusal.
const (
	nodeCapacity        metav1.CauseType = "NodeCapacity"
	unsupportedPlatform metav1.CauseType = "UnsupportedPlatform"
)

// Plugin is PodResizeValidator.
type Plugin struct {
	*admission.Handler
	nodes boundpod.Nodes
}

var _ admission.ValidationInterface = Plugin{}

// New makes the plugin.
func New(nodes boundpod.Nodes) Plugin {
	return Plugin{Handler: admission.NewHandler(admission.Update), nodes: nodes}
}

// Validate implements admission.ValidationInterface.
func (p Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "resize" {
		return nil
	}
	pod, _, err := boundpod.Change(a)
	if err != nil || pod == nil {
		return err
	}
	node, err := boundpod.NodeOf(ctx, a, p.nodes, pod)
	if err != nil {
		return err
	}
	if system, ok := node.Labels[corev1.LabelOSStable]; ok && system != "linux" {
		return refused(a, unsupportedPlatform, fmt.Errorf("pod resize is only supported on linux nodes, node %q is %q", node.Name, system))
	}
	if lacks := lacking(pod, node.Status.Allocatable); len(lacks) > 0 {
		return refused(a, nodeCapacity, fmt.Errorf("node didn't have enough allocatable resources: %s", strings.Join(lacks, "; ")))
	}
	return nil
}

// lacking returns the resources, CPU and memory, of which the pod requests more
// than the node's allocatable amount.
func lacking(pod *corev1.Pod, allocatable corev1.ResourceList) []string {
	var lacks []string
	requests := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	if cpu := requests[corev1.ResourceCPU]; cpu.Cmp(*allocatable.Cpu()) > 0 {
		lacks = append(lacks, fmt.Sprintf("cpu, requested: %d, allocatable: %d", cpu.MilliValue(), allocatable.Cpu().MilliValue()))
	}
	if memory := requests[corev1.ResourceMemory]; memory.Cmp(*allocatable.Memory()) > 0 {
		lacks = append(lacks, fmt.Sprintf("memory, requested: %d, allocatable: %d", memory.Value(), allocatable.Memory().Value()))
	}
	return lacks
}

func refused(a admission.Attributes, cause metav1.CauseType, err error) error {
	err = admission.NewForbidden(a, err)
	if status := (*apierrors.StatusError)(nil); errors.As(err, &status) {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{Type: cause})
	}
	return err
}

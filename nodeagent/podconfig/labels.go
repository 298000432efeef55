package podconfig

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apitypes "k8s.io/apimachinery/pkg/types"
	kubelettypes "k8s.io/kubelet/pkg/types"

	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// Annotations of containers, the kubelet's own where it has one.
const (
	HashAnnotation             = "io.kubernetes.container.hash"
	RestartCountAnnotation     = "io.kubernetes.container.restartCount"
	MessagePathAnnotation      = "io.kubernetes.container.terminationMessagePath"
	MessagePolicyAnnotation    = "io.kubernetes.container.terminationMessagePolicy"
	PodGracePeriodAnnotation   = "io.kubernetes.pod.terminationGracePeriod"
	PodDeletionGraceAnnotation = "io.kubernetes.pod.deletionGracePeriod"
	ConfigSourceAnnotation     = "kubernetes.io/config.source"
	ResourcesAnnotation        = "coracle.dev/resources"
	MessageHostPathAnnotation  = "coracle.dev/termination-message"
	StopSignalAnnotation       = "coracle.dev/stop-signal"
	configSourceAPI            = "api"
)

// podLabels identify the pod on its sandbox and containers; adoption goes by them.
func podLabels(pod *corev1.Pod) map[string]string {
	return map[string]string{
		kubelettypes.KubernetesPodNameLabel:      pod.Name,
		kubelettypes.KubernetesPodNamespaceLabel: pod.Namespace,
		kubelettypes.KubernetesPodUIDLabel:       string(pod.UID),
	}
}

func sandboxLabels(pod *corev1.Pod) map[string]string {
	labels := maps.Clone(pod.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, podLabels(pod))
	return labels
}

func sandboxAnnotations(pod *corev1.Pod) map[string]string {
	annotations := maps.Clone(pod.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[ConfigSourceAnnotation] = configSourceAPI
	return annotations
}

func containerLabels(pod *corev1.Pod, container string) map[string]string {
	labels := podLabels(pod)
	labels[kubelettypes.KubernetesContainerNameLabel] = container
	return labels
}

func containerAnnotations(in *ContainerInput) (map[string]string, error) {
	c := in.Container
	resources, err := json.Marshal(corev1.ResourceRequirements{Limits: in.Resources.Limits, Requests: in.Resources.Requests})
	if err != nil {
		return nil, fmt.Errorf("encoding resources of container %s: %w", c.Name, err)
	}
	annotations := map[string]string{
		HashAnnotation:          pods.HashOf(c),
		RestartCountAnnotation:  strconv.Itoa(int(in.Attempt)),
		MessagePathAnnotation:   c.TerminationMessagePath,
		MessagePolicyAnnotation: string(c.TerminationMessagePolicy),
		ResourcesAnnotation:     string(resources),
	}
	if in.MessageHostPath != "" {
		annotations[MessageHostPathAnnotation] = in.MessageHostPath
	}
	if g := in.Pod.Spec.TerminationGracePeriodSeconds; g != nil {
		annotations[PodGracePeriodAnnotation] = strconv.FormatInt(*g, 10)
	}
	if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
		annotations[StopSignalAnnotation] = string(*c.Lifecycle.StopSignal)
	}
	return annotations, nil
}

// LogDir returns the pod's log directory below root.
func LogDir(root string, pod *corev1.Pod) string {
	return LogDirOf(root, pod.Namespace, pod.Name, pod.UID)
}

// LogDirOf returns LogDir by parts.
func LogDirOf(root, namespace, name string, uid apitypes.UID) string {
	return path.Join(root, fmt.Sprintf("%s_%s_%s", namespace, name, uid))
}

// LogFile returns a container's log within its pod's directory.
func LogFile(container string, attempt uint32) string {
	return path.Join(container, fmt.Sprintf("%d.log", attempt))
}

package podconfig

import (
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// KeyValue is one environment variable.
type KeyValue struct{ Name, Value string }

// ContainerInput holds what a container depends on.
type ContainerInput struct {
	Pod       *corev1.Pod
	Container *corev1.Container
	Attempt   uint32
	// ImageRef is the resolved image, ImageUser its default user.
	ImageRef  string
	ImageUser User
	// Resources are those granted by the node.
	Resources corev1.ResourceRequirements
	// Env is the resolved environment, in order.
	Env    []KeyValue
	Mounts []*runtimeapi.Mount
	// Devices are raw block volumes.
	Devices []*runtimeapi.Device
	// MessageHostPath is the host file behind terminationMessagePath.
	MessageHostPath string
	// TargetID is the container whose process namespace an ephemeral container joins.
	TargetID    string
	ExtraGroups []int64
	SeccompDir  string
	// AppArmor, CgroupV2 and NodeMemory describe the node.
	AppArmor, CgroupV2 bool
	NodeMemory         int64
}

// Container returns the config of a container.
func Container(in ContainerInput) (*runtimeapi.ContainerConfig, error) {
	c := in.Container
	security, err := containerSecurity(&in)
	if err != nil {
		return nil, err
	}
	annotations, err := containerAnnotations(&in)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	config := &runtimeapi.ContainerConfig{
		Metadata:    &runtimeapi.ContainerMetadata{Name: c.Name, Attempt: in.Attempt},
		Image:       &runtimeapi.ImageSpec{Image: in.ImageRef, UserSpecifiedImage: c.Image},
		WorkingDir:  c.WorkingDir,
		Mounts:      slices.Clone(in.Mounts),
		Devices:     in.Devices,
		Labels:      containerLabels(in.Pod, c.Name),
		Annotations: annotations,
		LogPath:     LogFile(c.Name, in.Attempt),
		Stdin:       c.Stdin, StdinOnce: c.StdinOnce, Tty: c.TTY,
		Linux: &runtimeapi.LinuxContainerConfig{
			Resources:       Resources(in.Pod, in.Resources, in.NodeMemory, in.CgroupV2),
			SecurityContext: security,
		},
	}
	for _, e := range in.Env {
		env[e.Name] = e.Value
		config.Envs = append(config.Envs, &runtimeapi.KeyValue{Key: e.Name, Value: []byte(e.Value)})
	}
	config.Command = expandAll(c.Command, env)
	config.Args = expandAll(c.Args, env)
	if in.MessageHostPath != "" {
		config.Mounts = append(config.Mounts, &runtimeapi.Mount{
			HostPath: in.MessageHostPath, ContainerPath: c.TerminationMessagePath,
		})
	}
	if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
		config.StopSignal = runtimeapi.Signal(runtimeapi.Signal_value["SIGNAL_"+string(*c.Lifecycle.StopSignal)])
	}
	return config, nil
}

func expandAll(in []string, env map[string]string) []string {
	lookup := func(name string) (string, bool) {
		value, known := env[name]
		return value, known
	}
	var out []string
	for _, s := range in {
		out = append(out, Expand(s, lookup))
	}
	return out
}

// Mount translates a volumeMount whose host path is known.
func Mount(m corev1.VolumeMount, hostPath string, readOnlyVolume bool) (*runtimeapi.Mount, error) {
	if !path.IsAbs(m.MountPath) {
		m.MountPath = path.Join("/", m.MountPath)
	}
	out := &runtimeapi.Mount{ContainerPath: m.MountPath, HostPath: hostPath, Readonly: m.ReadOnly || readOnlyVolume}
	if m.MountPropagation != nil {
		switch *m.MountPropagation {
		case corev1.MountPropagationHostToContainer:
			out.Propagation = runtimeapi.MountPropagation_PROPAGATION_HOST_TO_CONTAINER
		case corev1.MountPropagationBidirectional:
			out.Propagation = runtimeapi.MountPropagation_PROPAGATION_BIDIRECTIONAL
		}
	}
	if m.ReadOnly && m.RecursiveReadOnly != nil && *m.RecursiveReadOnly == corev1.RecursiveReadOnlyEnabled {
		if out.Propagation != runtimeapi.MountPropagation_PROPAGATION_PRIVATE {
			return nil, fmt.Errorf("mounting volume %q: recursive read-only needs private propagation", m.Name)
		}
		out.RecursiveReadOnly = true
	}
	return out, nil
}

//go:build linux

package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/coracle-k8s/coracle/nodeagent/host"
)

// ErrUnsupported is wrapped by the error of a volume type that this node cannot provide.
var ErrUnsupported = errors.New("no volume plugin matched")

// setUp makes one volume exist. The caller holds state.mu.
func (m *Manager) setUp(ctx context.Context, state *podState, pod *corev1.Pod, v *corev1.Volume) (host.Volume, error) {
	if _, isContent := contentPlugin(v); isContent {
		return m.setUpContent(ctx, state, pod, v)
	}
	switch {
	case v.EmptyDir != nil:
		return m.setUpEmptyDir(pod, v)
	case v.HostPath != nil:
		if err := checkHostPath(v.HostPath); err != nil {
			return host.Volume{}, err
		}
		return host.Volume{Path: v.HostPath.Path}, nil
	case v.PersistentVolumeClaim != nil:
		return m.setUpClaim(ctx, pod, v, v.PersistentVolumeClaim.ClaimName, v.PersistentVolumeClaim.ReadOnly, nil)
	case v.Ephemeral != nil:
		return m.setUpClaim(ctx, pod, v, pod.Name+"-"+v.Name, false, pod)
	case v.VolumeSource == (corev1.VolumeSource{}):
		// A volume without a source is an emptyDir.
		implied := &corev1.Volume{Name: v.Name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
		return m.setUpEmptyDir(pod, implied)
	}
	return host.Volume{}, fmt.Errorf("setting up volume %s: %w", v.Name, ErrUnsupported)
}

// emptyDirMode lets containers of any user write, as Kubernetes promises.
const emptyDirMode = 0o777

func (m *Manager) setUpEmptyDir(pod *corev1.Pod, v *corev1.Volume) (host.Volume, error) {
	dir := m.VolumePath(pod.UID, "empty-dir", v.Name)
	created, err := makeDir(dir, emptyDirMode)
	if err != nil {
		return host.Volume{}, err
	}
	switch medium := v.EmptyDir.Medium; {
	case medium == corev1.StorageMediumMemory:
		mounted, err := mountTmpfs(dir, memoryLimit(pod, v.EmptyDir))
		if err != nil {
			return host.Volume{}, err
		}
		created = created || mounted
	case medium != corev1.StorageMediumDefault:
		size, err := hugePageSize(pod, medium)
		if err != nil {
			return host.Volume{}, err
		}
		mounted, err := mountHugePages(dir, size)
		if err != nil {
			return host.Volume{}, err
		}
		created = created || mounted
	}
	if group := fsGroup(pod); group != nil && created {
		if err := ownTree(dir, *group, false, changeAlways); err != nil {
			return host.Volume{}, err
		}
	}
	return host.Volume{Path: dir}, nil
}

// memoryLimit returns the size of a Memory emptyDir in bytes: its own limit or
// that of the pod's memory, whichever is smaller; 0 is the kernel's default.
func memoryLimit(pod *corev1.Pod, source *corev1.EmptyDirVolumeSource) int64 {
	var total int64
	for i := range pod.Spec.Containers {
		limit := pod.Spec.Containers[i].Resources.Limits.Memory().Value()
		if limit == 0 {
			total = 0
			break
		}
		total += limit
	}
	if source.SizeLimit != nil && !source.SizeLimit.IsZero() {
		if own := source.SizeLimit.Value(); total == 0 || own < total {
			return own
		}
	}
	return total
}

// contentPlugin names the plugin directory of volumes whose content the agent
// writes.
func contentPlugin(v *corev1.Volume) (string, bool) {
	switch {
	case v.ConfigMap != nil:
		return "configmap", true
	case v.Secret != nil:
		return "secret", true
	case v.DownwardAPI != nil:
		return "downward-api", true
	case v.Projected != nil:
		return "projected", true
	}
	return "", false
}

// setUpContent writes the volume's current content. The caller holds state.mu.
func (m *Manager) setUpContent(ctx context.Context, state *podState, pod *corev1.Pod, v *corev1.Volume) (host.Volume, error) {
	content, err := m.content(ctx, state, pod, v)
	if err != nil {
		return host.Volume{}, err
	}
	plugin, _ := contentPlugin(v)
	dir := m.VolumePath(pod.UID, plugin, v.Name)
	if _, err := makeDir(dir, emptyDirMode); err != nil {
		return host.Volume{}, err
	}
	if v.ConfigMap == nil {
		if _, err := mountTmpfs(dir, 0); err != nil {
			return host.Volume{}, err
		}
	}
	if err := writeAtomic(dir, content, fsGroup(pod), m.cfg.Clock.Now()); err != nil {
		return host.Volume{}, err
	}
	return host.Volume{Path: dir, ReadOnly: true}, nil
}

func (m *Manager) content(ctx context.Context, state *podState, pod *corev1.Pod, v *corev1.Volume) (payload, error) {
	switch {
	case v.ConfigMap != nil:
		s := v.ConfigMap
		return m.configMap(ctx, pod.Namespace, s.Name, s.Items, s.DefaultMode, isTrue(s.Optional))
	case v.Secret != nil:
		s := v.Secret
		return m.secret(ctx, pod.Namespace, s.SecretName, s.Items, s.DefaultMode, isTrue(s.Optional))
	case v.DownwardAPI != nil:
		return downward(pod, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode, m.cfg.Allocatable())
	}
	return m.projected(ctx, state, pod, v)
}

func (m *Manager) configMap(ctx context.Context, namespace, name string, items []corev1.KeyToPath, mode *int32, optional bool) (payload, error) {
	cm, err := m.cfg.Objects.ConfigMap(ctx, namespace, name)
	if optional && apierrors.IsNotFound(err) {
		return payload{}, nil
	}
	if err != nil {
		return nil, err
	}
	return keyed(configMapData(cm), items, mode, optional, "config")
}

func (m *Manager) secret(ctx context.Context, namespace, name string, items []corev1.KeyToPath, mode *int32, optional bool) (payload, error) {
	secret, err := m.cfg.Objects.Secret(ctx, namespace, name)
	if optional && apierrors.IsNotFound(err) {
		return payload{}, nil
	}
	if err != nil {
		return nil, err
	}
	return keyed(secret.Data, items, mode, optional, "secret")
}

// makeDir makes the directory with exactly this mode (whatever the umask), and
// reports whether it was missing.
func makeDir(dir string, mode os.FileMode) (created bool, err error) {
	if _, err := os.Lstat(dir); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return false, fmt.Errorf("making a volume's directory: %w", err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		return false, fmt.Errorf("setting a volume directory's mode: %w", err)
	}
	return true, nil
}

// hugePageSize returns the page size in bytes of a HugePages medium, which may
// leave it to the pod's only hugepages resource.
func hugePageSize(pod *corev1.Pod, medium corev1.StorageMedium) (int64, error) {
	sizes := map[string]int64{"2Mi": 2 << 20, "1Gi": 1 << 30, "64Ki": 64 << 10, "32Mi": 32 << 20, "512Mi": 512 << 20, "16Gi": 16 << 30}
	name, hasSize := "", false
	if len(medium) > len(corev1.StorageMediumHugePagesPrefix) {
		name, hasSize = string(medium)[len(corev1.StorageMediumHugePagesPrefix):], true
	}
	for i := range pod.Spec.Containers {
		for res := range pod.Spec.Containers[i].Resources.Requests {
			if s := string(res); !hasSize && len(s) > len(corev1.ResourceHugePagesPrefix) && s[:len(corev1.ResourceHugePagesPrefix)] == corev1.ResourceHugePagesPrefix {
				name = s[len(corev1.ResourceHugePagesPrefix):]
			}
		}
	}
	if size, ok := sizes[name]; ok {
		return size, nil
	}
	return 0, fmt.Errorf("storage medium %s: no huge page size %s", strconv.Quote(string(medium)), strconv.Quote(name))
}

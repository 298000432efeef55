package agenttest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/coracle-k8s/coracle/nodeagent/host"
)

// Volumes makes a directory per volume below Dir.
type Volumes struct {
	Dir string

	mu      sync.Mutex
	mounted map[types.UID]bool
	// Fail, if set, is asked before a pod is mounted.
	Fail func(*corev1.Pod) error

	retry atomic.Pointer[func(types.UID)]
}

var _ host.Volumes = &Volumes{}

// Mount makes the directories.
func (v *Volumes) Mount(_ context.Context, pod *corev1.Pod) (map[string]host.Volume, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.Fail != nil {
		if err := v.Fail(pod); err != nil {
			return nil, err
		}
	}
	out := map[string]host.Volume{}
	for _, volume := range pod.Spec.Volumes {
		dir := filepath.Join(v.Dir, string(pod.UID), volume.Name)
		if volume.HostPath != nil {
			dir = volume.HostPath.Path
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
		out[volume.Name] = host.Volume{Path: dir}
	}
	if v.mounted == nil {
		v.mounted = map[types.UID]bool{}
	}
	v.mounted[pod.UID] = true
	return out, nil
}

// SetFail changes Fail while an agent runs.
func (v *Volumes) SetFail(fail func(*corev1.Pod) error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Fail = fail
}

// Update does nothing.
func (v *Volumes) Update(*corev1.Pod) {}

// SubPath returns a directory in the volume.
func (v *Volumes) SubPath(_ context.Context, _ *corev1.Pod, _ string, _ int, volume host.Volume, subPath string) (string, error) {
	dir := filepath.Join(volume.Path, subPath)
	return dir, os.MkdirAll(dir, 0o777)
}

// Unmount removes the pod's directories.
func (v *Volumes) Unmount(_ context.Context, uid types.UID) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.mounted, uid)
	return os.RemoveAll(filepath.Join(v.Dir, string(uid)))
}

// Mounted lists pods that were mounted and not unmounted.
func (v *Volumes) Mounted() ([]types.UID, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []types.UID
	for uid := range v.mounted {
		out = append(out, uid)
	}
	return out, nil
}

// OnRetry sets the function that Retry calls.
func (v *Volumes) OnRetry(fn func(types.UID)) { v.retry.Store(&fn) }

// Retry reports that what a mount of the pod lacked may exist now. Fail may call it.
func (v *Volumes) Retry(pod types.UID) { (*v.retry.Load())(pod) }

// Env passes plain values on.
type Env struct{}

// Environment returns the container's plain variables.
func (Env) Environment(_ context.Context, _ *corev1.Pod, c *corev1.Container) ([]host.EnvVar, error) {
	var out []host.EnvVar
	for _, e := range c.Env {
		out = append(out, host.EnvVar{Name: e.Name, Value: e.Value})
	}
	return out, nil
}

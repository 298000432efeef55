//go:build linux

package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/nodeagent/credentials"
	"github.com/coracle-k8s/coracle/nodeagent/host"
	"github.com/coracle-k8s/coracle/nodeagent/objects"
)

// Config holds the dependencies of a Manager. Fields without a default are required.
type Config struct {
	// RootDir is the agent's directory; volumes are below RootDir/pods. It must
	// be absolute.
	RootDir string
	// Client reads claims and volumes and asks for service account tokens.
	Client client.Client
	// Objects reads and watches ConfigMaps and Secrets. The Manager registers
	// pods with it; its owner starts it.
	Objects *objects.Store
	// Credentials has trust bundles and pod certificates; it is used as Objects
	// is. Default: volumes that project them cannot be set up.
	Credentials *credentials.Manager
	// Clock decides when tokens are renewed. Default: the real clock.
	Clock clock.WithTicker
	// Log takes the errors of failed refreshes. Default: nothing is logged.
	Log logr.Logger
	// Allocatable stands for limits that containers do not have, in downwardAPI
	// files. Default: nothing is allocatable.
	Allocatable func() corev1.ResourceList
}

// Manager implements host.Volumes.
type Manager struct {
	cfg   Config
	queue *queue

	mu    sync.Mutex
	pods  map[types.UID]*podState
	retry func(types.UID)
}

var _ host.Volumes = (*Manager)(nil)

// podState is the state of a pod between Mount and Unmount.
type podState struct {
	// Guarded by Manager.mu: the pod, whether a refresh is under way, and whether another one
	// came due meanwhile.
	newest            *corev1.Pod
	refreshing, again bool

	mu      sync.Mutex // held while the pod's volumes are touched
	mounted bool
	tokens  map[tokenKey]token
	// looks are when to look at podCertificate sources again, by volume and index.
	looks map[sourceKey]time.Time
}

// retryAfter is how long a failed refresh waits for the next try; changes of
// objects come sooner by their watch.
const retryAfter = 30 * time.Second

// New returns a Manager, subscribed to cfg.Objects.
func New(cfg Config) (*Manager, error) {
	if cfg.RootDir == "" || !filepath.IsAbs(cfg.RootDir) || cfg.Client == nil || cfg.Objects == nil {
		return nil, errors.New("making the volume manager: an absolute RootDir, Client and Objects are required")
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.RealClock{}
	}
	if cfg.Allocatable == nil {
		cfg.Allocatable = func() corev1.ResourceList { return nil }
	}
	m := &Manager{cfg: cfg, queue: newQueue(cfg.Clock), pods: map[types.UID]*podState{}}
	cfg.Objects.Subscribe(func(_ objects.Key, pods []types.UID) { m.sourcesChanged(pods) })
	if cfg.Credentials != nil {
		cfg.Credentials.Subscribe(m.sourcesChanged)
	}
	return m, nil
}

// Start keeps contents current until ctx is done. It touches no mount when it
// ends: pods outlive their agent. A pod whose volumes hang keeps no other waiting.
func (m *Manager) Start(ctx context.Context) error {
	var refreshes sync.WaitGroup
	defer refreshes.Wait()
	m.queue.run(ctx.Done(), func(uid types.UID) {
		state := m.beginRefresh(uid)
		if state == nil {
			return
		}
		refreshes.Go(func() {
			defer m.endRefresh(uid, state)
			if err := m.refresh(ctx, uid); err != nil && ctx.Err() == nil {
				m.cfg.Log.Error(err, "Refreshing volumes", "pod", uid)
				m.queue.at(uid, m.cfg.Clock.Now().Add(retryAfter))
			}
		})
	})
	return nil
}

// beginRefresh returns the state of a pod to refresh, nil for one that is gone, or is being
// refreshed and will be again.
func (m *Manager) beginRefresh(uid types.UID) *podState {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.pods[uid]
	if state == nil || state.refreshing {
		if state != nil {
			state.again = true
		}
		return nil
	}
	state.refreshing = true
	return state
}

func (m *Manager) endRefresh(uid types.UID, state *podState) {
	m.mu.Lock()
	again := state.again
	state.refreshing, state.again = false, false
	m.mu.Unlock()
	if again {
		m.queue.now(uid)
	}
}

// OnRetry implements host.Volumes.
func (m *Manager) OnRetry(fn func(pod types.UID)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.retry = fn
}

// sourcesChanged has contents written again, and failed mounts tried again.
func (m *Manager) sourcesChanged(pods []types.UID) {
	m.mu.Lock()
	retry := m.retry
	m.mu.Unlock()
	for _, uid := range pods {
		m.queue.now(uid)
		if retry != nil {
			retry(uid)
		}
	}
}

// Update implements host.Volumes.
func (m *Manager) Update(pod *corev1.Pod) {
	m.mu.Lock()
	state := m.pods[pod.UID]
	if state != nil {
		state.newest = pod
	}
	m.mu.Unlock()
	if state == nil {
		return
	}
	m.register(pod)
	if namesItself(pod) {
		m.queue.now(pod.UID)
	}
}

func (m *Manager) register(pod *corev1.Pod) {
	m.cfg.Objects.Register(pod)
	if m.cfg.Credentials != nil {
		m.cfg.Credentials.Register(pod)
	}
}

// namesItself reports whether a change of the pod may show in its volumes.
func namesItself(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.DownwardAPI != nil {
			return true
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.DownwardAPI != nil {
				return true
			}
		}
	}
	return false
}

// Mount implements host.Volumes.
func (m *Manager) Mount(ctx context.Context, pod *corev1.Pod) (map[string]host.Volume, error) {
	m.mu.Lock()
	state := m.pods[pod.UID]
	if state == nil {
		state = &podState{tokens: map[tokenKey]token{}, looks: map[sourceKey]time.Time{}}
		m.pods[pod.UID] = state
	}
	state.newest = pod
	m.mu.Unlock()
	m.register(pod)

	state.mu.Lock()
	defer state.mu.Unlock()
	mounted := make(map[string]host.Volume, len(pod.Spec.Volumes))
	var failures, unprocessed []error
	var unmounted, unclaimed []string
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if v.Image != nil {
			continue // the container runtime mounts it
		}
		host, err := m.setUp(ctx, state, pod, v)
		if err != nil {
			unmounted = append(unmounted, v.Name)
			// The words are the kubelet's, of FailedMount events.
			if claim := (*claimError)(nil); errors.As(err, &claim) {
				unclaimed, unprocessed = append(unclaimed, v.Name), append(unprocessed, err)
				continue
			}
			failures = append(failures, fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", v.Name, err))
			continue
		}
		mounted[v.Name] = host
	}
	if len(unprocessed) > 0 {
		failures = append(failures, fmt.Errorf("Unable to attach or mount volumes: unmounted volumes=%v, unattached volumes=[], failed to process volumes=%v: %w",
			unmounted, unclaimed, errors.Join(unprocessed...)))
	}
	if err := errors.Join(failures...); err != nil {
		return nil, err
	}
	state.mounted = true
	m.schedule(pod.UID, state)
	return mounted, nil
}

// refresh writes the pod's content volumes again where they have changed.
func (m *Manager) refresh(ctx context.Context, uid types.UID) error {
	m.mu.Lock()
	state := m.pods[uid]
	if state == nil {
		m.mu.Unlock()
		return nil
	}
	pod := state.newest
	m.mu.Unlock()
	state.mu.Lock()
	defer state.mu.Unlock()
	if !state.mounted {
		return nil
	}
	var failures []error
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if _, isContent := contentPlugin(v); !isContent {
			continue
		}
		if _, err := m.setUpContent(ctx, state, pod, v); err != nil {
			failures = append(failures, fmt.Errorf("refreshing volume %s of pod %s/%s: %w", v.Name, pod.Namespace, pod.Name, err))
		}
	}
	m.schedule(uid, state)
	return errors.Join(failures...)
}

// Unmount implements host.Volumes.
func (m *Manager) Unmount(ctx context.Context, uid types.UID) error {
	if uid == "" || filepath.Base(string(uid)) != string(uid) {
		return fmt.Errorf("unmounting volumes: %q is not a pod's UID", uid)
	}
	m.cfg.Objects.Unregister(uid)
	if m.cfg.Credentials != nil {
		m.cfg.Credentials.Unregister(uid)
	}
	m.queue.forget(uid)
	m.mu.Lock()
	state := m.pods[uid]
	delete(m.pods, uid)
	m.mu.Unlock()
	if state != nil {
		state.mu.Lock()
		defer state.mu.Unlock()
		state.mounted = false
	}
	dir := m.podDir(uid)
	for _, sub := range []string{subPathsDir, volumesDir} {
		if err := removeTree(ctx, filepath.Join(dir, sub)); err != nil {
			return fmt.Errorf("unmounting volumes of pod %s: %w", uid, err)
		}
	}
	// The pod's directory may hold what others made; it goes with the last of it.
	_ = os.Remove(dir)
	return nil
}

// Mounted implements host.Volumes.
func (m *Manager) Mounted() ([]types.UID, error) {
	entries, err := os.ReadDir(filepath.Join(m.cfg.RootDir, "pods"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing pods with volumes: %w", err)
	}
	var uids []types.UID
	for _, e := range entries {
		for _, sub := range []string{volumesDir, subPathsDir} {
			if _, err := os.Lstat(filepath.Join(m.cfg.RootDir, "pods", e.Name(), sub)); err == nil {
				uids = append(uids, types.UID(e.Name()))
				break
			}
		}
	}
	return uids, nil
}

const (
	volumesDir  = "volumes"
	subPathsDir = "volume-subpaths"
)

func (m *Manager) podDir(uid types.UID) string {
	return filepath.Join(m.cfg.RootDir, "pods", string(uid))
}

// EmptyDirPath returns the path of a pod's emptyDir, as env.Config.VolumePath.
func (m *Manager) EmptyDirPath(pod *corev1.Pod, volume string) string {
	return m.VolumePath(pod.UID, "empty-dir", volume)
}

// VolumePath returns the path that a pod's volume of the given plugin (such as
// "empty-dir") has or would have.
func (m *Manager) VolumePath(uid types.UID, plugin, volume string) string {
	return filepath.Join(m.podDir(uid), volumesDir, "kubernetes.io~"+plugin, volume)
}

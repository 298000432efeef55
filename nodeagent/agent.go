package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	kubelettypes "k8s.io/kubelet/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/nodeagent/admission"
	"github.com/coracle-k8s/coracle/nodeagent/cgroups"
	"github.com/coracle-k8s/coracle/nodeagent/containers"
	"github.com/coracle-k8s/coracle/nodeagent/garbage"
	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/logs"
	"github.com/coracle-k8s/coracle/nodeagent/nodestatus"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
	"github.com/coracle-k8s/coracle/nodeagent/probes"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
	"github.com/coracle-k8s/coracle/nodeagent/server"
)

// relistInterval is the interval at which the runtime is listed although
// nothing happened, in case an event was lost.
const relistInterval = 5 * time.Minute

// Agent runs the pods of one node. Make it with New.
type Agent struct {
	config  Config
	runtime runtime.Service
	close   func() error
	prober  *probes.Prober
	starter *containers.Starter
	puller  *images.Puller
	// cgroups is nil where they cannot be written or are switched off.
	cgroups    *cgroups.Manager
	machine    nodestatus.Machine
	nodeStatus *nodestatus.Node
	// seen is the runtime's latest answer; only observeNode uses it.
	seen runtimeView
	// diskPressure is set when image garbage collection cannot free enough.
	diskPressure atomic.Bool

	// ready is closed when pods left on the node by an earlier agent are known.
	ready chan struct{}
	// appArmor is set where the kernel enforces profiles.
	appArmor bool

	// ledger has what pods hold of the node.
	ledger admission.Ledger
	// classes guards burstable, the CPU shares that the class of such pods has.
	classes   sync.Mutex
	burstable int64

	mu      sync.Mutex
	workers map[types.UID]*worker
	// running counts workers' goroutines; ctx is theirs.
	running sync.WaitGroup
	ctx     context.Context
	node    *corev1.Node
}

// New checks the config and prepares an agent; nothing happens before Start.
func New(config Config) (*Agent, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	client, err := runtime.Dial(config.RuntimeEndpoint)
	if err != nil {
		return nil, err
	}
	return newAgent(config, client, client.Close)
}

func newAgent(config Config, service runtime.Service, close func() error) (*Agent, error) {
	if config.Dial == nil {
		config.Dial = (&net.Dialer{}).DialContext
	}
	a := &Agent{
		config: config, runtime: service, close: close,
		ready: make(chan struct{}), appArmor: containers.HasAppArmor(), workers: map[types.UID]*worker{},
	}
	a.nodeStatus = a.newNodeStatus()
	exec := func(ctx context.Context, id string, command []string, timeout time.Duration) (string, int32, error) {
		return runtime.Exec(ctx, service, id, command, timeout)
	}
	a.prober = &probes.Prober{Exec: exec, Dial: config.Dial, UserAgent: "kube-probe/" + apis.KubernetesMinor()}
	a.puller = images.NewPuller(service, config.Client, filepath.Join(config.RootDir, "image-pulls"))
	if config.NodeCgroups == nil || *config.NodeCgroups {
		manager, err := cgroups.New()
		if err == nil {
			err = manager.Set(cgroups.QOSParent(config.CgroupRoot, corev1.PodQOSBestEffort), cgroups.Limits{CPUShares: podconfig.Shares(0)})
		}
		if err == nil {
			err = manager.Set(cgroups.QOSParent(config.CgroupRoot, corev1.PodQOSBurstable), cgroups.Limits{CPUShares: podconfig.Shares(0)})
		}
		switch {
		case err == nil:
			a.cgroups = manager
		case config.NodeCgroups != nil:
			return nil, err
		}
	}
	a.starter = containers.New(containers.Config{
		Runtime: service, Volumes: config.Volumes, Env: config.Env, Recorder: config.Recorder,
		RootDir: config.RootDir, PodLogDir: config.PodLogDir, SeccompDir: config.SeccompDir,
		ClusterDNS: config.ClusterDNS, ClusterDomain: config.ClusterDomain, ResolvConf: config.ResolvConf, Hostname: config.Hostname,
		Cgroup: a.cgroup, CgroupV2: a.cgroups != nil && a.cgroups.V2(), AppArmor: a.appArmor, Memory: a.memory,
	})
	return a, nil
}

// Start runs the node until ctx is done: a manager.Runnable. Containers go on
// running when it returns; a later agent adopts them.
func (a *Agent) Start(ctx context.Context) error {
	for _, dir := range []string{a.config.RootDir, filepath.Join(a.config.RootDir, "pods"), a.config.PodLogDir} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("creating the node's directories: %w", err)
		}
	}
	var err error
	if a.machine, err = nodestatus.ReadMachine(a.config.RootDir); err != nil {
		return err
	}
	ctx = log.IntoContext(ctx, log.FromContext(ctx).WithName("nodeagent").WithValues("node", a.config.NodeName))
	a.config.Volumes.OnRetry(func(uid types.UID) { a.poke(uid, (*worker).retry) })
	group, ctx := errgroup.WithContext(ctx)
	a.mu.Lock()
	a.ctx = ctx
	a.mu.Unlock()
	group.Go(func() error { return a.watchRuntime(ctx) })
	group.Go(func() error { return a.watchPods(ctx) })
	group.Go(func() error { return a.runNode(ctx) })
	group.Go(func() error { return a.garbage().Run(ctx) })
	err = group.Wait()
	a.running.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, a.close())
}

// watchRuntime follows container events and lists again whenever it may have
// missed some, until ctx is done.
func (a *Agent) watchRuntime(ctx context.Context) error {
	for ctx.Err() == nil {
		// The stream is made again now and then on purpose: each time the workers
		// look at everything, which is the safety relist.
		bounded, cancel := context.WithTimeout(ctx, relistInterval)
		err := runtime.Events(bounded, a.runtime, func() { a.nodeStatus.Kick(); a.lookAtAll() }, a.runtimeEvent)
		cancel()
		if ctx.Err() == nil && bounded.Err() == nil {
			log.FromContext(ctx).V(1).Info("Container events ended, connecting again", "error", err.Error())
			a.nodeStatus.Kick()
			a.pause(ctx, 200*time.Millisecond)
		}
	}
	return nil
}

// pause waits by the clock or until ctx is done.
func (a *Agent) pause(ctx context.Context, d time.Duration) {
	timer := a.config.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

// wakeAll has every pod's worker plan again: new pods are admitted now.
func (a *Agent) wakeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.workers {
		w.tell(func(*inbox) {})
	}
}

// log returns the agent's logger, once it has started.
func (a *Agent) log() logr.Logger { return log.FromContext(a.ctx) }

// isReady reports whether all pods that were here before are known.
func (a *Agent) isReady() bool {
	select {
	case <-a.ready:
		return true
	default:
		return false
	}
}

func (a *Agent) lookAtAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.workers {
		w.runtimeChanged()
	}
}

// runtimeEvent wakes the pod of a container or sandbox that ended. Starts are
// the agent's own calls and known from their answers.
func (a *Agent) runtimeEvent(e *runtimeapi.ContainerEventResponse) {
	switch e.ContainerEventType {
	case runtimeapi.ContainerEventType_CONTAINER_CREATED_EVENT, runtimeapi.ContainerEventType_CONTAINER_STARTED_EVENT:
		return
	}
	uid := types.UID(e.PodSandboxStatus.GetMetadata().GetUid())
	if uid == "" {
		a.lookAtAll()
		return
	}
	a.poke(uid, (*worker).runtimeChanged)
}

// poke calls fn on the worker of a pod, if there is one.
func (a *Agent) poke(uid types.UID, fn func(*worker)) {
	a.mu.Lock()
	w := a.workers[uid]
	a.mu.Unlock()
	if w != nil {
		fn(w)
	}
}

// watchPods feeds workers from the cache until ctx is done.
func (a *Agent) watchPods(ctx context.Context) error {
	left, err := a.podsOnRuntime(ctx)
	if err != nil {
		return err
	}
	informer, err := a.config.Cache.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: a.podChanged, UpdateFunc: func(_, o any) { a.podChanged(o) }, DeleteFunc: a.podGone,
	})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	defer func() { _ = informer.RemoveEventHandler(handler) }()
	if !toolscache.WaitForCacheSync(ctx.Done(), handler.HasSynced) {
		return nil
	}
	a.endOrphans(left)
	close(a.ready)
	a.wakeAll()
	<-ctx.Done()
	return nil
}

func (a *Agent) podChanged(o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok || pod.Spec.NodeName != a.config.NodeName {
		return
	}
	a.mu.Lock()
	w := a.workers[pod.UID]
	if w == nil && a.ctx.Err() == nil {
		w = a.startWorker(pod)
	}
	a.mu.Unlock()
	if w != nil {
		w.podChanged(pod)
	}
}

func (a *Agent) podGone(o any) {
	if tomb, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = tomb.Obj
	}
	if pod, ok := o.(*corev1.Pod); ok && pod.Spec.NodeName == a.config.NodeName {
		// The scheduler counts it no longer: the next pod may be its successor.
		a.poke(pod.UID, func(w *worker) { w.releaseShare(); w.gone(pod) })
	}
}

// startWorker makes a pod's worker; a.mu is held.
func (a *Agent) startWorker(pod *corev1.Pod) *worker {
	w := newWorker(a, pod)
	a.workers[pod.UID] = w
	a.running.Go(func() {
		w.run(a.ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.workers, pod.UID)
	})
	return w
}

// podsOnRuntime lists the pods that have sandboxes or volumes here.
func (a *Agent) podsOnRuntime(ctx context.Context) (map[types.UID]runtime.Identity, error) {
	out := map[types.UID]runtime.Identity{}
	list, err := a.runtime.ListPodSandbox(ctx, &runtimeapi.ListPodSandboxRequest{})
	if err != nil {
		if ctx.Err() != nil {
			return out, nil
		}
		return nil, fmt.Errorf("listing sandboxes: %w", err)
	}
	for _, s := range list.Items {
		uid := types.UID(s.Labels[kubelettypes.KubernetesPodUIDLabel])
		out[uid] = runtime.Identity{
			UID: uid, Namespace: s.Labels[kubelettypes.KubernetesPodNamespaceLabel], Name: s.Labels[kubelettypes.KubernetesPodNameLabel],
		}
	}
	mounted, err := a.config.Volumes.Mounted()
	if err != nil {
		return nil, fmt.Errorf("listing mounted volumes: %w", err)
	}
	for _, uid := range mounted {
		if _, known := out[uid]; !known {
			out[uid] = runtime.Identity{UID: uid}
		}
	}
	return out, nil
}

// endOrphans ends pods that are here but not in the API any more.
func (a *Agent) endOrphans(left map[types.UID]runtime.Identity) {
	for uid, id := range left {
		a.mu.Lock()
		_, known := a.workers[uid]
		if known || a.ctx.Err() != nil {
			a.mu.Unlock()
			continue
		}
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{UID: uid, Namespace: id.Namespace, Name: id.Name},
			Spec:       corev1.PodSpec{NodeName: a.config.NodeName},
		}
		w := a.startWorker(pod)
		a.mu.Unlock()
		w.gone(pod)
	}
}

// Pods returns the agent's pods with their newest status, for /pods.
func (a *Agent) Pods() []*corev1.Pod {
	a.mu.Lock()
	workers := make([]*worker, 0, len(a.workers))
	for _, w := range a.workers {
		workers = append(workers, w)
	}
	a.mu.Unlock()
	var out []*corev1.Pod
	for _, w := range workers {
		if pod := w.snapshot(); pod != nil {
			out = append(out, pod)
		}
	}
	return out
}

// Handler answers the kubelet's HTTP API; the server of the handler decides about access.
func (a *Agent) Handler() http.Handler {
	return server.New(server.Config{
		NodeName: a.config.NodeName, Runtime: a.runtime, Clock: a.config.Clock, Pods: a.Pods, Dial: a.config.Dial,
		Configz: map[string]any{
			"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
			"clusterDNS": a.config.ClusterDNS, "clusterDomain": a.config.ClusterDomain, "maxPods": a.config.MaxPods,
			"cgroupRoot": a.config.CgroupRoot, "cgroupDriver": "cgroupfs", "containerRuntimeEndpoint": a.config.RuntimeEndpoint,
			"containerLogMaxFiles": a.config.ContainerLogMaxFiles, "nodeLeaseDurationSeconds": int(a.config.LeaseDuration.Seconds()),
		},
	})
}

// Ready is closed once the agent has all pods, its own and those that an earlier agent left.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// Shutdown takes away what pods hold on the host after Start returned and their
// containers are gone (see containerd.Shutdown): volumes, cgroups, directories.
// Pod objects stay; a later agent runs them again.
func (a *Agent) Shutdown(ctx context.Context) error {
	mounted, err := a.config.Volumes.Mounted()
	errs := []error{err}
	for _, uid := range mounted {
		errs = append(errs, a.config.Volumes.Unmount(ctx, uid))
	}
	if a.cgroups != nil {
		errs = append(errs, a.cgroups.Remove(a.config.CgroupRoot))
		a.cgroups.Prune(filepath.Dir(a.config.CgroupRoot))
	}
	return errors.Join(errs...)
}

func (a *Agent) garbage() *garbage.Collector {
	c := a.config
	return &garbage.Collector{
		Clock: c.Clock, Runtime: a.runtime, Puller: a.puller,
		VolumeImages: a.volumeImages,
		Logs:         a.openLogs, Policy: logs.Policy{MaxSize: c.ContainerLogMaxSize, MaxFiles: c.ContainerLogMaxFiles},
		HighPercent: c.ImageGCHighPercent, LowPercent: c.ImageGCLowPercent, MinimumAge: c.ImageMinimumAge,
		Pressure: func(pressure bool) {
			if a.diskPressure.Swap(pressure) != pressure {
				a.nodeStatus.Kick()
			}
		},
	}
}

// volumeImages returns the references of images that pods have as volumes.
func (a *Agent) volumeImages() []string {
	var out []string
	for _, pod := range a.Pods() {
		if pods.Terminal(pod.Status.Phase) {
			continue
		}
		for i := range pod.Spec.Volumes {
			if image := pod.Spec.Volumes[i].Image; image != nil && image.Reference != "" {
				out = append(out, image.Reference)
			}
		}
	}
	return out
}

// openLogs returns the log files of running containers, with the containers' IDs.
func (a *Agent) openLogs() map[string]string {
	out := map[string]string{}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.workers {
		w.mu.Lock()
		for _, l := range w.logs {
			out[l.file] = l.id
		}
		w.mu.Unlock()
	}
	return out
}

// containerLog is the log file of a running container.
type containerLog struct{ id, file string }

// logFile returns the log of a container that was observed, empty for others.
func (w *worker) logFile(id string) string {
	for i := range w.observed.Containers {
		if c := &w.observed.Containers[i]; c.ID == id {
			return filepath.Join(podconfig.LogDir(w.agent.config.PodLogDir, w.pod), podconfig.LogFile(c.Name, c.Attempt))
		}
	}
	return ""
}

// logsOf returns the logs of the pod's running containers.
func (w *worker) logsOf(dir string) []containerLog {
	var out []containerLog
	for i := range w.observed.Containers {
		if c := &w.observed.Containers[i]; c.State == pods.Running {
			out = append(out, containerLog{id: c.ID, file: filepath.Join(dir, podconfig.LogFile(c.Name, c.Attempt))})
		}
	}
	return out
}

package simulated

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent/nodelease"
)

// Nodes is a set of simulated nodes; a manager.Runnable.
type Nodes struct {
	config Config
	nodes  []*node
	byName map[string]*node
	ips    *addresses
	queue  workqueue.TypedRateLimitingInterface[key]

	mu   sync.Mutex
	pods map[types.NamespacedName]*corev1.Pod // newest known, shared with the cache: never changed
	sick map[string]*corev1.Node              // nodes to be made ready again
}

// key is a pod, or a node when the namespace is empty.
type key = types.NamespacedName

// New makes the nodes known; nothing happens before Start.
func New(config Config) (*Nodes, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	s := &Nodes{
		config: config,
		byName: make(map[string]*node, len(config.Names)),
		ips:    newAddresses(),
		pods:   map[types.NamespacedName]*corev1.Pod{},
		sick:   map[string]*corev1.Node{},
	}
	for i, name := range config.Names {
		n := &node{name: name, ip: nth(config.NodeCIDR, i).String(), lease: nodelease.Lease{Node: name, Duration: config.LeaseDuration}}
		s.nodes = append(s.nodes, n)
		s.byName[name] = n
	}
	return s, nil
}

// Start registers the nodes and runs their pods until ctx is done. Node objects
// and pods stay as they are; a later Start takes them over.
func (s *Nodes) Start(ctx context.Context) error {
	s.queue = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[key](20*time.Millisecond, 10*time.Second),
		workqueue.TypedRateLimitingQueueConfig[key]{Clock: s.config.Clock})
	// The queue first: whatever happens below, its goroutines end with Start.
	defer s.queue.ShutDown()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { <-ctx.Done(); s.queue.ShutDown(); return nil })
	group.Go(func() error {
		if err := s.registerAll(ctx); err != nil {
			return ignoreEnd(ctx, err)
		}
		return s.renewLeases(ctx)
	})
	group.Go(func() error {
		return ignoreEnd(ctx, s.watch(ctx, func() {
			for range s.config.Writers {
				group.Go(func() error { s.write(ctx); return nil })
			}
		}))
	})
	return group.Wait()
}

// ignoreEnd drops errors once ctx is done.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watch feeds the queue from the cache until ctx is done. It calls known when it
// has seen all pods that there were: an address given out before might be that
// of a pod that is yet to be seen.
func (s *Nodes) watch(ctx context.Context, known func()) error {
	pods, err := s.config.Cache.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	nodes, err := s.config.Cache.GetInformer(ctx, &corev1.Node{})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	podHandler, err := pods.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: s.podChanged, UpdateFunc: func(_, o any) { s.podChanged(o) }, DeleteFunc: s.podGone,
	})
	if err != nil {
		return fmt.Errorf("watching pods: %w", err)
	}
	defer func() { _ = pods.RemoveEventHandler(podHandler) }()
	nodeHandler, err := nodes.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, o any) { s.nodeChanged(o) },
	})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	defer func() { _ = nodes.RemoveEventHandler(nodeHandler) }()
	select {
	case <-podHandler.HasSyncedChecker().Done():
		known()
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

func (s *Nodes) podChanged(o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok || s.byName[pod.Spec.NodeName] == nil {
		return
	}
	if pod.Status.PodIP != "" && !pod.Spec.HostNetwork {
		s.ips.reserve(pod.UID, pod.Status.PodIP)
	}
	k := client.ObjectKeyFromObject(pod)
	s.mu.Lock()
	s.pods[k] = pod
	s.mu.Unlock()
	s.queue.Add(k)
}

func (s *Nodes) podGone(o any) {
	if tomb, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = tomb.Obj
	}
	pod, ok := o.(*corev1.Pod)
	if !ok || s.byName[pod.Spec.NodeName] == nil {
		return
	}
	s.ips.release(pod.UID)
	k := client.ObjectKeyFromObject(pod)
	s.mu.Lock()
	if known := s.pods[k]; known != nil && known.UID == pod.UID {
		delete(s.pods, k)
	}
	s.mu.Unlock()
	s.queue.Forget(k)
}

func (s *Nodes) nodeChanged(o any) {
	n, ok := o.(*corev1.Node)
	if !ok || s.byName[n.Name] == nil || healthy(n) {
		return
	}
	s.mu.Lock()
	s.sick[n.Name] = n
	s.mu.Unlock()
	s.queue.Add(key{Name: n.Name})
}

// write takes keys off the queue until it is shut down.
func (s *Nodes) write(ctx context.Context) {
	for {
		k, shutdown := s.queue.Get()
		if shutdown {
			return
		}
		again, err := s.sync(ctx, k)
		switch {
		case err != nil && ctx.Err() == nil:
			log.FromContext(ctx).V(1).Info("Writing failed, trying again", "key", k, "error", err.Error())
			s.queue.AddRateLimited(k)
		case again > 0:
			s.queue.Forget(k)
			s.queue.AddAfter(k, again)
		default:
			s.queue.Forget(k)
		}
		s.queue.Done(k)
	}
}

// sync makes one pod or node what it should be and returns when to look again.
func (s *Nodes) sync(ctx context.Context, k key) (time.Duration, error) {
	s.mu.Lock()
	pod, sick := s.pods[k], s.sick[k.Name]
	if k.Namespace == "" {
		delete(s.sick, k.Name)
	}
	s.mu.Unlock()
	switch {
	case k.Namespace == "" && sick != nil:
		return 0, client.IgnoreNotFound(s.makeReady(ctx, s.byName[k.Name], sick.DeepCopy()))
	case pod == nil:
		return 0, nil
	case pod.DeletionTimestamp != nil:
		return s.end(ctx, pod)
	}
	return s.writeStatus(ctx, pod)
}

// end removes a pod. If it has finalizers, its final status is written first: a
// Job may wait for that before it counts the pod.
func (s *Nodes) end(ctx context.Context, pod *corev1.Pod) (again time.Duration, err error) {
	if len(pod.Finalizers) > 0 && !terminal(pod.Status.Phase) {
		if again, err = s.update(ctx, pod, stopped(pod, s.config.Clock.Now())); again > 0 || err != nil {
			return again, err
		}
	}
	return 0, s.remove(ctx, pod)
}

// remove ends a pod whose deletion was asked for: its processes, being none, end at once.
func (s *Nodes) remove(ctx context.Context, pod *corev1.Pod) error {
	err := s.config.Client.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}},
		client.GracePeriodSeconds(0), client.Preconditions{UID: &pod.UID})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

func (s *Nodes) writeStatus(ctx context.Context, pod *corev1.Pod) (time.Duration, error) {
	n := s.byName[pod.Spec.NodeName]
	ip := n.ip
	if !pod.Spec.HostNetwork && !terminal(pod.Status.Phase) {
		var ok bool
		if ip, ok = s.ips.assign(pod.UID, s.config.PodCIDR(n.name)); !ok {
			return 0, fmt.Errorf("giving pod %s/%s an address: node %s has none left", pod.Namespace, pod.Name, n.name)
		}
	}
	now := s.config.Clock.Now()
	status, next := statusOf(pod, ip, n.ip, now)
	var again time.Duration
	if !next.IsZero() {
		again = max(next.Sub(now), time.Millisecond)
	}
	if apiequality.Semantic.DeepEqual(status, pod.Status) {
		return again, nil
	}
	if retry, err := s.update(ctx, pod, status); retry > 0 || err != nil {
		return retry, err
	}
	return again, nil
}

// update writes a status, and returns when to try again if that may be soon.
func (s *Nodes) update(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) (retry time.Duration, err error) {
	written := pod.DeepCopy()
	written.Status = status
	err = s.config.Client.Status().Update(ctx, written)
	switch {
	case err == nil || apierrors.IsNotFound(err):
		return 0, nil
	case apierrors.IsConflict(err):
		// The event of the newer version will bring the pod back; the delay is for
		// a conflict whose event was handled before the write.
		return 100 * time.Millisecond, nil
	}
	return 0, fmt.Errorf("writing status of pod %s/%s: %w", pod.Namespace, pod.Name, err)
}

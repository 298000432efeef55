package nodestatus

import (
	"context"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
	"github.com/coracle-k8s/coracle/nodeagent/nodelease"
)

// Config holds the dependencies of a Node; all fields are required unless said otherwise.
type Config struct {
	Client   client.Client
	Cache    cache.Cache
	Recorder record.EventRecorder
	Clock    clock.WithTicker

	Name, Hostname string
	// Labels, Annotations and Taints are put on the node when it is first
	// registered; all but taints also later. Optional.
	Labels      map[string]string
	Annotations map[string]string
	Taints      []corev1.Taint
	// PodCIDRs are set at registration if not empty. Optional.
	PodCIDRs []string

	LeaseDuration, StatusInterval time.Duration
	// Observe returns the contents of the node's status as of now.
	Observe func(ctx context.Context) Desired
	// Changed is called with every version of the node's object.
	Changed func(*corev1.Node)
}

// Node keeps one node's object and lease.
type Node struct {
	config Config
	kick   chan struct{}
	newest chan *corev1.Node
}

// New returns a Node; nothing happens before Start.
func New(config Config) *Node {
	return &Node{config: config, kick: make(chan struct{}, 1), newest: make(chan *corev1.Node, 1)}
}

// Kick has the status looked at now, because something may have changed.
func (n *Node) Kick() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// Start registers the node and keeps it until ctx is done.
func (n *Node) Start(ctx context.Context) error {
	node, err := n.register(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	n.config.Changed(node)
	n.event(corev1.EventTypeNormal, "Starting", "Starting kubelet.")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.watch(ctx) })
	group.Go(func() error { n.renew(ctx, node.UID); return nil })
	group.Go(func() error { n.publish(ctx, node); return nil })
	return group.Wait()
}

// reference returns the node as the kubelet's events name it, by name also as UID.
func (n *Node) reference() *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "Node", Name: n.config.Name, UID: types.UID(n.config.Name)}
}

func (n *Node) event(kind, reason, message string) {
	n.config.Recorder.Event(n.reference(), kind, reason, message)
}

// register creates the node's object, or takes an existing one over, until it
// works or ctx is done.
func (n *Node) register(ctx context.Context) (*corev1.Node, error) {
	for delay := 50 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		node, err := n.tryRegister(ctx)
		if err == nil {
			return node, nil
		}
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return nil, err
		}
		log.FromContext(ctx).V(1).Info("Registering node failed, trying again", "error", err.Error())
		if !n.wait(ctx, delay) {
			return nil, ctx.Err()
		}
	}
}

// attachAnnotation marks that a controller attaches volumes, not the agent.
const attachAnnotation = "volumes.kubernetes.io/controller-managed-attach-detach"

func (n *Node) annotations() map[string]string {
	all := map[string]string{attachAnnotation: "true"}
	maps.Copy(all, n.config.Annotations)
	return all
}

func (n *Node) tryRegister(ctx context.Context) (*corev1.Node, error) {
	status, _ := Status(corev1.NodeStatus{}, n.config.Observe(ctx), n.config.Clock.Now())
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.config.Name, Labels: labels(n.config.Hostname, n.config.Labels), Annotations: n.annotations()},
		Spec:       corev1.NodeSpec{Taints: n.config.Taints},
		Status:     status,
	}
	if len(n.config.PodCIDRs) > 0 {
		node.Spec.PodCIDR, node.Spec.PodCIDRs = n.config.PodCIDRs[0], n.config.PodCIDRs
	}
	err := n.config.Client.Create(ctx, node)
	if err == nil {
		return node, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("registering node %s: %w", n.config.Name, err)
	}
	if err := n.config.Client.Get(ctx, client.ObjectKey{Name: n.config.Name}, node); err != nil {
		return nil, fmt.Errorf("reading node %s: %w", n.config.Name, err)
	}
	before := node.DeepCopy()
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	maps.Copy(node.Labels, labels(n.config.Hostname, n.config.Labels))
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	maps.Copy(node.Annotations, n.annotations())
	if err := n.config.Client.Patch(ctx, node, client.StrategicMergeFrom(before)); err != nil {
		return nil, fmt.Errorf("updating the metadata of node %s: %w", n.config.Name, err)
	}
	return node, nil
}

func (n *Node) wait(ctx context.Context, d time.Duration) bool {
	timer := n.config.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// watch follows the node's object.
func (n *Node) watch(ctx context.Context) error {
	informer, err := n.config.Cache.GetInformer(ctx, &corev1.Node{})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	see := func(o any) {
		node, ok := o.(*corev1.Node)
		if !ok || node.Name != n.config.Name {
			return
		}
		n.config.Changed(node)
		select {
		case <-n.newest:
		default:
		}
		n.newest <- node
		n.Kick()
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: see, UpdateFunc: func(_, o any) { see(o) }})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	defer func() { _ = informer.RemoveEventHandler(handler) }()
	<-ctx.Done()
	return nil
}

// renew keeps the lease until ctx is done.
func (n *Node) renew(ctx context.Context, uid types.UID) {
	lease := nodelease.Lease{Node: n.config.Name, Duration: n.config.LeaseDuration}
	for failed := 0; ; {
		err := lease.Renew(ctx, n.config.Client, uid, n.config.Clock.Now())
		delay := n.config.LeaseDuration / 4
		if err == nil {
			failed = 0
		} else {
			// The lease must not run out for a short trouble: 0.2 s doubling to 7 s.
			delay = min(200*time.Millisecond<<min(failed, 6), 7*time.Second)
			failed++
			log.FromContext(ctx).V(1).Info("Renewing node lease failed, trying again", "error", err.Error())
		}
		if !n.wait(ctx, delay) {
			return
		}
	}
}

// publish writes the node's status when it changes and every StatusInterval.
func (n *Node) publish(ctx context.Context, node *corev1.Node) {
	written := n.config.Clock.Now()
	timer := n.config.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.kick:
		case <-timer.C():
		}
		select {
		case node = <-n.newest:
		default:
		}
		now := n.config.Clock.Now()
		desired := n.config.Observe(ctx)
		status, changed := Status(node.Status, desired, now)
		delay := n.config.StatusInterval
		if changed || now.Sub(written) >= n.config.StatusInterval {
			n.tellReady(node, desired)
			if updated, err := n.patch(ctx, node, status); err != nil {
				log.FromContext(ctx).V(1).Info("Writing node status failed, trying again", "error", err.Error())
				delay = time.Second
			} else {
				node, written = updated, now
			}
		}
		if desired.Health.Problem != "" {
			// No event announces that the runtime or its network comes up.
			delay = min(delay, 250*time.Millisecond)
		}
		if desired.Unsure {
			delay = min(delay, time.Second)
		}
		timer.Stop()
		timer.Reset(delay)
	}
}

// tellReady emits an event when readiness changes.
func (n *Node) tellReady(node *corev1.Node, d Desired) {
	was := nodeapi.IsReady(node)
	switch is := d.Health.Problem == ""; {
	case is && !was:
		n.event(corev1.EventTypeNormal, "NodeReady", "Node "+n.config.Name+" status is now: NodeReady")
	case was && !is:
		n.event(corev1.EventTypeNormal, "NodeNotReady", "Node "+n.config.Name+" status is now: NodeNotReady")
	}
}

func (n *Node) patch(ctx context.Context, node *corev1.Node, status corev1.NodeStatus) (*corev1.Node, error) {
	after := node.DeepCopy()
	after.Status = status
	if err := n.config.Client.Status().Patch(ctx, after, client.StrategicMergeFrom(node)); err != nil {
		return nil, fmt.Errorf("writing status of node %s: %w", n.config.Name, err)
	}
	return after, nil
}

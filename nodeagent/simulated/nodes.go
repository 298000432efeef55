package simulated

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent/nodelease"
)

// node is one simulated node and its lease.
type node struct {
	name, ip string
	// uid is the Node object's, known after registration.
	uid   types.UID
	lease nodelease.Lease
	// due is when the lease is to be renewed, failures how often that failed in a row.
	due      time.Time
	failures int
}

// retryDelay returns how long to wait after n failures: 0.1 s doubling to 6.4 s.
func retryDelay(n int) time.Duration { return 100 * time.Millisecond << min(n-1, 6) }

// object returns the Node as registered.
func (s *Nodes) object(n *node) *corev1.Node {
	labels := map[string]string{
		corev1.LabelHostname: n.name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: runtime.GOARCH, Label: "true",
		// The node lifecycle controller would write each node again for these.
		"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": runtime.GOARCH,
	}
	maps.Copy(labels, s.config.Labels)
	o := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: labels,
			Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"}},
		Spec: corev1.NodeSpec{Taints: s.config.Taints, ProviderID: "coracle://simulated/" + n.name},
	}
	s.fillStatus(&o.Status, n)
	return o
}

func (s *Nodes) fillStatus(status *corev1.NodeStatus, n *node) {
	now := metav1.NewTime(s.config.Clock.Now())
	// Resources that other clients advertise stay, as on a real node.
	status.Capacity, status.Allocatable = maps.Clone(status.Capacity), maps.Clone(status.Allocatable)
	if status.Capacity == nil {
		status.Capacity, status.Allocatable = corev1.ResourceList{}, corev1.ResourceList{}
	}
	maps.Copy(status.Capacity, s.config.Capacity)
	maps.Copy(status.Allocatable, s.config.Capacity)
	status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: n.ip},
		{Type: corev1.NodeHostName, Address: n.name},
	}
	status.NodeInfo = corev1.NodeSystemInfo{
		MachineID: n.name, SystemUUID: n.name, BootID: n.name,
		KernelVersion: "simulated", OSImage: "simulated", ContainerRuntimeVersion: "simulated://1",
		KubeletVersion: s.config.KubeletVersion, OperatingSystem: "linux", Architecture: runtime.GOARCH,
	}
	set := func(t corev1.NodeConditionType, v corev1.ConditionStatus, reason, message string) {
		c := corev1.NodeCondition{Type: t, Status: v, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
		for i := range status.Conditions {
			if old := &status.Conditions[i]; old.Type == t {
				if old.Status == v {
					c.LastTransitionTime = old.LastTransitionTime
				}
				*old = c
				return
			}
		}
		status.Conditions = append(status.Conditions, c)
	}
	set(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available")
	set(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
	set(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available")
	set(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
}

// healthy reports whether the node's conditions are still those that the agent set.
func healthy(o *corev1.Node) bool {
	ready := false
	for _, c := range o.Status.Conditions {
		switch c.Type {
		case corev1.NodeReady:
			ready = c.Status == corev1.ConditionTrue
		case corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure:
			if c.Status != corev1.ConditionFalse {
				return false
			}
		}
	}
	return ready
}

// register creates the node's object, or makes an existing one ready again.
func (s *Nodes) register(ctx context.Context, n *node) error {
	o := s.object(n)
	// After a restart they are there, and reading from the cache costs nothing.
	err := s.config.Client.Get(ctx, client.ObjectKeyFromObject(o), o)
	if apierrors.IsNotFound(err) {
		o = s.object(n)
		err = s.config.Client.Create(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("registering node %s: %w", n.name, err)
	}
	n.uid = o.UID
	if healthy(o) {
		return nil
	}
	return s.makeReady(ctx, n, o)
}

// makeReady writes the status of a node; o is changed.
func (s *Nodes) makeReady(ctx context.Context, n *node, o *corev1.Node) error {
	before := o.DeepCopy()
	s.fillStatus(&o.Status, n)
	if err := s.config.Client.Status().Patch(ctx, o, client.StrategicMergeFrom(before)); err != nil {
		return fmt.Errorf("writing status of node %s: %w", n.name, err)
	}
	return nil
}

// registerAll registers every node, retrying each until ctx is done.
func (s *Nodes) registerAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.config.Writers)
	for _, n := range s.nodes {
		group.Go(func() error {
			for {
				err := s.register(ctx, n)
				if err == nil {
					return nil
				}
				n.failures++
				log.FromContext(ctx).V(1).Info("Registering simulated node failed, trying again", "node", n.name, "error", err.Error())
				if !s.wait(ctx, retryDelay(n.failures)) {
					return ctx.Err()
				}
			}
		})
	}
	return group.Wait()
}

// wait waits by the clock; it returns false when ctx ended first.
func (s *Nodes) wait(ctx context.Context, d time.Duration) bool {
	timer := s.config.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// renewLeases keeps all leases fresh with one timer: renewals are spread evenly
// over the interval, and those due within a 50th of it go together.
func (s *Nodes) renewLeases(ctx context.Context) error {
	interval := s.config.renewInterval()
	now := s.config.Clock.Now()
	for _, n := range s.nodes {
		n.due, n.failures = now, 0
	}
	if err := s.adoptLeases(ctx); err != nil {
		return ignoreEnd(ctx, err)
	}
	spread := false
	for {
		now = s.config.Clock.Now()
		s.renewDue(ctx, now.Add(interval/50))
		now = s.config.Clock.Now()
		next := now.Add(interval)
		for i, n := range s.nodes {
			switch {
			case n.failures > 0:
				n.due = now.Add(retryDelay(n.failures))
			case !spread:
				// The first round is all at once; this deals the second out.
				n.due = now.Add(interval/2 + interval/2*time.Duration(i+1)/time.Duration(len(s.nodes)))
			}
			if n.due.Before(next) {
				next = n.due
			}
		}
		spread = true
		if !s.wait(ctx, max(next.Sub(now), interval/50)) {
			return nil
		}
	}
}

// adoptLeases takes over the leases that are stored.
func (s *Nodes) adoptLeases(ctx context.Context) error {
	var stored coordinationv1.LeaseList
	if err := s.config.Client.List(ctx, &stored, client.InNamespace(corev1.NamespaceNodeLease), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing leases: %w", err)
	}
	for i := range stored.Items {
		if n := s.byName[stored.Items[i].Name]; n != nil {
			n.lease.Adopt(&stored.Items[i], n.uid)
		}
	}
	return nil
}

// renewDue renews, with bounded concurrency, every lease due until the given
// time and sets when it is due next.
func (s *Nodes) renewDue(ctx context.Context, until time.Time) {
	var group sync.WaitGroup
	// More than other writers: where the server is slow they must not come late.
	slots := make(chan struct{}, 4*s.config.Writers)
	interval := s.config.renewInterval()
	for _, n := range s.nodes {
		if n.due.After(until) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			if err := n.lease.Renew(ctx, s.config.Client, n.uid, s.config.Clock.Now()); err != nil {
				n.failures++
				log.FromContext(ctx).V(1).Info("Renewing lease failed", "node", n.name, "error", err.Error())
				return
			}
			n.failures = 0
			jitter := time.Duration(rand.Int64N(int64(interval)/25 + 1)) //nolint:gosec // spreads load
			n.due = s.config.Clock.Now().Add(interval - jitter)
		})
	}
	group.Wait()
}

package cluster

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/peers"
	"github.com/coracle-k8s/coracle/cluster/node"
)

// addDuties makes mgr run what one server does for all: at once, or whenever
// this server is elected.
func (c *Cluster) addDuties(mgr manager.Manager) error {
	c.duties = []*duty{{lease: "kube-controller-manager", component: "kube-controller-manager", begin: c.addControllers}}
	if *c.config.Scheduler.Enabled {
		c.duties = append(c.duties, &duty{lease: "kube-scheduler", component: "default-scheduler", begin: c.addScheduler})
	}
	for _, d := range c.duties {
		part, err := c.onDuty(d, mgr)
		if err != nil {
			return err
		}
		if err := mgr.Add(part); err != nil {
			return fmt.Errorf("adding the duty of %s: %w", d.lease, err)
		}
	}
	return nil
}

// addPeer makes this server known among several ones.
func (c *Cluster) addPeer(mgr manager.Manager) error {
	if !*c.config.LeaderElection.LeaderElect {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("naming this server: %w", err)
	}
	member, err := peers.New(peers.Config{
		Server: c.server.RESTConfig(), Host: host, Instance: c.config.DataDir, Address: c.advertised(),
		LeaseDuration: c.config.LeaderElection.LeaseDuration.Duration.Truncate(time.Second), Clock: c.options.clock,
		Report: func(err error) { c.options.logger.Error(err, "Several servers") },
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(member); err != nil {
		return fmt.Errorf("adding the server's part among several: %w", err)
	}
	return nil
}

func (c *Cluster) onDuty(d *duty, mgr manager.Manager) (manager.Runnable, error) {
	if *c.config.LeaderElection.LeaderElect {
		return c.newCandidate(d, mgr)
	}
	t, err := c.newTerm(d, mgr)
	if err != nil {
		return nil, err
	}
	d.current.Store(t)
	return manager.RunnableFunc(t.run), nil
}

// candidate stands for election to a duty, and does it while it is elected.
//
//  1. A term begins after the Lease was won and ends when it was not renewed for
//     RenewDeadline, LeaseDuration - RenewDeadline before another server may win.
//     All that its parts ask of the server carries the term's context, so
//     nothing of it is sent from then on; the API server and the nodes of this
//     process have no part in it and go on.
//  2. The Lease is released only after the term has ended.
//  3. One that stopped leading stands again once its term has ended. Should that
//     take longer than partsStopTimeout the process fails, as upstream's does
//     at once.
type candidate struct {
	duty     *duty
	settings v1alpha1.LeaderElection
	lock     resourcelock.Interface
	term     func() (*term, error)
	logger   logr.Logger
	leading  prometheus.Gauge
	// leader is the identity of the last leader seen.
	leader atomic.Pointer[string]
}

func (c *Cluster) newCandidate(d *duty, mgr manager.Manager) (*candidate, error) {
	settings := c.config.LeaderElection
	config := c.server.RESTConfig()
	// A request that hangs must not cost the Lease.
	config.Timeout = max(settings.RenewDeadline.Duration/2, time.Second)
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for leader election: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("naming a candidate: %w", err)
	}
	k := &candidate{duty: d, settings: settings, logger: c.options.logger.WithValues("lease", d.lease)}
	k.lock, err = resourcelock.New(resourcelock.LeasesResourceLock, metav1.NamespaceSystem, d.lease, kube.CoreV1(), kube.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID()), EventRecorder: mgr.GetEventRecorderFor(d.component)})
	if err != nil {
		return nil, fmt.Errorf("making the lock %s: %w", d.lease, err)
	}
	k.term = func() (*term, error) { return c.newTerm(d, mgr) }
	k.leading = prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "leader_election_master_status",
		Help:        "[ALPHA] Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease. Please make sure to group by name.",
		ConstLabels: prometheus.Labels{"name": d.lease},
	})
	if err := c.metrics.Register(k.leading); err != nil {
		return nil, fmt.Errorf("registering the metrics of leader election: %w", err)
	}
	d.election = k
	return k, nil
}

// Start implements manager.Runnable.
func (k *candidate) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := k.stand(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stand waits to be elected and does the duty until it is over.
func (k *candidate) stand(ctx context.Context) error {
	// The elector must not end before the term: it lives as long as this function.
	election, resign := context.WithCancel(klog.NewContext(context.WithoutCancel(ctx), k.logger))
	defer resign()
	won := make(chan context.Context, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: k.lock, Name: k.duty.lease,
		LeaseDuration: k.settings.LeaseDuration.Duration, RenewDeadline: k.settings.RenewDeadline.Duration, RetryPeriod: k.settings.RetryPeriod.Duration,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { won <- ctx },
			OnStoppedLeading: func() {},
			OnNewLeader:      func(id string) { k.leader.Store(&id) },
		},
		// The library would release the Lease before it reports the end, and after losing it.
		ReleaseOnCancel: false,
	})
	if err != nil {
		return fmt.Errorf("standing for election to %s: %w", k.duty.lease, err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		elector.Run(election)
	}()
	var leading context.Context
	select {
	case leading = <-won:
		err = k.lead(ctx, leading)
	case <-ctx.Done():
	}
	lost := leading != nil && leading.Err() != nil
	resign()
	<-over
	if !lost && elector.IsLeader() {
		k.release()
	}
	return err
}

// lead does the duty until leading ends, which is when the Lease was lost, or
// ctx, which is when this server stops.
func (k *candidate) lead(ctx, leading context.Context) error {
	run, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(leading, end)()
	t, err := k.term()
	if err != nil {
		return fmt.Errorf("beginning the duty of %s: %w", k.duty.lease, err)
	}
	k.duty.current.Store(t)
	k.leading.Set(1)
	ended := make(chan error, 1)
	go func() { ended <- t.run(run) }()
	select {
	case err = <-ended:
	case <-run.Done():
		k.leading.Set(0)
		select {
		case err = <-ended:
		case <-time.After(node.StopTimeout):
			return fmt.Errorf("stopping the duty of %s: it has not ended after %s", k.duty.lease, node.StopTimeout)
		}
	}
	k.leading.Set(0)
	k.duty.current.Store(nil)
	if err != nil {
		return fmt.Errorf("doing the duty of %s: %w", k.duty.lease, err)
	}
	return nil
}

// releaseTimeout bounds the wait for a Lease's release: an etcd that does not
// answer must not hold up a stop, and others win when the Lease has run out.
const releaseTimeout = 3 * time.Second

// release lets others win at once.
func (k *candidate) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	err := k.tryRelease(ctx)
	for apierrors.IsConflict(err) { // the last renewal was given up, but the server went on with it
		err = k.tryRelease(ctx)
	}
	if err != nil {
		k.logger.Error(err, "Releasing the Lease")
	}
}

func (k *candidate) tryRelease(ctx context.Context) error {
	record, _, err := k.lock.Get(ctx)
	if err != nil || record.HolderIdentity != k.lock.Identity() {
		return err
	}
	now := metav1.Now()
	return k.lock.Update(ctx, resourcelock.LeaderElectionRecord{
		LeaseDurationSeconds: 1, RenewTime: now, AcquireTime: now, LeaderTransitions: record.LeaderTransitions,
	})
}

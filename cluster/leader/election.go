package leader

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
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// candidate stands for election to a duty, and does it while it is elected.
//
//  1. A term begins after the Lease was won and ends when it was not renewed for
//     RenewDeadline, LeaseDuration - RenewDeadline before another server may win.
//     All that its parts ask of the server carries the term's context, so
//     nothing of it is sent from then on; the API server and the nodes of this
//     process have no part in it and go on.
//  2. The Lease is released only after the term has ended.
//  3. One that stopped leading stands again once its term has ended. Should that
//     take longer than Config.StopTimeout the process fails, as upstream's does
//     at once.
type candidate struct {
	config  Config
	duty    *duty
	lock    resourcelock.Interface
	logger  logr.Logger
	leading prometheus.Gauge
	// leader is the identity of the last leader seen.
	leader atomic.Pointer[string]
}

func newCandidate(c Config, d *duty) (*candidate, error) {
	server := rest.CopyConfig(c.Server)
	// A request that hangs must not cost the Lease.
	server.Timeout = max(c.Election.RenewDeadline.Duration/2, time.Second)
	kube, err := kubernetes.NewForConfig(server)
	if err != nil {
		return nil, fmt.Errorf("making a client for leader election: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("naming a candidate: %w", err)
	}
	k := &candidate{config: c, duty: d, logger: c.Logger.WithValues("lease", d.Lease)}
	k.lock, err = resourcelock.New(resourcelock.LeasesResourceLock, metav1.NamespaceSystem, d.Lease, kube.CoreV1(), kube.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID()), EventRecorder: c.Manager.GetEventRecorderFor(d.Component)})
	if err != nil {
		return nil, fmt.Errorf("making the lock %s: %w", d.Lease, err)
	}
	k.leading = prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "leader_election_master_status",
		Help:        "[ALPHA] Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master. 'name' is the string used to identify the lease. Please make sure to group by name.",
		ConstLabels: prometheus.Labels{"name": d.Lease},
	})
	if err := c.Metrics.Register(k.leading); err != nil {
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
		Lock: k.lock, Name: k.duty.Lease,
		LeaseDuration: k.config.Election.LeaseDuration.Duration, RenewDeadline: k.config.Election.RenewDeadline.Duration, RetryPeriod: k.config.Election.RetryPeriod.Duration,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { won <- ctx },
			OnStoppedLeading: func() {},
			OnNewLeader:      func(id string) { k.leader.Store(&id) },
		},
		// The library would release the Lease before it reports the end, and after losing it.
		ReleaseOnCancel: false,
	})
	if err != nil {
		return fmt.Errorf("standing for election to %s: %w", k.duty.Lease, err)
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
	t, err := newTerm(k.config, k.duty)
	if err != nil {
		return fmt.Errorf("beginning the duty of %s: %w", k.duty.Lease, err)
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
		case <-time.After(k.config.StopTimeout):
			return fmt.Errorf("stopping the duty of %s: it has not ended after %s", k.duty.Lease, k.config.StopTimeout)
		}
	}
	k.leading.Set(0)
	k.duty.current.Store(nil)
	if err != nil {
		return fmt.Errorf("doing the duty of %s: %w", k.duty.Lease, err)
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

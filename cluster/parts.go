package cluster

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/cluster/informers"
	"github.com/coracle-k8s/coracle/cluster/node"
	"github.com/coracle-k8s/coracle/cluster/queue"
	"github.com/coracle-k8s/coracle/scheduler"
	schedulerqueue "github.com/coracle-k8s/coracle/scheduler/queue"
)

// parts are controllers, scheduler and nodes: everything that runs on the one
// manager with its one cache.
type parts struct {
	manager manager.Manager
	cancel  context.CancelFunc
	done    chan struct{}
	err     error
	// cleanup undoes, in reverse order, what the nodes did to the host.
	cleanup []func(context.Context)
}

func (c *Cluster) startParts(ctx context.Context) (*parts, error) {
	// The libraries log to the context's logger, else to a global one that
	// complains when it was not set.
	run, cancel := context.WithCancel(logr.NewContext(context.WithoutCancel(ctx), c.options.logger))
	mgr, err := c.newManager(run)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	p := &parts{manager: mgr, cancel: cancel, done: make(chan struct{})}
	c.initializeCloud(run)
	if err := c.addParts(ctx, p); err != nil {
		cancel()
		close(p.done)
		p.clean()
		return nil, err
	}
	go func() {
		defer close(p.done)
		if err := mgr.Start(run); err != nil {
			p.err = fmt.Errorf("running the controllers: %w", err)
		}
	}()
	return p, nil
}

func (c *Cluster) addParts(ctx context.Context, p *parts) error {
	if err := addIndexes(ctx, p.manager.GetFieldIndexer()); err != nil {
		return err
	}
	if err := c.addDuties(p.manager); err != nil {
		return err
	}
	if err := c.addPeer(p.manager); err != nil {
		return err
	}
	if err := c.addSimulatedNodes(p.manager); err != nil {
		return err
	}
	if err := c.addRemover(p.manager); err != nil {
		return err
	}
	if err := p.manager.Add(agentAccess{p.manager.GetClient()}); err != nil {
		return fmt.Errorf("adding the agents' access: %w", err)
	}
	return c.addNodes(ctx, p)
}

func (p *parts) stop() {
	p.cancel()
	<-p.done
	p.clean()
}

func (p *parts) clean() {
	ctx, cancel := context.WithTimeout(context.Background(), node.StopTimeout)
	defer cancel()
	for i := len(p.cleanup) - 1; i >= 0; i-- {
		p.cleanup[i](ctx)
	}
}

// newManager makes the manager of all parts, which ctx ends.
func (c *Cluster) newManager(ctx context.Context) (manager.Manager, error) {
	grace := node.StopTimeout
	yes := true
	config := c.server.RESTConfig()
	config.Wrap(newRequests(c.metrics).wrap)
	return manager.New(config, manager.Options{
		Scheme:         c.clientScheme,
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return c.server.Mapper(), nil },
		NewCache: func(config *rest.Config, options cache.Options) (cache.Cache, error) {
			return c.newCache(ctx, config, options)
		},
		Cache: cache.Options{
			// Nothing here reads managed fields, which are most of a small object.
			DefaultTransform: cache.TransformStripManagedFields(),
		},
		Logger:                  c.options.logger,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: &grace,
		Controller:              ctrlconfig.Controller{SkipNameValidation: &yes, Logger: c.options.logger},
	})
}

// newCache makes the manager's cache, see cache.NewCacheFunc. The manager runs until
// ctx ends.
func (c *Cluster) newCache(ctx context.Context, config *rest.Config, options cache.Options) (cache.Cache, error) {
	return informers.New(config, options, informers.Config{
		Stopped: ctx, Scheme: c.clientScheme, Logger: c.options.logger, Share: c.share, BeforeFirst: c.server.BeforeFirst,
	})
}

// share implements informers.Sharing: objects of typed informers are those of the server.
func (c *Cluster) share(example runtime.Object, otherwise toolscache.ListerWatcherWithContext) toolscache.ListerWatcherWithContext {
	kind, err := apiutil.GVKForObject(example, c.clientScheme)
	if err != nil {
		return otherwise // not a kind of the scheme
	}
	return c.server.Share(kind, example, otherwise)
}

func addIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range []struct {
		object client.Object
		name   string
		values client.IndexerFunc
	}{
		{&corev1.Pod{}, index.PodNode, index.ByNode},
		{&corev1.Pod{}, index.Owner, index.ByOwner},
		{&corev1.Pod{}, index.PodOrphan, index.ByOrphan},
		{&corev1.Pod{}, index.PodClaim, index.ByClaim},
		{&corev1.Pod{}, index.PodClaimTemplate, index.ByClaimTemplate},
		{&corev1.Pod{}, index.PodVolumeClaim, index.ByVolumeClaim},
		{&storagev1.VolumeAttachment{}, index.AttachmentNode, index.ByAttachmentNode},
		{&storagev1.VolumeAttachment{}, index.AttachmentVolume, index.ByAttachmentVolume},
		{&resourcev1.ResourceClaim{}, index.Owner, index.ByOwner},
		{&appsv1.ReplicaSet{}, index.Owner, index.ByOwner},
		{&appsv1.ReplicaSet{}, index.PodOrphan, index.ByOrphan},
		{&appsv1.ControllerRevision{}, index.Owner, index.ByOwner},
		{&appsv1.ControllerRevision{}, index.PodOrphan, index.ByOrphan},
		{&batchv1.Job{}, index.Owner, index.ByOwner},
	} {
		if err := indexer.IndexField(ctx, i.object, i.name, i.values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", i.object, i.name, err)
		}
	}
	return nil
}

func (c *Cluster) addScheduler(t *term) error {
	s, err := scheduler.New(scheduler.Config{
		Client: t.GetClient(), Cache: t.GetCache(), Recorder: t.GetEventRecorder(scheduler.DefaultName), Clock: c.options.clock, Metrics: t.metrics,
		Workloads: []client.Object{&corev1.ReplicationController{}, &appsv1.ReplicaSet{}, &appsv1.StatefulSet{}},
	})
	if err != nil {
		return err
	}
	t.states.tell(scheduler.DefaultName, func() queue.Numbers { return schedulerNumbers(s) })
	return t.Add(s)
}

// schedulerNumbers returns the scheduler's numbers in the words of controllers'
// queues.
func schedulerNumbers(s *scheduler.Scheduler) queue.Numbers {
	idle, c := s.Idle(), s.Counts()
	n := queue.Numbers{
		Ready: c[schedulerqueue.Active], Busy: c[schedulerqueue.InFlight],
		Active:  s.Active(),
		Delayed: c[schedulerqueue.Backoff] + c[schedulerqueue.Unschedulable] + c[schedulerqueue.Gated],
	}
	if !idle && n.Idle() {
		n.Busy = 1 // it writes what it found
	}
	return n
}

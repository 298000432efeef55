package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/scheduler/cache"
	"github.com/coracle-k8s/coracle/scheduler/devices"
	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/queue"
	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

// DefaultName is the scheduler that pods get which name none.
const DefaultName = "default-scheduler"

// Config holds the dependencies and settings of a Scheduler. Client, Cache and
// Recorder are required.
type Config struct {
	// Client writes bindings, pod status and, when preempting, deletes pods.
	Client client.Client
	// Cache has informers for Pod, Node, Namespace, Service, each of Workloads, and
	// the kinds of storage: PersistentVolumeClaim, PersistentVolume, StorageClass,
	// CSINode, CSIDriver, CSIStorageCapacity and VolumeAttachment.
	Cache ctrlcache.Cache
	// Recorder writes events.k8s.io/v1 events; its reporting controller should be
	// SchedulerName.
	Recorder events.EventRecorder
	// Clock is the real one if nil.
	Clock clock.WithTicker
	// SchedulerName selects the pods to schedule, by spec.schedulerName; DefaultName if empty.
	SchedulerName string
	// Workloads are kinds whose pods are spread by default over nodes and zones,
	// besides pods of Services. Of *v1.ReplicationController, *appsv1.ReplicaSet
	// and *appsv1.StatefulSet, those that the API serves; the first two if nil.
	Workloads []client.Object
	// Binders is how many bindings are written at a time; 16 if zero.
	Binders int
	// PercentageOfNodesToScore ends the search for nodes early; 0 adapts it to
	// the size of the cluster, from 50 % down to 5 %.
	PercentageOfNodesToScore int
	// Seed breaks ties between nodes of equal score, for reproducible tests;
	// random if zero.
	Seed uint64
	// Metrics registers upstream's metrics; none if nil.
	Metrics prometheus.Registerer
}

func (c Config) complete() (Config, error) {
	var errs []error
	if c.Client == nil || c.Cache == nil || c.Recorder == nil {
		errs = append(errs, errors.New("Client, Cache and Recorder are required"))
	}
	if c.PercentageOfNodesToScore < 0 || c.PercentageOfNodesToScore > 100 {
		errs = append(errs, fmt.Errorf("PercentageOfNodesToScore: %d is not within 0..100", c.PercentageOfNodesToScore))
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.SchedulerName == "" {
		c.SchedulerName = DefaultName
	}
	if c.Workloads == nil {
		c.Workloads = defaultWorkloads()
	}
	if c.Binders == 0 {
		c.Binders = 16
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64() //nolint:gosec // breaks ties
	}
	return c, errors.Join(errs...)
}

// Scheduler is a manager.Runnable.
type Scheduler struct {
	cfg       Config
	cache     *cache.Cache
	snapshot  *cache.Snapshot
	queue     *queue.Queue
	nominator *queue.Nominator
	framework *framework.Framework
	objects   *objects
	volumes   *volumes.Store
	devices   *devices.Store
	status    *statusWriter
	metrics   *metrics
	active    atomic.Int64 // when a pod was last tried, in nanoseconds of real time
	diagnoses diagnoses
	search    search
	bindings  chan *binding
	// waiting are the bindings that wait for something besides the API.
	waiting waiting
}

// New builds a Scheduler; nothing runs before Start.
func New(cfg Config) (*Scheduler, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("configuring the scheduler: %w", err)
	}
	s := &Scheduler{
		cfg:       cfg,
		cache:     cache.New(),
		snapshot:  cache.NewSnapshot(),
		nominator: queue.NewNominator(),
		objects:   newObjects(),
		volumes:   volumes.New(),
		devices:   devices.New(),
		waiting:   newWaiting(),
		diagnoses: newDiagnoses(),
		search:    newSearch(cfg.Seed, cfg.PercentageOfNodesToScore),
		bindings:  make(chan *binding),
		metrics:   newMetrics(cfg.SchedulerName),
	}
	s.status = newStatusWriter(cfg.Client)
	if s.framework, err = s.newFramework(); err != nil {
		return nil, fmt.Errorf("building the scheduler: %w", err)
	}
	hints, err := s.framework.QueueingHints(context.Background())
	if err != nil {
		return nil, fmt.Errorf("building the scheduler: %w", err)
	}
	s.queue = queue.New(queue.Config{
		Less: s.framework.Less, PreEnqueue: s.framework.PreEnqueuePlugins(), Hints: hints,
		Clock: cfg.Clock, Nominator: s.nominator, OnMove: s.metrics.moved,
	})
	if cfg.Metrics != nil {
		if err := s.metrics.register(cfg.Metrics, s.queue.Counts, s.cache.Counts); err != nil {
			return nil, fmt.Errorf("registering metrics of the scheduler: %w", err)
		}
	}
	return s, nil
}

// Start schedules until ctx is done, then waits for bindings that were begun.
func (s *Scheduler) Start(ctx context.Context) error {
	unwatch, err := s.watch(ctx)
	defer unwatch()
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("starting the scheduler: %w", err)
	}
	var running sync.WaitGroup
	running.Go(func() { s.queue.Run(ctx) }) // closes the queue, which ends cycles
	running.Go(func() { s.status.run(ctx) })
	var binders sync.WaitGroup
	for range s.cfg.Binders {
		binders.Go(func() {
			for b := range s.bindings {
				s.bind(ctx, b)
			}
		})
	}
	for {
		p, ok := s.queue.Pop()
		if !ok {
			break
		}
		s.active.Store(time.Now().UnixNano())
		s.scheduleOne(ctx, p)
	}
	close(s.bindings)
	binders.Wait()
	s.waiting.done.Wait()
	running.Wait()
	return nil
}

// responsible reports whether the pod asks for this scheduler.
func (s *Scheduler) responsible(pod *v1.Pod) bool {
	return pod.Spec.SchedulerName == s.cfg.SchedulerName
}

// Wake retries every pod that waits, whatever for: it is called after a change without an event.
func (s *Scheduler) Wake(ctx context.Context) {
	s.queue.Happened(ctx, fwk.ClusterEvent{Resource: fwk.WildCard, ActionType: fwk.All, CustomLabel: queue.EventForceActivate}, nil, nil)
}

// Counts returns the numbers of pods by where they are in the queue.
func (s *Scheduler) Counts() map[queue.Place]int { return s.queue.Counts() }

// Active returns when a pod was last tried, in real time; zero if none was.
func (s *Scheduler) Active() time.Time {
	if at := s.active.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Idle reports whether nothing is being scheduled or bound and nothing waits
// for its turn; pods that wait for an event, a gate or a backoff do not count.
func (s *Scheduler) Idle() bool {
	c := s.queue.Counts()
	return c[queue.Active] == 0 && c[queue.InFlight] == 0 && s.status.idle()
}

func (s *Scheduler) since(t time.Time) float64 { return s.cfg.Clock.Since(t).Seconds() }

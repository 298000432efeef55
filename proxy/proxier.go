//go:build linux

package proxy

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/proxy/model"
	"github.com/coracle-k8s/coracle/proxy/nft"
)

// Proxier keeps the table of one node. It is a manager.Runnable.
type Proxier struct {
	cfg     Config
	table   *nft.Table
	metrics *metrics
	health  *healthServer
	wake    chan struct{}

	mu      sync.Mutex
	tracker *model.Tracker
	node    model.Node

	// Of the sync loop only:

	// pending are changes that no transaction has taken yet.
	pending map[types.NamespacedName]*model.Service
	// flows are the UDP addresses of the Services in the table.
	flows map[types.NamespacedName]udpFlows
}

// New returns a Proxier. Nothing happens before Start.
func New(cfg Config) (*Proxier, error) {
	cfg, rules, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Metrics, cfg.NodeName)
	if err != nil {
		return nil, err
	}
	return &Proxier{
		cfg:     cfg,
		table:   nft.NewTable(cfg.NFT, rules),
		metrics: m,
		health:  newHealthServer(cfg.Listen, cfg.Log),
		wake:    make(chan struct{}, 1),
		tracker: model.NewTracker(),
		node:    model.Node{Name: cfg.NodeName},
		pending: map[types.NamespacedName]*model.Service{},
		flows:   map[types.NamespacedName]udpFlows{},
	}, nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*Proxier) NeedLeaderElection() bool { return false }

// Start follows Services until ctx is done. It returns an error only if the
// cache cannot be followed; failed writes are tried again.
func (p *Proxier) Start(ctx context.Context) error {
	stop, synced, err := p.follow(ctx)
	defer stop()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	for _, done := range synced {
		select {
		case <-done:
		case <-ctx.Done():
			return nil
		}
	}
	defer p.health.close()
	p.loop(ctx)
	return nil
}

// Cleanup removes the table, and with it every rule. Call it when the node
// goes for good, after Start has returned.
func (p *Proxier) Cleanup(ctx context.Context) error { return p.table.Cleanup(ctx) }

// follow registers for events; synced closes for each kind once all existing
// objects have been delivered.
func (p *Proxier) follow(ctx context.Context) (stop func(), synced []<-chan struct{}, err error) {
	var removals []func()
	stop = func() {
		for _, remove := range removals {
			remove()
		}
	}
	for _, kind := range []struct {
		object  client.Object
		handler func(obj any, gone bool)
	}{
		{&corev1.Service{}, p.onService},
		{&discoveryv1.EndpointSlice{}, p.onSlice},
		{&corev1.Node{}, p.onNode},
	} {
		informer, err := p.cfg.Cache.GetInformer(ctx, kind.object)
		if err != nil {
			return stop, nil, fmt.Errorf("following %T: %w", kind.object, err)
		}
		registration, err := informer.AddEventHandler(handlerOf(kind.handler))
		if err != nil {
			return stop, nil, fmt.Errorf("following %T: %w", kind.object, err)
		}
		removals = append(removals, func() { _ = informer.RemoveEventHandler(registration) })
		synced = append(synced, registration.HasSyncedChecker().Done())
	}
	return stop, synced, nil
}

// handlerOf calls fn with an object's newest state, or at its end.
func handlerOf(fn func(obj any, gone bool)) toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { fn(obj, false) },
		UpdateFunc: func(old, obj any) {
			a, okA := old.(*discoveryv1.EndpointSlice)
			b, okB := obj.(*discoveryv1.EndpointSlice)
			if okA && okB && a.Labels[discoveryv1.LabelServiceName] != b.Labels[discoveryv1.LabelServiceName] {
				fn(old, true)
			}
			fn(obj, false)
		},
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			fn(obj, true)
		},
	}
}

func (p *Proxier) onService(obj any, gone bool) {
	svc, ok := obj.(*corev1.Service)
	if !ok {
		return
	}
	name := client.ObjectKeyFromObject(svc)
	if gone {
		svc = nil
	}
	p.mu.Lock()
	p.tracker.SetService(name, svc)
	p.mu.Unlock()
	p.changed()
}

func (p *Proxier) onSlice(obj any, gone bool) {
	slice, ok := obj.(*discoveryv1.EndpointSlice)
	if !ok {
		return
	}
	p.mu.Lock()
	ours := p.tracker.SetSlice(slice, gone)
	p.mu.Unlock()
	if ours {
		p.changed()
	}
}

func (p *Proxier) onNode(obj any, gone bool) {
	node, ok := obj.(*corev1.Node)
	if !ok || gone || node.Name != p.cfg.NodeName {
		return
	}
	zone := node.Labels[corev1.LabelTopologyZone]
	p.mu.Lock()
	moved := zone != p.node.Zone
	if moved {
		p.node.Zone = zone
		p.tracker.TouchAll()
	}
	p.mu.Unlock()
	if moved {
		p.changed()
	}
}

func (p *Proxier) changed() {
	p.metrics.lastQueued.Set(float64(p.cfg.Clock.Now().UnixNano()) / 1e9)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Retries of failed writes back off between these.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// loop syncs once and then whenever there is something new.
func (p *Proxier) loop(ctx context.Context) {
	retry := firstRetry
	for {
		err := p.sync(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.metrics.failures.Inc()
			p.cfg.Log.Error(err, "Syncing proxy rules", "retryAfter", retry)
			if !p.sleep(ctx, retry) {
				return
			}
			retry = min(2*retry, lastRetry)
			continue
		}
		retry = firstRetry
		// The pause comes after a write, so that a lone change is not delayed.
		if !p.sleep(ctx, p.cfg.MinSyncInterval) {
			return
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (p *Proxier) sleep(ctx context.Context, d time.Duration) bool {
	timer := p.cfg.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
		return false
	}
}

// sync writes what has changed.
func (p *Proxier) sync(ctx context.Context) error {
	start := p.cfg.Clock.Now()
	p.mu.Lock()
	changes := p.tracker.Take(p.node, p.cfg.Family)
	p.mu.Unlock()
	for name, svc := range changes {
		p.pending[name] = svc
	}
	result, err := p.table.Apply(ctx, p.pending)
	if err != nil {
		return err
	}
	done := p.pending
	p.pending = map[types.NamespacedName]*model.Service{}
	p.metrics.synced(p.cfg.Clock.Now(), p.cfg.Clock.Since(start), result.Full)
	p.health.set(done)
	p.forgetStale(done)
	return nil
}

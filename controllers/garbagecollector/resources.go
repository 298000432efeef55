package garbagecollector

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Resources lists the kinds that the collector monitors: every one whose
// objects can be listed, watched and deleted, but for events, which own
// nothing. It may leave out kinds that have no objects, until they do.
type Resources interface {
	// Kinds returns the kinds to monitor now.
	Kinds() []schema.GroupVersionKind
	// Changed returns a channel that is closed when Kinds changes after this
	// call; nil means it never does.
	Changed() <-chan struct{}
}

// monitors keeps one event handler per monitored kind.
type monitors struct {
	cache  cache.Cache
	scheme *runtime.Scheme
	// on and gone are called by informers, one event of a kind at a time.
	on   func(schema.GroupVersionKind, metav1.Object)
	gone func(schema.GroupVersionKind, metav1.Object)

	mu      sync.Mutex
	running map[schema.GroupVersionKind]monitor
}

type monitor struct {
	object   client.Object
	informer cache.Informer
	handle   toolscache.ResourceEventHandlerRegistration
}

// sync makes the monitored kinds those given and returns the kinds it dropped. A
// kind whose informer cannot be had is reported and left out; incomplete then asks
// to try again, as a client may learn of a new kind later than the collector.
func (m *monitors) sync(ctx context.Context, kinds []schema.GroupVersionKind) (dropped []schema.GroupVersionKind, incomplete bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := make(map[schema.GroupVersionKind]bool, len(kinds))
	for _, gvk := range kinds {
		wanted[gvk] = true
		if _, ok := m.running[gvk]; ok {
			continue
		}
		mon, err := m.start(ctx, gvk)
		if err != nil {
			log.FromContext(ctx).V(1).Info("not monitored for garbage collection yet", "kind", gvk, "error", err.Error())
			incomplete = true
			continue
		}
		m.running[gvk] = mon
	}
	for gvk := range m.running {
		if !wanted[gvk] {
			m.stop(ctx, gvk)
			dropped = append(dropped, gvk)
		}
	}
	return dropped, incomplete
}

// kinds returns the monitored kinds.
func (m *monitors) kinds() []schema.GroupVersionKind {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.running))
}

func (m *monitors) start(ctx context.Context, gvk schema.GroupVersionKind) (monitor, error) {
	mon := monitor{object: m.prototype(gvk)}
	var err error
	mon.informer, err = m.cache.GetInformer(ctx, mon.object, cache.BlockUntilSynced(false))
	if err != nil {
		return monitor{}, fmt.Errorf("getting the informer of %s: %w", gvk, err)
	}
	mon.handle, err = mon.informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { m.notify(gvk, o, m.on) },
		UpdateFunc: func(before, after any) {
			if changed(before, after) {
				m.notify(gvk, after, m.on)
			}
		},
		DeleteFunc: func(o any) {
			if tomb, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
				o = tomb.Obj
			}
			m.notify(gvk, o, m.gone)
		},
	})
	if err != nil {
		return monitor{}, fmt.Errorf("adding a handler to the informer of %s: %w", gvk, err)
	}
	return mon, nil
}

// prototype chooses the informer: the typed one that other controllers share if
// the scheme has the kind, else one of metadata only. No other controller watches the
// definitions of the API, whose schemas are large.
func (m *monitors) prototype(gvk schema.GroupVersionKind) client.Object {
	definition := gvk.Group == apiextensions.GroupName || gvk.Group == apiregistration.GroupName
	if o, err := m.scheme.New(gvk); err == nil && !definition {
		if typed, ok := o.(client.Object); ok {
			return typed
		}
	}
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(gvk)
	return meta
}

func (m *monitors) notify(gvk schema.GroupVersionKind, o any, f func(schema.GroupVersionKind, metav1.Object)) {
	if obj, ok := o.(metav1.Object); ok {
		f(gvk, obj)
	}
}

// stop removes the handler, and the informer unless it is a typed one: other
// controllers share those.
func (m *monitors) stop(ctx context.Context, gvk schema.GroupVersionKind) {
	mon := m.running[gvk]
	delete(m.running, gvk)
	if err := mon.informer.RemoveEventHandler(mon.handle); err != nil {
		log.FromContext(ctx).Error(err, "no longer monitoring a kind", "kind", gvk)
	}
	if _, metadata := mon.object.(*metav1.PartialObjectMetadata); metadata {
		if err := m.cache.RemoveInformer(ctx, mon.object); err != nil {
			log.FromContext(ctx).Error(err, "removing an informer", "kind", gvk)
		}
	}
}

// wait returns when every monitored kind has been listed, ctx is done or limit
// has passed; a kind whose list fails must not keep the others from being
// collected, and its objects count as unknown meanwhile.
func (m *monitors) wait(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m.mu.Lock()
	synced := make([]toolscache.DoneChecker, 0, len(m.running))
	for _, mon := range m.running {
		synced = append(synced, mon.handle.HasSyncedChecker())
	}
	m.mu.Unlock()
	for _, s := range synced {
		select {
		case <-s.Done():
		case <-ctx.Done():
			return
		}
	}
}

// changed reports whether an update matters to the graph. The resource version
// alone does not make it worth an event, but for decisions it must be current:
// it is compared last and most often differs.
func changed(before, after any) bool {
	a, ok := before.(metav1.Object)
	b, ok2 := after.(metav1.Object)
	return !ok || !ok2 || a.GetResourceVersion() != b.GetResourceVersion()
}

// objectOf reads what the graph needs from an object.
func objectOf(gvk schema.GroupVersionKind, o metav1.Object) Object {
	out := Object{
		Identity: Identity{
			APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind,
			Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(),
		},
		ResourceVersion: o.GetResourceVersion(),
		Owners:          o.GetOwnerReferences(),
		Deleting:        o.GetDeletionTimestamp() != nil,
	}
	for _, f := range o.GetFinalizers() {
		switch f {
		case metav1.FinalizerOrphanDependents:
			out.Orphan = true
		case metav1.FinalizerDeleteDependents:
			out.Foreground = true
		}
	}
	return out
}

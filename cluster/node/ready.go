package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
)

// WaitReady waits until want of the nodes that own selects are Ready. It calls report whenever
// their number changes.
func WaitReady(ctx context.Context, objects cache.Cache, own func(*corev1.Node) bool, want int, report func(ready int)) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	ready, now := make(chan int, 1), 0
	if err := watchReady(watching, objects, own, ready); err != nil {
		return err
	}
	for now < want {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for nodes: %d of %d are ready: %w", now, want, ctx.Err())
		case now = <-ready:
			report(now)
		}
	}
	return nil
}

// watchReady sends how many of the nodes that own selects are ready, whenever that changes. It
// replaces a number that was not received yet. ready needs room for one.
func watchReady(ctx context.Context, objects cache.Cache, own func(*corev1.Node) bool, ready chan int) error {
	informer, err := objects.GetInformer(ctx, &corev1.Node{})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	var mu sync.Mutex
	nodes := map[string]bool{}
	last := 0
	set := func(obj any, exists bool) {
		node, ok := obj.(*corev1.Node)
		if !ok || !own(node) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		delete(nodes, node.Name)
		if exists && nodeapi.IsReady(node) {
			nodes[node.Name] = true
		}
		if len(nodes) == last {
			return
		}
		last = len(nodes)
		select {
		case <-ready:
		default:
		}
		ready <- last
	}
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) { set(obj, true) }, UpdateFunc: func(_, obj any) { set(obj, true) },
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			set(obj, false)
		},
	})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = informer.RemoveEventHandler(handler) })
	return nil
}

// StopTimeout bounds how long the parts may take to end.
const StopTimeout = 20 * time.Second

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

// WatchReady sends the number of ready nodes when it changes; it replaces a
// number that was not received yet.
func WatchReady(ctx context.Context, objects cache.Cache, ready chan int) error {
	informer, err := objects.GetInformer(ctx, &corev1.Node{})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	var mu sync.Mutex
	nodes := map[string]bool{}
	last := 0
	note := func(obj any) {
		node, ok := obj.(*corev1.Node)
		if !ok {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		delete(nodes, node.Name)
		if nodeapi.IsReady(node) {
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
	handler, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, obj any) { note(obj) }})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = informer.RemoveEventHandler(handler) })
	return nil
}

// StopTimeout bounds how long the parts may take to end.
const StopTimeout = 20 * time.Second

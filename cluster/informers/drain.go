package informers

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// draining makes watches that leave nothing behind when they are stopped. A
// reflector stops reading before it stops the watch, and controller-runtime's
// watches of metadata then hang for good on an event that is not received.
type draining struct {
	toolscache.ListerWatcherWithContext
}

// WatchWithContext implements toolscache.WatcherWithContext.
func (d draining) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	w, err := d.ListerWatcherWithContext.WatchWithContext(ctx, options)
	if err != nil {
		return nil, err
	}
	return drainedWatch{w}, nil
}

type drainedWatch struct{ watch.Interface }

// Stop implements watch.Interface. The results are closed once the watch has
// ended, which ends the draining.
func (w drainedWatch) Stop() {
	w.Interface.Stop()
	go func() {
		for range w.ResultChan() { // the remaining events have no reader
		}
	}()
}

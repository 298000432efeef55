// Package listwatch adapts sources of objects to client-go's reflectors and informers.
//
// The API of this package is not stable: see docs/api.md.
package listwatch

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// Listing returns a source of which reflectors take a plain list and then a watch, not a list
// that is streamed by a watch: see k8s.io/client-go/util/watchlist. Of a source in memory, and of
// a single object, a list is quicker, and not every source here streams.
func Listing(lw cache.ListerWatcherWithContext) cache.ListerWatcher { return listing{lw} }

type listing struct{ cache.ListerWatcherWithContext }

// IsWatchListSemanticsUnSupported makes the reflector list.
func (listing) IsWatchListSemanticsUnSupported() bool { return true }

// List implements cache.ListerWatcher.
func (l listing) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), options)
}

// Watch implements cache.ListerWatcher.
func (l listing) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), options)
}

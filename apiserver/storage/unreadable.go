package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// reporting reports each stored object that a list cannot decode, once. A watch
// cache repeats such a list until the object is gone.
type reporting struct {
	storage.Interface
	report func(error)
	// found ends with the first damaged object.
	found     context.Context
	markFound context.CancelFunc

	mu       sync.Mutex
	reported map[string]bool // by key
}

func newReporting(s storage.Interface, report func(error)) *reporting {
	r := &reporting{Interface: s, report: report, reported: map[string]bool{}}
	r.found, r.markFound = context.WithCancel(context.Background())
	return r
}

// unlessDamaged returns wait, which ends without an error as soon as a damaged
// object is found. Then the watch cache is never filled, and the stock store
// answers without it: it reads and writes all other objects, and its lists fail.
func (r *reporting) unlessDamaged(wait func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		either, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.found, cancel)()
		err := wait(either)
		if r.found.Err() != nil {
			return ctx.Err()
		}
		return err
	}
}

// GetList implements storage.Interface.
func (r *reporting) GetList(ctx context.Context, key string, o storage.ListOptions, list runtime.Object) error {
	err := r.Interface.GetList(ctx, key, o, list)
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Reason == metav1.StatusReasonStoreReadError && status.Status().Details != nil {
		for _, c := range status.Status().Details.Causes {
			r.unreadable(c)
		}
	}
	return err
}

func (r *reporting) unreadable(c metav1.StatusCause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Field == "" || r.reported[c.Field] {
		return
	}
	r.reported[c.Field] = true
	r.report(fmt.Errorf("reading %s from etcd: the object is damaged, and its resource cannot be listed or watched until it is restored, or deleted with ignoreStoreReadErrorWithClusterBreakingPotential: %s", c.Field, c.Message))
	r.markFound()
}

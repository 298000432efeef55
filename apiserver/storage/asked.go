package storage

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

// asked makes API errors of what clients asked for wrongly. The stock store
// passes these errors on as they are, and the handlers then answer 500 for the
// client's mistake.
type asked struct{ storage.Interface }

// Versioner implements storage.Interface.
func (a asked) Versioner() storage.Versioner { return askedVersioner{a.Interface.Versioner()} }

// Create implements storage.Interface.
func (a asked) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	err := a.Interface.Create(ctx, key, obj, out, ttl)
	if errors.Is(err, storage.ErrResourceVersionSetOnCreate) {
		return apierrors.NewBadRequest(err.Error())
	}
	return err
}

// Watch implements storage.Interface.
func (a asked) Watch(ctx context.Context, key string, o storage.ListOptions) (watch.Interface, error) {
	w, err := a.Interface.Watch(ctx, key, o)
	var invalid storage.InvalidError
	if errors.As(err, &invalid) {
		return nil, apierrors.NewBadRequest(invalid.Error())
	}
	return w, err
}

type askedVersioner struct{ storage.Versioner }

// ObjectResourceVersion implements storage.Versioner.
func (v askedVersioner) ObjectResourceVersion(obj runtime.Object) (uint64, error) {
	version, err := v.Versioner.ObjectResourceVersion(obj)
	if err != nil {
		return 0, apierrors.NewBadRequest("metadata.resourceVersion: " + err.Error())
	}
	return version, nil
}

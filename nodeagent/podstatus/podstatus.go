// Package podstatus writes the status of a pod to the API server.
//
// The API of this package is not stable: see docs/api.md.
package podstatus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Writer keeps at most one write of a pod's status under way. One goroutine uses it.
type Writer struct {
	busy     bool
	failures int
	retryAt  time.Time
	// last is the status written last, version the object's version after it:
	// should the server keep less than it was given, writing again would not help.
	last    *corev1.PodStatus
	version string
}

// Begin reports whether the API server's object has the pod's status already, and otherwise
// whether to write it now. Then Ended must be called.
func (w *Writer) Begin(object, pod *corev1.Pod, now time.Time) (written, begun bool) {
	if apiequality.Semantic.DeepEqual(object.Status, pod.Status) {
		return true, false
	}
	if w.last != nil && w.version == object.ResourceVersion && apiequality.Semantic.DeepEqual(*w.last, pod.Status) {
		return true, false
	}
	if w.busy || now.Before(w.retryAt) {
		return false, false
	}
	w.busy = true
	return false, true
}

// Ended takes the result of writing a pod's status: the object that the server answered with, or its
// error.
func (w *Writer) Ended(ctx context.Context, pod, object *corev1.Pod, err error, now time.Time) {
	w.busy = false
	switch {
	case err == nil:
		w.failures, w.retryAt = 0, time.Time{}
		w.last, w.version = &pod.Status, object.ResourceVersion
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		// The pod is gone or replaced; the cache will show it.
		w.backOff(now, time.Second)
	case ctx.Err() == nil:
		log.FromContext(ctx).V(1).Info("Writing pod status failed, trying again", "pod", pod.Name, "error", err.Error())
		w.backOff(now, 100*time.Millisecond)
	}
}

func (w *Writer) backOff(now time.Time, first time.Duration) {
	delay := min(first<<min(w.failures, 6), 10*time.Second)
	w.failures++
	w.retryAt = now.Add(delay)
}

// Busy reports whether a write is under way.
func (w *Writer) Busy() bool { return w.busy }

// RetryAt returns when a write that failed is to be tried again; it is zero if none failed.
func (w *Writer) RetryAt() time.Time { return w.retryAt }

// Write writes the difference between two statuses, for that very pod only.
func Write(ctx context.Context, c client.Client, base, wanted *corev1.Pod) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	patch, err := Patch(base, wanted)
	if err != nil {
		return nil, err
	}
	out := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: base.Namespace, Name: base.Name}}
	if err := c.Status().Patch(ctx, out, client.RawPatch(types.StrategicMergePatchType, patch)); err != nil {
		return nil, fmt.Errorf("writing status of pod %s/%s: %w", base.Namespace, base.Name, err)
	}
	return out, nil
}

// Patch returns a strategic merge patch that fails if the pod was
// replaced by another of its name.
func Patch(base, wanted *corev1.Pod) ([]byte, error) {
	before, err := json.Marshal(corev1.Pod{Status: base.Status})
	if err != nil {
		return nil, fmt.Errorf("encoding pod status: %w", err)
	}
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: base.UID}, Status: wanted.Status})
	if err != nil {
		return nil, fmt.Errorf("encoding pod status: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("comparing pod statuses: %w", err)
	}
	return patch, nil
}

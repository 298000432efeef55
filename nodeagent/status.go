package nodeagent

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

// statusWriter keeps at most one write of a pod's status under way.
type statusWriter struct {
	busy     bool
	failures int
	retryAt  time.Time
	// last is the status written last, version the object's version after it:
	// should the server keep less than it was given, writing again would not help.
	last    *corev1.PodStatus
	version string
}

// writeStatus makes the API's status that of the pod and reports whether it is so
// already. Otherwise a write is begun, whose end wakes the worker.
func (w *worker) writeStatus(ctx context.Context, pod *corev1.Pod) bool {
	if w.state.Gone || apiequality.Semantic.DeepEqual(w.pod.Status, pod.Status) {
		return true
	}
	if w.writer.last != nil && w.writer.version == w.pod.ResourceVersion && apiequality.Semantic.DeepEqual(*w.writer.last, pod.Status) {
		return true
	}
	if w.writer.busy || w.agent.config.Clock.Now().Before(w.writer.retryAt) {
		return false
	}
	w.writer.busy = true
	base := w.pod
	w.effects.Go(func() {
		written, err := w.agent.patchStatus(ctx, base, pod)
		w.result(func() { w.statusWritten(ctx, &pod.Status, written, err) })
	})
	return false
}

func (w *worker) statusWritten(ctx context.Context, wanted *corev1.PodStatus, written *corev1.Pod, err error) {
	w.writer.busy = false
	switch {
	case err == nil:
		w.writer.failures, w.writer.retryAt = 0, time.Time{}
		w.writer.last, w.writer.version = wanted, written.ResourceVersion
		w.accept(written)
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		// The pod is gone or replaced; the cache will show it.
		w.backOffWrite(time.Second)
	case ctx.Err() == nil:
		log.FromContext(ctx).V(1).Info("Writing pod status failed, trying again", "pod", w.pod.Name, "error", err.Error())
		w.backOffWrite(100 * time.Millisecond)
	}
}

func (w *worker) backOffWrite(first time.Duration) {
	delay := min(first<<min(w.writer.failures, 6), 10*time.Second)
	w.writer.failures++
	w.writer.retryAt = w.agent.config.Clock.Now().Add(delay)
}

// patchStatus writes the difference between two statuses, for that very pod only.
func (a *Agent) patchStatus(ctx context.Context, base, wanted *corev1.Pod) (*corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	patch, err := statusPatch(base, wanted)
	if err != nil {
		return nil, err
	}
	out := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: base.Namespace, Name: base.Name}}
	if err := a.config.Client.Status().Patch(ctx, out, client.RawPatch(types.StrategicMergePatchType, patch)); err != nil {
		return nil, fmt.Errorf("writing status of pod %s/%s: %w", base.Namespace, base.Name, err)
	}
	return out, nil
}

// statusPatch returns a strategic merge patch that fails if the pod was
// replaced by another of its name.
func statusPatch(base, wanted *corev1.Pod) ([]byte, error) {
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

package scheduler

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// statusWriters is how many status writes run at a time.
const statusWriters = 4

// statusWriter writes PodScheduled=False conditions outside the scheduling
// cycle. Writes of one pod do not overtake each other, and newer ones replace
// those that have not begun.
type statusWriter struct {
	client client.Client
	queue  workqueue.TypedInterface[types.UID]

	mu      sync.Mutex
	pending map[types.UID]statusWrite
	// writing counts writes from their announcement to their end.
	writing int
}

type statusWrite struct {
	pod       *v1.Pod
	condition v1.PodCondition
	nominated string
}

func newStatusWriter(c client.Client) *statusWriter {
	return &statusWriter{client: c, queue: workqueue.NewTyped[types.UID](), pending: map[types.UID]statusWrite{}}
}

// update announces a write; one that would change nothing is dropped.
func (w *statusWriter) update(pod *v1.Pod, condition v1.PodCondition, nominated string) {
	if old := findCondition(pod); old != nil && *old == condition && pod.Status.NominatedNodeName == nominated {
		return
	}
	w.mu.Lock()
	if _, ok := w.pending[pod.UID]; !ok {
		w.writing++
	}
	w.pending[pod.UID] = statusWrite{pod, condition, nominated}
	w.mu.Unlock()
	w.queue.Add(pod.UID)
}

func (w *statusWriter) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writing == 0
}

// run writes until ctx is done.
func (w *statusWriter) run(ctx context.Context) {
	var writers sync.WaitGroup
	for range statusWriters {
		writers.Go(func() {
			for {
				uid, shutdown := w.queue.Get()
				if shutdown {
					return
				}
				w.writeNext(ctx, uid)
				w.queue.Done(uid)
			}
		})
	}
	<-ctx.Done()
	w.queue.ShutDown()
	writers.Wait()
}

func (w *statusWriter) writeNext(ctx context.Context, uid types.UID) {
	w.mu.Lock()
	write, ok := w.pending[uid]
	delete(w.pending, uid)
	w.mu.Unlock()
	if !ok {
		return
	}
	// A pod that is gone, or was replaced by another of its name, needs no status.
	if err := w.write(ctx, write); err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
		log.FromContext(ctx).Error(err, "Writing why a pod is not scheduled failed", "pod", klog.KObj(write.pod))
	}
	w.mu.Lock()
	w.writing--
	w.mu.Unlock()
}

func (w *statusWriter) write(ctx context.Context, sw statusWrite) error {
	patch := map[string]any{
		"metadata": map[string]any{"uid": sw.pod.UID},
		"status":   map[string]any{"conditions": []v1.PodCondition{sw.condition}},
	}
	if sw.nominated != sw.pod.Status.NominatedNodeName {
		var name any // null deletes
		if sw.nominated != "" {
			name = sw.nominated
		}
		patch["status"].(map[string]any)["nominatedNodeName"] = name
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encoding status of pod %s/%s: %w", sw.pod.Namespace, sw.pod.Name, err)
	}
	target := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: sw.pod.Namespace, Name: sw.pod.Name}}
	if err := w.client.Status().Patch(ctx, target, client.RawPatch(types.StrategicMergePatchType, body)); err != nil {
		return fmt.Errorf("patching status of pod %s/%s: %w", sw.pod.Namespace, sw.pod.Name, err)
	}
	return nil
}

// unscheduled returns the PodScheduled=False condition. Its transition time is
// that of the pod's condition where that is False already.
func unscheduled(pod *v1.Pod, reason, message string, now time.Time) v1.PodCondition {
	c := v1.PodCondition{
		Type: v1.PodScheduled, Status: v1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: pod.Generation, LastTransitionTime: metav1.NewTime(now),
	}
	if old := findCondition(pod); old != nil && old.Status == c.Status {
		c.LastTransitionTime = old.LastTransitionTime
	}
	return c
}

func findCondition(pod *v1.Pod) *v1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == v1.PodScheduled {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

package job

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/batch"
)

// orphans removes the finalizer of pods that will not be counted: their Job is gone or ended.
type orphans struct{ client client.Client }

// Reconcile removes the tracking finalizer of one pod if it is such a pod.
func (o *orphans) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	pod := &corev1.Pod{}
	if err := o.client.Get(ctx, req.NamespacedName, pod, client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !hasFinalizer(pod) {
		return reconcile.Result{}, nil
	}
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil {
		waits, err := o.owned(ctx, pod.Namespace, ref)
		if waits || err != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{}, client.IgnoreNotFound(removeFinalizer(ctx, o.client, pod))
}

// owned reports whether a controller still needs the finalizer: the owner is no Job, or
// another controller runs the Job, or it has not ended.
func (o *orphans) owned(ctx context.Context, namespace string, ref *metav1.OwnerReference) (bool, error) {
	if !isJob(ref) {
		return true, nil
	}
	j := &batchv1.Job{}
	if err := o.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, j, client.UnsafeDisableDeepCopy); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return j.UID == ref.UID && (!ours(j) || !batch.IsFinished(&j.Status)), nil
}

func isJob(ref *metav1.OwnerReference) bool {
	return ref.Kind == kind().Kind && ref.APIVersion == kind().GroupVersion().String()
}

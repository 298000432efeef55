package owned

import (
	"context"
	"errors"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/controllers/internal/expect"
	"github.com/coracle-k8s/coracle/controllers/internal/slowstart"
)

// errNamespaceTerminating ends the creation of pods without being reported.
var errNamespaceTerminating = errors.New("namespace is being terminated")

// Control creates and deletes the pods of one owner.
type Control struct {
	Client   client.Client
	Expected *expect.Tracker
	// Owner is the UID under which is expected.
	Owner types.UID
	// Told hears of what was done.
	Told Listener
	// BeforeDelete, when not nil, must succeed before a pod is deleted.
	BeforeDelete func(context.Context, *corev1.Pod) error
}

// Create creates n pods, which build builds, each once and maybe concurrently. It
// returns how many there are now, and the server's first refusal as it came.
func (c *Control) Create(ctx context.Context, n int, build func(i int) *corev1.Pod) (created int, err error) {
	c.Expected.ExpectCreations(c.Owner, n)
	called, created, err := slowstart.Run(n, func(i int) error {
		pod := build(i)
		err := c.Client.Create(ctx, pod)
		if err == nil {
			c.Told.Created(pod)
			return nil
		}
		c.Expected.CreationsObserved(c.Owner, 1)
		if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return errNamespaceTerminating
		}
		c.Told.CreateFailed(pod, err)
		return err
	})
	c.Expected.CreationsObserved(c.Owner, n-called)
	if errors.Is(err, errNamespaceTerminating) {
		err = nil
	}
	return created, err
}

// Delete asks pods to go. It returns those that do, or were gone, and the first
// failure as it came.
func (c *Control) Delete(ctx context.Context, pods []*corev1.Pod) (gone []*corev1.Pod, err error) {
	uids := make([]types.UID, len(pods))
	for i, p := range pods {
		uids[i] = p.UID
	}
	c.Expected.ExpectDeletions(c.Owner, uids...)
	var mu sync.Mutex
	_, err = slowstart.All(len(pods), func(i int) error {
		if err := c.delete(ctx, pods[i]); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		gone = append(gone, pods[i])
		return nil
	})
	return gone, err
}

func (c *Control) delete(ctx context.Context, pod *corev1.Pod) error {
	var err error
	if c.BeforeDelete != nil {
		err = c.BeforeDelete(ctx, pod)
	}
	if err == nil {
		// The server needs the name and the UID, and the cached pod is shared.
		named := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name}}
		err = c.Client.Delete(ctx, named, client.Preconditions{UID: &pod.UID})
	}
	if err == nil {
		c.Told.Deleted(pod)
		return nil
	}
	// There will be no event to wait for, or it came already.
	c.Expected.DeletionObserved(c.Owner, pod.UID)
	// Conflict: another pod has the name by now, so this one is gone too.
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	c.Told.DeleteFailed(pod, err)
	return err
}

// NewPod returns a pod of a template, which is copied, for owner. Its name is
// the server's choice, from the owner's own.
func NewPod(owner metav1.Object, gvk schema.GroupVersionKind, template *corev1.PodTemplateSpec) *corev1.Pod {
	t := template.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName:    owner.GetName() + "-",
			Namespace:       owner.GetNamespace(),
			Labels:          t.Labels,
			Annotations:     t.Annotations,
			Finalizers:      t.Finalizers,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, gvk)},
		},
		Spec: t.Spec,
	}
}

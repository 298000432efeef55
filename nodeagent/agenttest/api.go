// Package agenttest has what tests of the node agent stand on: an API server's
// stand-in with graceful deletion and informers, and simple volumes and
// environments. Only tests import it.
//
// The API of this package is not stable: see docs/api.md.
package agenttest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

const keep = "agenttest/keep"

// API is the stand-in. Pods made through Create have a finalizer that stands for
// graceful deletion; a deletion with grace 0 removes it.
type API struct {
	client.WithWatch
	cache.Cache // nil: only GetInformer is there

	ctx       context.Context
	mu        sync.Mutex
	informers map[string]toolscache.SharedIndexInformer
}

// NewAPI returns an API whose informers run until ctx is done.
func NewAPI(ctx context.Context, objects ...client.Object) *API {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		panic(err) // the scheme's own types cannot clash
	}
	a := &API{ctx: ctx, informers: map[string]toolscache.SharedIndexInformer{}}
	a.WithWatch = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&corev1.Pod{}, &corev1.Node{}).
		WithInterceptorFuncs(interceptor.Funcs{Create: create, Delete: remove}).Build()
	return a
}

func create(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
	if pod, ok := o.(*corev1.Pod); ok {
		pod.Finalizers = append(pod.Finalizers, keep)
		if pod.UID == "" {
			pod.UID = types.UID("uid-" + pod.Name)
		}
		pod.Generation = 1
	}
	return c.Create(ctx, o, opts...)
}

func remove(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
	var options client.DeleteOptions
	options.ApplyOptions(opts)
	if _, ok := o.(*corev1.Pod); !ok {
		return c.Delete(ctx, o, opts...)
	}
	var pod corev1.Pod
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), &pod); err != nil {
		return err
	}
	grace := int64(corev1.DefaultTerminationGracePeriodSeconds)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		grace = *pod.Spec.TerminationGracePeriodSeconds
	}
	if options.GracePeriodSeconds != nil {
		grace = *options.GracePeriodSeconds
	}
	if grace == 0 {
		pod.Finalizers = slices.DeleteFunc(pod.Finalizers, func(f string) bool { return f == keep })
		if err := c.Update(ctx, &pod); err != nil {
			return err
		}
		return client.IgnoreNotFound(c.Delete(ctx, &pod))
	}
	pod.DeletionGracePeriodSeconds = &grace
	if err := c.Update(ctx, &pod); err != nil {
		return err
	}
	return c.Delete(ctx, &pod)
}

// UpdatePod changes a pod's spec or metadata and counts its generation on.
func (a *API) UpdatePod(ctx context.Context, name string, change func(*corev1.Pod)) error {
	var pod corev1.Pod
	if err := a.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, &pod); err != nil {
		return err
	}
	change(&pod)
	pod.Generation++
	return a.Update(ctx, &pod)
}

// GetInformer implements cache.Cache for pods and nodes.
func (a *API) GetInformer(_ context.Context, o client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := fmt.Sprintf("%T", o)
	if i := a.informers[key]; i != nil {
		return i, nil
	}
	list := func() client.ObjectList {
		if _, ok := o.(*corev1.Node); ok {
			return &corev1.NodeList{}
		}
		return &corev1.PodList{}
	}
	informer := toolscache.NewSharedIndexInformer(toolscache.ToListWatcherWithWatchListSemantics(&toolscache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			l := list()
			err := a.WithWatch.List(a.ctx, l)
			return l, err
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) { return a.watch(list) },
	}, a), o, 0, nil)
	a.informers[key] = informer
	go informer.RunWithContext(a.ctx)
	return informer, nil
}

// watch begins with what there is, because the stand-in forgets what happened
// between a list and a watch.
func (a *API) watch(list func() client.ObjectList) (watch.Interface, error) {
	in, err := a.WithWatch.Watch(a.ctx, list())
	if err != nil {
		return nil, err
	}
	now := list()
	if err := a.WithWatch.List(a.ctx, now); err != nil {
		return nil, err
	}
	objects, err := meta.ExtractList(now)
	if err != nil {
		return nil, err
	}
	events := make(chan watch.Event)
	out := watch.NewProxyWatcher(events)
	send := func(e watch.Event) bool {
		select {
		case events <- e:
			return true
		case <-out.StopChan():
		case <-a.ctx.Done():
		}
		return false
	}
	go func() {
		defer in.Stop()
		defer close(events)
		for _, o := range objects {
			if !send(watch.Event{Type: watch.Added, Object: o}) {
				return
			}
		}
		for {
			select {
			case event, ok := <-in.ResultChan():
				if !ok || !send(event) {
					return
				}
			case <-out.StopChan():
				return
			case <-a.ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// IsWatchListSemanticsUnSupported makes client-go list: a watch here does not
// begin with the existing objects.
func (a *API) IsWatchListSemanticsUnSupported() bool { return true }

// Get reads from the stand-in; it settles which of the two embedded ones is meant.
func (a *API) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return a.WithWatch.Get(ctx, key, o, opts...)
}

// List reads from the stand-in.
func (a *API) List(ctx context.Context, l client.ObjectList, opts ...client.ListOption) error {
	return a.WithWatch.List(ctx, l, opts...)
}

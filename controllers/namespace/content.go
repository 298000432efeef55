package namespace

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// width is how many resources are emptied at the same time.
const width = 16

var pods = corev1.SchemeGroupVersion.WithResource("pods")

// content deletes and counts what is in one namespace.
type content struct {
	cache     client.Reader
	metadata  metadata.Interface
	discovery Discoverer
	namespace string
}

// empty asks for the deletion of everything, pods first, and reports what is
// left. As long as there are pods it looks no further, not even for what other
// resources there are.
func (c *content) empty(ctx context.Context) *Report {
	report := &Report{}
	if err := c.emptyPods(ctx, Resource{pods, true}, report); err != nil {
		report.DeleteErrors = append(report.DeleteErrors, err)
	}
	if len(report.Remaining) > 0 || len(report.DeleteErrors) > 0 {
		return report
	}
	resources, err := c.discovery.Resources(ctx)
	report.DiscoveryError = err
	c.emptyAll(ctx, resources, report)
	return report
}

// emptyPods believes the cache as long as it shows pods, for a namespace with
// a thousand of them is looked at often, and asks the server once it shows none.
func (c *content) emptyPods(ctx context.Context, r Resource, report *Report) error {
	var list corev1.PodList
	if err := c.cache.List(ctx, &list, client.InNamespace(c.namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	if len(list.Items) == 0 {
		return c.emptyResource(ctx, r, func(left *metav1.PartialObjectMetadataList) {
			report.add(pods, len(left.Items), finalizersOf(left))
		})
	}
	finalizers, fresh := map[string]int{}, false
	for i := range list.Items {
		fresh = fresh || list.Items[i].DeletionTimestamp == nil
		for _, f := range list.Items[i].Finalizers {
			finalizers[f]++
		}
	}
	report.add(pods, len(list.Items), finalizers)
	if fresh {
		return c.delete(ctx, r)
	}
	return nil
}

func (c *content) emptyAll(ctx context.Context, resources []Resource, report *Report) {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next = make(chan Resource)
	)
	for range min(width, len(resources)) {
		wg.Go(func() {
			for r := range next {
				err := c.emptyResource(ctx, r, func(left *metav1.PartialObjectMetadataList) {
					mu.Lock()
					defer mu.Unlock()
					report.add(r.GroupVersionResource, len(left.Items), finalizersOf(left))
				})
				if err != nil {
					mu.Lock()
					report.DeleteErrors = append(report.DeleteErrors, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, r := range resources {
		next <- r
	}
	close(next)
	wg.Wait()
}

// emptyResource calls left with the objects that remain after all of them were
// asked to go. For most resources of most namespaces that is one cheap list.
func (c *content) emptyResource(ctx context.Context, r Resource, left func(*metav1.PartialObjectMetadataList)) error {
	first, err := c.list(ctx, r, 1)
	if err != nil || len(first.Items) == 0 {
		return err
	}
	if err := c.delete(ctx, r); err != nil {
		return err
	}
	remaining, err := c.list(ctx, r, 0)
	if err != nil {
		return err
	}
	left(remaining)
	return nil
}

// list treats a resource that is gone (a custom one whose definition was
// deleted meanwhile) as empty.
func (c *content) list(ctx context.Context, r Resource, limit int64) (*metav1.PartialObjectMetadataList, error) {
	list, err := c.metadata.Resource(r.GroupVersionResource).Namespace(c.namespace).List(ctx, metav1.ListOptions{Limit: limit})
	if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return &metav1.PartialObjectMetadataList{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", r.GroupResource(), err)
	}
	return list, nil
}

// delete leaves dependents to the garbage collector: they are in the same
// namespace, and are deleted by it or by this controller.
func (c *content) delete(ctx context.Context, r Resource) error {
	api := c.metadata.Resource(r.GroupVersionResource).Namespace(c.namespace)
	opts := metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	if r.Collection {
		err := api.DeleteCollection(ctx, opts, metav1.ListOptions{})
		if err == nil || apierrors.IsNotFound(err) {
			return nil
		}
		if !apierrors.IsMethodNotSupported(err) {
			return fmt.Errorf("deleting all %s: %w", r.GroupResource(), err)
		}
	}
	all, err := c.list(ctx, r, 0)
	if err != nil {
		return err
	}
	var errs []error
	for i := range all.Items {
		opts.Preconditions = &metav1.Preconditions{UID: ptr.To(all.Items[i].UID)}
		err := api.Delete(ctx, all.Items[i].Name, opts)
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsMethodNotSupported(err) {
			errs = append(errs, fmt.Errorf("deleting %s %s: %w", r.GroupResource(), all.Items[i].Name, err))
		}
	}
	return errors.Join(errs...)
}

func finalizersOf(list *metav1.PartialObjectMetadataList) map[string]int {
	out := map[string]int{}
	for i := range list.Items {
		for _, f := range list.Items[i].Finalizers {
			out[f]++
		}
	}
	return out
}

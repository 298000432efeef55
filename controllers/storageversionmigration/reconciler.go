package storageversionmigration

import (
	"context"
	"errors"
	"fmt"

	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's.
const Name = "storage-version-migrator-controller"

// page is how many objects are listed at once.
const page = 500

// Reconciler runs migrations. A request names a StorageVersionMigration.
type Reconciler struct {
	client  client.Client
	objects metadata.Interface
	clock   clock.PassiveClock
}

// New returns a Reconciler that lists and patches objects through objects.
func New(d controllers.Deps, objects metadata.Interface) *Reconciler {
	return &Reconciler{client: d.Client, objects: objects, clock: d.Clock}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	m := &storagemigrationv1.StorageVersionMigration{}
	if err := r.client.Get(ctx, req.NamespacedName, m); err != nil || ended(m) {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	gvr, err := r.resource(m.Spec.Resource)
	if err != nil {
		if wait := m.CreationTimestamp.Add(patience).Sub(r.clock.Now()); wait > 0 {
			return reconcile.Result{RequeueAfter: min(wait, patience/12)}, nil
		}
		failed(m, r.clock.Now(), errors.New("unable to obtain GVR from discovery"))
		return reconcile.Result{}, r.save(ctx, m)
	}
	if m.Status.ResourceVersion == "" {
		first, err := r.objects.Resource(gvr).List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("listing %s: %w", gvr.GroupResource(), err)
		}
		m.Status.ResourceVersion = first.ResourceVersion
		running(m, 0, 0, r.clock.Now(), nil)
		if err := r.save(ctx, m); err != nil {
			return reconcile.Result{}, err
		}
	}
	return reconcile.Result{}, r.migrate(ctx, m, gvr)
}

func (r *Reconciler) resource(gr metav1.GroupResource) (schema.GroupVersionResource, error) {
	return r.client.RESTMapper().ResourceFor(schema.GroupVersionResource{Group: gr.Group, Resource: gr.Resource})
}

func (r *Reconciler) save(ctx context.Context, m *storagemigrationv1.StorageVersionMigration) error {
	if err := r.client.Status().Update(ctx, m); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("updating the status of storage version migration %s: %w", m.Name, err)
	}
	return nil
}

func (r *Reconciler) migrate(ctx context.Context, m *storagemigrationv1.StorageVersionMigration, gvr schema.GroupVersionResource) error {
	candidates, total, err := r.candidates(ctx, gvr, m.Status.ResourceVersion)
	if err != nil {
		return err
	}
	for i := range candidates {
		err := r.rewrite(ctx, gvr, &candidates[i])
		if err == nil || harmless(err) {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		running(m, len(candidates)-i, total, r.clock.Now(), nil)
		if passing(err) {
			running(m, len(candidates)-i, total, r.clock.Now(), err)
			return errors.Join(err, r.save(ctx, m))
		}
		failed(m, r.clock.Now(), err)
		return r.save(ctx, m)
	}
	running(m, 0, total, r.clock.Now(), nil)
	succeeded(m, r.clock.Now())
	return r.save(ctx, m)
}

// candidates returns the objects to write again, and the total number of objects.
func (r *Reconciler) candidates(ctx context.Context, gvr schema.GroupVersionResource, since string) (found []metav1.PartialObjectMetadata, total int, err error) {
	options := metav1.ListOptions{Limit: page}
	for {
		list, err := r.objects.Resource(gvr).List(ctx, options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" {
			// Compacted meanwhile: begin again.
			found, total, options.Continue = nil, 0, ""
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("listing %s: %w", gvr.GroupResource(), err)
		}
		total += len(list.Items)
		for _, o := range list.Items {
			is, err := old(o.ResourceVersion, since)
			if err != nil {
				return nil, 0, fmt.Errorf("comparing versions of %s %s/%s: %w", gvr.GroupResource(), o.Namespace, o.Name, err)
			}
			if is {
				found = append(found, o)
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return found, total, nil
		}
	}
}

func (r *Reconciler) rewrite(ctx context.Context, gvr schema.GroupVersionResource, o *metav1.PartialObjectMetadata) error {
	data, err := patch(o)
	if err != nil {
		return err
	}
	_, err = r.objects.Resource(gvr).Namespace(o.Namespace).Patch(ctx, o.Name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: Name})
	return err
}

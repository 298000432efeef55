package resourcequota

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/coracle-k8s/coracle/apis/quota"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the controller. A quota wakes it when it is new or
// its spec changes; objects of the kinds that quotas limit do when they give
// something back.
func (r *Reconciler) SetupWithManager(mgr manager.Manager, opts controller.Options) error {
	c, err := ctrl.NewControllerManagedBy(mgr).Named(Name).
		Watches(&corev1.ResourceQuota{}, quotaHandler()).
		WithOptions(opts).Build(r)
	if err != nil {
		return fmt.Errorf("building %s: %w", Name, err)
	}
	r.controller, r.cache = c, mgr.GetCache()
	return nil
}

// quotaHandler compares specs, for quotas have no generation. The status that
// admission writes with every charge leads to a recount later.
func quotaHandler() handler.EventHandler {
	add := func(o client.Object, q queue) {
		q.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			old, ok1 := e.ObjectOld.(*corev1.ResourceQuota)
			now, ok2 := e.ObjectNew.(*corev1.ResourceQuota)
			switch {
			case !ok1 || !ok2:
			case old.UID != now.UID || !apiequality.Semantic.DeepEqual(old.Spec, now.Spec):
				add(now, q)
			case !quotav1.Equals(old.Status.Used, now.Status.Used):
				q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(now)}, chargeInterval)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(e.Object, q) },
	}
}

// watch makes sure that objects of a resource are watched. Without a manager
// there is nothing to watch with, and a caller has to call Reconcile itself.
// Charges made afterwards are given back only by events.
func (r *Reconciler) watch(ctx context.Context, gr schema.GroupResource) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.controller == nil || r.watched.Has(gr) {
		return nil
	}
	obj, err := r.object(gr)
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return err
	}
	kind := source.Kind(r.cache, obj, r.objectHandler(gr))
	if err := r.controller.Watch(kind); err != nil {
		return fmt.Errorf("watching %s: %w", gr, err)
	}
	if err := kind.WaitForSync(ctx); err != nil {
		return fmt.Errorf("waiting for %s: %w", gr, err)
	}
	r.watched.Insert(gr)
	return nil
}

// object returns an object of a resource: typed where its content is measured,
// else its metadata, of which the server sends no more.
func (r *Reconciler) object(gr schema.GroupResource) (client.Object, error) {
	switch gr {
	case schema.GroupResource{Resource: "pods"}:
		return &corev1.Pod{}, nil
	case schema.GroupResource{Resource: "services"}:
		return &corev1.Service{}, nil
	case schema.GroupResource{Resource: "resourcequotas"}:
		return &corev1.ResourceQuota{}, nil
	case schema.GroupResource{Resource: "persistentvolumeclaims"}:
		if _, err := r.client.RESTMapper().KindFor(gr.WithVersion("")); err != nil {
			return nil, fmt.Errorf("finding kind of %s: %w", gr, err)
		}
		return &corev1.PersistentVolumeClaim{}, nil
	case schema.GroupResource{Group: resourcev1.GroupName, Resource: "resourceclaims"}:
		return &resourcev1.ResourceClaim{}, nil
	}
	gvk, err := r.client.RESTMapper().KindFor(gr.WithVersion(""))
	if err != nil {
		return nil, fmt.Errorf("finding kind of %s: %w", gr, err)
	}
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(gvk)
	return obj, nil
}

func (r *Reconciler) objectHandler(gr schema.GroupResource) handler.EventHandler {
	return handler.Funcs{
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			if GivesBack(e.ObjectOld, e.ObjectNew) {
				r.wake(ctx, gr, e.ObjectNew.GetNamespace(), q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			r.wake(ctx, gr, e.Object.GetNamespace(), q)
		},
	}
}

// wake wakes the quotas of a namespace that limit a resource.
func (r *Reconciler) wake(ctx context.Context, gr schema.GroupResource, namespace string, q queue) {
	var list corev1.ResourceQuotaList
	if err := r.client.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing the quotas of a namespace", "namespace", namespace)
		return
	}
	if len(list.Items) == 0 {
		return
	}
	evaluator := quota.NewRegistry(r.list(ctx), r.clock).Get(gr)
	if evaluator == nil {
		evaluator = quota.NewCount(nil, gr.WithVersion(""))
	}
	for i := range list.Items {
		if limits(&list.Items[i], evaluator) {
			// Always after the interval, not at once: deletions come in numbers, and
			// no client waits for the recount.
			q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])}, eventInterval)
		}
	}
}

// list returns how objects are listed within one reconcile.
func (r *Reconciler) list(ctx context.Context) quota.List {
	return func(gvr schema.GroupVersionResource, namespace string) ([]runtime.Object, error) {
		list, err := r.objectList(gvr)
		if err != nil {
			return nil, err
		}
		if err := r.client.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing %s: %w", gvr.GroupResource(), err)
		}
		return meta.ExtractList(list)
	}
}

func (r *Reconciler) objectList(gvr schema.GroupVersionResource) (client.ObjectList, error) {
	switch gvr.GroupResource() {
	case schema.GroupResource{Resource: "pods"}:
		return &corev1.PodList{}, nil
	case schema.GroupResource{Resource: "services"}:
		return &corev1.ServiceList{}, nil
	case schema.GroupResource{Resource: "resourcequotas"}:
		// Through the informer of the event: another one's cache may not have
		// the quota yet that is being counted.
		return &corev1.ResourceQuotaList{}, nil
	case schema.GroupResource{Resource: "persistentvolumeclaims"}:
		return &corev1.PersistentVolumeClaimList{}, nil
	case schema.GroupResource{Group: resourcev1.GroupName, Resource: "resourceclaims"}:
		return &resourcev1.ResourceClaimList{}, nil
	case schema.GroupResource{Group: resourcev1.GroupName, Resource: "deviceclasses"}:
		return &resourcev1.DeviceClassList{}, nil
	}
	gvk, err := r.client.RESTMapper().KindFor(gvr)
	if err != nil {
		return nil, fmt.Errorf("finding kind of %s: %w", gvr, err)
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	return list, nil
}

package resourceclaim

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
)

// Name is the controller's name, as upstream's. The reconciler that frees
// claims has a queue of its own, unlike upstream.
const Name = "resourceclaim-controller"

// QueueName is the name of its queue in metrics, as upstream's.
const QueueName = "resource_claim"

// fieldManager has upstream's name.
const fieldManager = "ResourceClaimController"

// Reconciler makes the claims of one pod. A request names a Pod.
type Reconciler struct {
	client   client.Client
	live     client.Reader
	recorder record.EventRecorder
}

// New returns a Reconciler.
func New(d controllers.Deps) *Reconciler {
	return &Reconciler{client: d.Client, live: d.Live, recorder: d.Recorder("resource_claim")}
}

func has(o client.Object) bool {
	pod, ok := o.(*corev1.Pod)
	return ok && len(pod.Spec.ResourceClaims) > 0
}

func ended(o client.Object) bool {
	pod, ok := o.(*corev1.Pod)
	return ok && done(pod)
}

func claimsOf(_ context.Context, o client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, name := range index.ByClaim(o) {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}})
	}
	return requests
}

func (r *Reconciler) podsBy(field string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		var pods corev1.PodList
		if err := r.client.List(ctx, &pods, client.InNamespace(o.GetNamespace()), client.MatchingFields{field: o.GetName()}, client.UnsafeDisableDeepCopy); err != nil {
			log.FromContext(ctx).Error(err, "listing the pods of a claim", "index", field, "name", o.GetName())
			return nil
		}
		var requests []reconcile.Request
		for i := range pods.Items {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pods.Items[i])})
		}
		return requests
	})
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var pod corev1.Pod
	if err := r.client.Get(ctx, req.NamespacedName, &pod); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	o, err := r.observe(ctx, &pod)
	if err != nil {
		return reconcile.Result{}, err
	}
	a := planPod(o)
	for _, claim := range a.create {
		if err := r.create(ctx, claim); err != nil {
			r.recorder.Eventf(&pod, corev1.EventTypeWarning, "FailedResourceClaimCreation", "PodResourceClaim %s: %v",
				claim.Annotations[resourcev1.PodResourceClaimAnnotation], err)
			return reconcile.Result{}, err
		}
	}
	if a.statuses != nil {
		was := pod.DeepCopy()
		pod.Status.ResourceClaimStatuses = a.statuses
		patch := client.MergeFromWithOptions(was, client.MergeFromWithOptimisticLock{})
		if err := r.client.Status().Patch(ctx, &pod, patch, client.FieldOwner(fieldManager)); err != nil {
			return reconcile.Result{}, fmt.Errorf("update pod %s ResourceClaimStatuses: %w", req, err)
		}
	}
	for _, claim := range a.reserve {
		if err := r.client.Status().Update(ctx, claim); err != nil {
			return reconcile.Result{}, fmt.Errorf("reserve claim %s/%s: %w", claim.Namespace, claim.Name, err)
		}
	}
	if a.failed != nil {
		// The missing template's creation triggers a reconcile.
		r.recorder.Event(&pod, corev1.EventTypeWarning, "FailedResourceClaimCreation", a.failed.Error())
	}
	return reconcile.Result{}, nil
}

func (r *Reconciler) observe(ctx context.Context, pod *corev1.Pod) (observed, error) {
	o := observed{pod: pod, claims: map[string]*resourcev1.ResourceClaim{}, templates: map[string]*resourcev1.ResourceClaimTemplate{}}
	var owned resourcev1.ResourceClaimList
	if err := r.client.List(ctx, &owned, client.InNamespace(pod.Namespace), client.MatchingFields{index.Owner: string(pod.UID)}, client.UnsafeDisableDeepCopy); err != nil {
		return o, fmt.Errorf("listing the claims of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	for i := range owned.Items {
		o.claims[owned.Items[i].Name] = &owned.Items[i]
	}
	for _, name := range index.ByClaim(pod) {
		var claim resourcev1.ResourceClaim
		err := r.client.Get(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name}, &claim)
		if client.IgnoreNotFound(err) != nil {
			return o, fmt.Errorf("getting claim %s/%s: %w", pod.Namespace, name, err)
		}
		if err == nil {
			o.claims[name] = &claim
		}
	}
	for _, name := range index.ByClaimTemplate(pod) {
		var template resourcev1.ResourceClaimTemplate
		err := r.client.Get(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name}, &template)
		if client.IgnoreNotFound(err) != nil {
			return o, fmt.Errorf("getting claim template %s/%s: %w", pod.Namespace, name, err)
		}
		if err == nil {
			o.templates[name] = &template
		}
	}
	return o, nil
}

// create makes a claim, unless an earlier reconcile did.
func (r *Reconciler) create(ctx context.Context, claim *resourcev1.ResourceClaim) error {
	err := r.client.Create(ctx, claim.DeepCopy(), client.FieldOwner(fieldManager))
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	var found resourcev1.ResourceClaim
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(claim), &found); err != nil {
		return fmt.Errorf("getting claim %s/%s that exists: %w", claim.Namespace, claim.Name, err)
	}
	if metav1.GetControllerOfNoCopy(&found) == nil || metav1.GetControllerOfNoCopy(&found).UID != claim.OwnerReferences[0].UID {
		return err
	}
	return nil
}

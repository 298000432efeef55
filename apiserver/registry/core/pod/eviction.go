package pod

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"

	corepod "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// maxDisrupted bounds a budget's record of evictions whose end the disruption
// controller has not seen yet.
const maxDisrupted = 2000

// evictionStorage deletes a pod if its disruption budget allows. See
// https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/.
type evictionStorage struct {
	env   registry.Env
	store *genericregistry.Store
}

// New implements rest.Storage.
func (s *evictionStorage) New() runtime.Object { return &policyv1.Eviction{} }

// GroupVersionKind implements rest.GroupVersionKindProvider: the kind is of another group.
func (s *evictionStorage) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return policyv1.SchemeGroupVersion.WithKind("Eviction")
}

// Destroy implements rest.Storage.
func (s *evictionStorage) Destroy() {}

// Create implements rest.NamedCreater.
func (s *evictionStorage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, o *metav1.CreateOptions) (runtime.Object, error) {
	eviction, ok := obj.(*policyv1.Eviction)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Eviction object: %T", obj))
	}
	if name != eviction.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	options := &metav1.DeleteOptions{}
	if eviction.DeleteOptions != nil {
		options = eviction.DeleteOptions.DeepCopy()
	}
	if len(o.DryRun) > 0 {
		options.DryRun = o.DryRun
	}
	if validate != nil {
		if err := validate(ctx, eviction.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	pod, err := s.pod(ctx, name)
	if err != nil {
		return nil, err
	}
	if !exempt(pod) {
		if err := s.disrupt(ctx, pod, options); err != nil {
			return nil, err
		}
	} else if options.Preconditions == nil || options.Preconditions.ResourceVersion == nil {
		// The pod must still be one that needs no budget when it goes.
		if options.Preconditions == nil {
			options.Preconditions = &metav1.Preconditions{}
		}
		options.Preconditions.ResourceVersion = &pod.ResourceVersion
	}
	if err := s.remove(ctx, pod, options); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

func (s *evictionStorage) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Pod), nil
}

// exempt pods do not serve, so that their loss disrupts nothing.
func exempt(p *corev1.Pod) bool {
	return corepod.IsTerminal(p) || p.Status.Phase == corev1.PodPending || p.DeletionTimestamp != nil
}

// disrupt takes one disruption off the pod's budget, if it has one.
func (s *evictionStorage) disrupt(ctx context.Context, pod *corev1.Pod, o *metav1.DeleteOptions) error {
	store, err := s.env.Store(schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudgets"})
	if err != nil {
		return err
	}
	list, err := store.List(ctx, nil)
	if err != nil {
		return err
	}
	matching := budgets(list.(*policyv1.PodDisruptionBudgetList).Items, pod)
	switch {
	case len(matching) == 0:
		return nil
	case len(matching) > 1:
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 500,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}}
	case unhealthyMayGo(&matching[0], pod):
		return nil
	}
	return s.take(ctx, store, matching[0].Name, pod.Name, dryrun.IsDryRun(o.DryRun))
}

func budgets(all []policyv1.PodDisruptionBudget, pod *corev1.Pod) []policyv1.PodDisruptionBudget {
	var matching []policyv1.PodDisruptionBudget
	for _, b := range all {
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err == nil && selector.Matches(labels.Set(pod.Labels)) {
			matching = append(matching, b)
		}
	}
	return matching
}

// unhealthyMayGo is for pods that do not count as healthy anyway.
func unhealthyMayGo(b *policyv1.PodDisruptionBudget, pod *corev1.Pod) bool {
	if corepod.IsReady(pod) {
		return false
	}
	if p := b.Spec.UnhealthyPodEvictionPolicy; p != nil && *p == policyv1.AlwaysAllow {
		return true
	}
	return b.Status.CurrentHealthy >= b.Status.DesiredHealthy && b.Status.DesiredHealthy > 0
}

func (s *evictionStorage) take(ctx context.Context, store *genericregistry.Store, budget, pod string, dryRun bool) error {
	key, err := store.KeyFunc(ctx, budget)
	if err != nil {
		return err
	}
	err = store.Storage.GuaranteedUpdate(ctx, key, &policyv1.PodDisruptionBudget{}, false, nil, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		b, ok := obj.(*policyv1.PodDisruptionBudget)
		if !ok {
			return nil, fmt.Errorf("reading a disruption budget: got %T", obj)
		}
		return b, takeDisruption(b, pod, s.env.Clock.Now())
	}), dryRun, nil)
	resource := schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudgets"}
	return storeerr.InterpretUpdateError(storeerr.InterpretGetError(err, resource, budget), resource, budget)
}

// takeDisruption takes one disruption off b, or says why it cannot.
func takeDisruption(b *policyv1.PodDisruptionBudget, pod string, now time.Time) error {
	forbidden := func(why string) error {
		return apierrors.NewForbidden(schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudget"}, b.Name, fmt.Errorf("%s", why))
	}
	switch {
	case b.Status.ObservedGeneration < b.Generation:
		return tooManyRequests(fmt.Sprintf("The disruption budget %s is still being processed by the server.", b.Name), unobservedRetry)
	case b.Status.DisruptionsAllowed < 0:
		return forbidden("pdb disruptions allowed is negative")
	case len(b.Status.DisruptedPods) > maxDisrupted:
		return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller")
	case b.Status.DisruptionsAllowed == 0:
		why := fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy)
		if c := meta.FindStatusCondition(b.Status.Conditions, policyv1.DisruptionAllowedCondition); c != nil && c.Status == metav1.ConditionFalse && c.Reason == policyv1.SyncFailedReason {
			why = fmt.Sprintf("The disruption budget %s does not allow evicting pods currently because it failed sync: %v", b.Name, c.Message)
		}
		// Without a time: clients that drain a node tell their user and try again
		// themselves, where client-go would retry in silence.
		return tooManyRequests(why, 0)
	}
	b.Status.DisruptionsAllowed--
	if b.Status.DisruptionsAllowed == 0 {
		meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse,
			Reason: policyv1.InsufficientPodsReason, ObservedGeneration: b.Status.ObservedGeneration})
	}
	if b.Status.DisruptedPods == nil {
		b.Status.DisruptedPods = map[string]metav1.Time{}
	}
	b.Status.DisruptedPods[pod] = metav1.NewTime(now)
	return nil
}

// unobservedRetry is in how many seconds a budget should have been looked at.
const unobservedRetry = 10

// tooManyRequests asks the client to come back in some seconds, or to know
// itself when.
func tooManyRequests(why string, seconds int) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", seconds)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: why})
	return err
}

// remove says in the pod's conditions why it goes, and deletes it.
func (s *evictionStorage) remove(ctx context.Context, pod *corev1.Pod, o *metav1.DeleteOptions) error {
	if !dryrun.IsDryRun(o.DryRun) {
		marked, err := s.mark(ctx, pod, o)
		if err != nil {
			return err
		}
		if o.Preconditions != nil && o.Preconditions.ResourceVersion != nil {
			o.Preconditions.ResourceVersion = &marked.ResourceVersion
		}
	}
	_, _, err := s.store.Delete(ctx, pod.Name, rest.ValidateAllObjectFunc, o)
	return err
}

func (s *evictionStorage) mark(ctx context.Context, pod *corev1.Pod, o *metav1.DeleteOptions) (*corev1.Pod, error) {
	key, err := s.store.KeyFunc(ctx, pod.Name)
	if err != nil {
		return nil, err
	}
	var preconditions *storage.Preconditions
	if o.Preconditions != nil {
		preconditions = &storage.Preconditions{UID: o.Preconditions.UID, ResourceVersion: o.Preconditions.ResourceVersion}
	}
	out := &corev1.Pod{}
	err = s.store.Storage.GuaranteedUpdate(ctx, key, out, false, preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		p, ok := obj.(*corev1.Pod)
		if !ok {
			return nil, fmt.Errorf("reading a pod: got %T", obj)
		}
		corepod.UpdateCondition(&p.Status, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			ObservedGeneration: p.Generation, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting"}, s.env.Clock.Now())
		return p, nil
	}), false, nil)
	resource := schema.GroupResource{Resource: "pods"}
	return out, storeerr.InterpretUpdateError(storeerr.InterpretGetError(err, resource, pod.Name), resource, pod.Name)
}

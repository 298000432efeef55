package pod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/utils/ptr"

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
	options, err := deleteOptions(eviction, o)
	if err != nil {
		return nil, err
	}
	if validate != nil {
		if err := validate(ctx, eviction.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		retry, err := s.evict(ctx, name, options.DeepCopy())
		if err == nil {
			return &metav1.Status{Status: metav1.StatusSuccess}, nil
		}
		if !retry || attempt == evictionAttempts {
			return nil, err
		}
	}
}

// evictionAttempts limits the tries of an eviction without a budget when the
// pod changes meanwhile.
const evictionAttempts = 20

// deleteOptions returns the options of the eviction with the dry run of its
// request.
func deleteOptions(e *policyv1.Eviction, o *metav1.CreateOptions) (*metav1.DeleteOptions, error) {
	options := &metav1.DeleteOptions{}
	if e.DeleteOptions != nil {
		options = e.DeleteOptions.DeepCopy()
	}
	if ptr.Deref(options.IgnoreStoreReadErrorWithClusterBreakingPotential, false) {
		return nil, apierrors.NewInvalid(policyv1.SchemeGroupVersion.WithKind("Eviction").GroupKind(), e.Name, field.ErrorList{
			field.Invalid(field.NewPath("deleteOptions", "ignoreStoreReadErrorWithClusterBreakingPotential"), true, "can not be set for pod eviction, try after removing the option")})
	}
	switch {
	case e.DeleteOptions == nil || len(options.DryRun) == 0:
		options.DryRun = o.DryRun
	case len(o.DryRun) > 0 && !slices.Equal(options.DryRun, o.DryRun):
		return nil, fmt.Errorf("Non-matching dry-run options in request and content: %v and %v", o.DryRun, options.DryRun)
	}
	return options, nil
}

// evict makes one attempt and reports whether another makes sense.
func (s *evictionStorage) evict(ctx context.Context, name string, options *metav1.DeleteOptions) (retry bool, err error) {
	pod, err := s.pod(ctx, name)
	if err != nil {
		return false, err
	}
	free := options.Preconditions == nil || options.Preconditions.ResourceVersion == nil
	if exempt(pod) {
		// A pending pod must still be one when it goes.
		if free && pod.Status.Phase == corev1.PodPending && pod.DeletionTimestamp == nil {
			pin(options, pod)
		}
		err := s.remove(ctx, pod, options)
		return free && apierrors.IsConflict(err), err
	}
	budget, unguarded, err := s.disrupt(ctx, pod, options)
	if err != nil {
		return false, err
	}
	if unguarded {
		pin(options, pod) // it must still be unready when it goes
	}
	err = s.remove(ctx, pod, options)
	if unguarded && free && apierrors.IsConflict(err) {
		err = unobserved(budget)
	}
	return false, err
}

// pin makes the delete fail if the pod has changed.
func pin(o *metav1.DeleteOptions, pod *corev1.Pod) {
	if o.Preconditions == nil {
		o.Preconditions = &metav1.Preconditions{}
	}
	o.Preconditions.ResourceVersion = &pod.ResourceVersion
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

// disrupt takes one disruption off the pod's budget, if it has one. A pod that
// does not count as healthy may go unguarded.
func (s *evictionStorage) disrupt(ctx context.Context, pod *corev1.Pod, o *metav1.DeleteOptions) (budget string, unguarded bool, err error) {
	store, err := s.env.Store(schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudgets"})
	if err != nil {
		return "", false, err
	}
	list, err := store.List(ctx, nil)
	if err != nil {
		return "", false, err
	}
	matching := budgets(list.(*policyv1.PodDisruptionBudgetList).Items, pod)
	switch {
	case len(matching) == 0:
		return "", false, nil
	case len(matching) > 1:
		return "", false, &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 500,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."}}
	case unhealthyMayGo(&matching[0], pod):
		return matching[0].Name, true, nil
	}
	return matching[0].Name, false, s.take(ctx, store, matching[0].Name, pod.Name, dryrun.IsDryRun(o.DryRun))
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

// unhealthyMayGo reports whether a pod that does not count as healthy may be evicted.
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

// takeDisruption takes one disruption off b, or returns why it cannot.
func takeDisruption(b *policyv1.PodDisruptionBudget, pod string, now time.Time) error {
	forbidden := func(why, cause string) error {
		err := apierrors.NewForbidden(schema.GroupResource{Group: policyv1.GroupName, Resource: "poddisruptionbudget"}, b.Name, errors.New(why))
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause,
			Message: fmt.Sprintf("The disruption budget %s does not allow evicting pods currently: %s", b.Name, cause)})
		return err
	}
	switch {
	case b.Status.ObservedGeneration < b.Generation:
		return unobserved(b.Name)
	case b.Status.DisruptionsAllowed < 0:
		return forbidden("pdb disruptions allowed is negative", "pdb disruptions allowed is negative")
	case len(b.Status.DisruptedPods) > maxDisrupted:
		return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller", "too many pending evictions not confirmed by PDB controller")
	case b.Status.DisruptionsAllowed == 0:
		// Without a time: clients that drain a node inform their user and try
		// again themselves, where client-go would retry in silence.
		return tooManyRequests(whyNot(b), 0)
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

// whyNot returns why a budget allows no disruption.
func whyNot(b *policyv1.PodDisruptionBudget) string {
	c := meta.FindStatusCondition(b.Status.Conditions, policyv1.DisruptionAllowedCondition)
	told := c != nil && c.Status == metav1.ConditionFalse && c.Message != ""
	switch {
	case told && c.Reason == policyv1.SyncFailedReason:
		return fmt.Sprintf("The disruption budget %s does not allow evicting pods currently because it failed sync: %s", b.Name, c.Message)
	case b.Status.CurrentHealthy <= b.Status.DesiredHealthy:
		return fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy)
	case told:
		return fmt.Sprintf("The disruption budget %s does not allow evicting pods currently (%s): %s", b.Name, c.Reason, c.Message)
	}
	return fmt.Sprintf("The disruption budget %s does not allow evicting pods currently", b.Name)
}

// unobserved returns the error for a budget that the disruption controller has
// yet to look at.
func unobserved(budget string) error {
	return tooManyRequests(fmt.Sprintf("The disruption budget %s is still being processed by the server.", budget), unobservedRetry)
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

// remove writes the reason for the eviction into the pod's conditions, and deletes the pod.
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
	_, _, err := s.store.Delete(remember(ctx, o), pod.Name, rest.ValidateAllObjectFunc, o)
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
			Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting"}, s.env.Clock.Now())
		return p, nil
	}), false, nil)
	resource := schema.GroupResource{Resource: "pods"}
	return out, storeerr.InterpretUpdateError(storeerr.InterpretGetError(err, resource, pod.Name), resource, pod.Name)
}

package disruption

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// deletionTimeout is how long after its eviction was granted a pod is waited for.
const deletionTimeout = 2 * time.Minute

// staleTimeout is how long a pod may be a disruption's target without being deleted.
const staleTimeout = 2 * time.Minute

// Observed holds what a reconcile has read.
type Observed struct {
	Budget *policyv1.PodDisruptionBudget
	// Pods are those that the budget selects.
	Pods []*corev1.Pod
	// Scales are the scales of the pods' controllers, by UID of what a pod's
	// controller reference names; several may share an owner.
	Scales map[types.UID]Scale
	// Failure is the error of reading scales, nil if there was none.
	Failure error
}

// Scale is how many pods an owner wants.
type Scale struct {
	Owner    types.UID
	Replicas int32
}

// Plan holds the actions of a reconcile.
type Plan struct {
	Status policyv1.PodDisruptionBudgetStatus
	// Events are about the budget.
	Events []Event
	// Overdue are pods that should have been deleted by now.
	Overdue []*corev1.Pod
	// Failure is the error that kept the status from being complete: to be tried again.
	Failure error
	// RequeueAfter is when the next granted eviction is due, 0 for none.
	RequeueAfter time.Duration
}

// Event is an event to record.
type Event struct {
	Type, Reason, Message string
}

// NeedsScale reports whether the budget is relative to the number of pods that
// there should be.
func NeedsScale(b *policyv1.PodDisruptionBudget) bool {
	return b.Spec.MaxUnavailable != nil || b.Spec.MinAvailable != nil && b.Spec.MinAvailable.Type == intstr.String
}

// plan computes a budget's status.
func plan(o Observed, now time.Time) Plan {
	p := &Plan{}
	if len(o.Pods) == 0 {
		p.say(corev1.EventTypeNormal, "NoPods", "No matching pods found")
	}
	expected, desired, err := p.expect(o)
	if err != nil {
		p.say(corev1.EventTypeWarning, "CalculateExpectedPodCountFailed", fmt.Sprintf("Failed to calculate the number of expected pods: %v", err))
		p.Status, p.Failure = failSafe(o.Budget, err, now), err
		return *p
	}
	disrupted := p.disrupted(o, now)
	p.Status = policyv1.PodDisruptionBudgetStatus{
		ObservedGeneration: o.Budget.Generation,
		DisruptedPods:      disrupted,
		CurrentHealthy:     healthy(o.Pods, disrupted),
		DesiredHealthy:     desired,
		ExpectedPods:       expected,
		Conditions:         append([]metav1.Condition(nil), o.Budget.Status.Conditions...),
	}
	// While no pods are expected, the first that come must not be evicted before
	// they were counted.
	if expected > 0 {
		p.Status.DisruptionsAllowed = max(0, p.Status.CurrentHealthy-desired)
	}
	c := metav1.Condition{Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.InsufficientPodsReason,
		ObservedGeneration: p.Status.ObservedGeneration, LastTransitionTime: metav1.NewTime(now)}
	if p.Status.DisruptionsAllowed > 0 {
		c.Status, c.Reason = metav1.ConditionTrue, policyv1.SufficientPodsReason
	}
	meta.SetStatusCondition(&p.Status.Conditions, c)
	return *p
}

func (p *Plan) say(kind, reason, message string) {
	p.Events = append(p.Events, Event{kind, reason, message})
}

// expect returns how many pods there should be and how many must be healthy.
// Percentages are rounded up.
func (p *Plan) expect(o Observed) (expected, desired int32, err error) {
	spec := &o.Budget.Spec
	if !NeedsScale(o.Budget) {
		if spec.MinAvailable != nil {
			desired = spec.MinAvailable.IntVal
		}
		return int32(len(o.Pods)), desired, nil
	}
	if o.Failure != nil {
		return 0, 0, o.Failure
	}
	if expected, err = p.sum(o); err != nil {
		return 0, 0, err
	}
	if spec.MaxUnavailable != nil {
		n, err := intstr.GetScaledValueFromIntOrPercent(spec.MaxUnavailable, int(expected), true)
		return expected, max(0, expected-int32(n)), err
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(spec.MinAvailable, int(expected), true)
	return expected, int32(n), err
}

func (p *Plan) sum(o Observed) (int32, error) {
	owners := map[types.UID]int32{}
	unmanaged := false
	for _, pod := range o.Pods {
		ref := metav1.GetControllerOfNoCopy(pod)
		if ref == nil {
			unmanaged = true
			continue
		}
		scale, ok := o.Scales[ref.UID]
		if !ok {
			return 0, fmt.Errorf("found no controllers for pod %q", pod.Name)
		}
		owners[scale.Owner] = scale.Replicas
	}
	if unmanaged {
		p.say(corev1.EventTypeWarning, "UnmanagedPods", fmt.Sprintf("Pods selected by this PodDisruptionBudget (selector: %v) were found "+
			"to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. "+
			"To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value.", o.Budget.Spec.Selector))
	}
	total := int32(0)
	for _, n := range owners {
		total += n
	}
	return total, nil
}

// disrupted keeps of the granted evictions those whose pods are not going yet
// and may still begin to.
func (p *Plan) disrupted(o Observed, now time.Time) map[string]metav1.Time {
	left := map[string]metav1.Time{}
	for _, pod := range o.Pods {
		at, ok := o.Budget.Status.DisruptedPods[pod.Name]
		if !ok || pod.DeletionTimestamp != nil {
			continue
		}
		due := at.Add(deletionTimeout)
		if !due.After(now) {
			p.Overdue = append(p.Overdue, pod)
			continue
		}
		left[pod.Name] = at
		if in := due.Sub(now); p.RequeueAfter == 0 || in < p.RequeueAfter {
			p.RequeueAfter = in
		}
	}
	return left
}

func healthy(pods []*corev1.Pod, disrupted map[string]metav1.Time) int32 {
	n := int32(0)
	for _, pod := range pods {
		if _, going := disrupted[pod.Name]; !going && pod.DeletionTimestamp == nil && podapi.IsReady(pod) {
			n++
		}
	}
	return n
}

// failSafe forbids disruptions with the reason; all else stays as it was.
func failSafe(b *policyv1.PodDisruptionBudget, err error, now time.Time) policyv1.PodDisruptionBudgetStatus {
	s := *b.Status.DeepCopy()
	s.DisruptionsAllowed = 0
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.SyncFailedReason, Message: err.Error(),
		ObservedGeneration: s.ObservedGeneration, LastTransitionTime: metav1.NewTime(now),
	})
	return s
}

// StaleIn reports whether the pod is a disruption's target that is not being
// deleted, and after how long that is stale.
func StaleIn(pod *corev1.Pod, now time.Time) (in time.Duration, target bool) {
	c := podapi.GetCondition(&pod.Status, corev1.DisruptionTarget)
	if pod.DeletionTimestamp != nil || podapi.IsTerminal(pod) || c == nil || c.Status != corev1.ConditionTrue || c.Reason == corev1.PodReasonTerminationByKubelet {
		return 0, false
	}
	return max(0, c.LastTransitionTime.Add(staleTimeout).Sub(now)), true
}

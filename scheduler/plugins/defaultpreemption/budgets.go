package defaultpreemption

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	fwk "k8s.io/kube-scheduler/framework"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// budget is the part of a PodDisruptionBudget that preemption uses.
type budget struct {
	namespace string
	selector  labels.Selector
	// allowed is how many of its pods may go; granted are pods that may anyway.
	allowed int32
	granted map[string]metav1.Time
}

func readBudgets(ctx context.Context, r client.Reader) ([]budget, error) {
	var list policyv1.PodDisruptionBudgetList
	if err := r.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing disruption budgets: %w", err)
	}
	return budgetsOf(list.Items)
}

func budgetsOf(items []policyv1.PodDisruptionBudget) ([]budget, error) {
	var out []budget
	for i := range items {
		b := &items[i]
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil {
			return nil, fmt.Errorf("reading disruption budget %s/%s: %w", b.Namespace, b.Name, err)
		}
		if !selector.Empty() {
			out = append(out, budget{b.Namespace, selector, b.Status.DisruptionsAllowed, b.Status.DisruptedPods})
		}
	}
	return out, nil
}

// split takes pods by order of importance and separates those whose end their
// budgets do not allow, if all of them went, from the others.
func split(pods []fwk.PodInfo, budgets []budget) (violating, fine []fwk.PodInfo) {
	left := make([]int32, len(budgets))
	for i := range budgets {
		left[i] = budgets[i].allowed
	}
	for _, p := range pods {
		pod, violates := p.GetPod(), false
		for i := range budgets {
			if !budgets[i].covers(pod) {
				continue
			}
			left[i]--
			violates = violates || left[i] < 0
		}
		if violates {
			violating = append(violating, p)
		} else {
			fine = append(fine, p)
		}
	}
	return violating, fine
}

func (b *budget) covers(pod *v1.Pod) bool {
	if b.namespace != pod.Namespace || len(pod.Labels) == 0 || !b.selector.Matches(labels.Set(pod.Labels)) {
		return false
	}
	_, granted := b.granted[pod.Name]
	return !granted
}

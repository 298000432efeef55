package quota

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
)

var podsResource = corev1.SchemeGroupVersion.WithResource("pods")

const countPods = corev1.ResourceName("count/pods")

func newPods(list List, clk clock.PassiveClock) quotav1.Evaluator {
	return &evaluator{
		resource:    podsResource.GroupResource(),
		list:        list.of(podsResource),
		limits:      limitsPods,
		inScope:     podInScope,
		constraints: podConstraints,
		usage: func(o runtime.Object) (corev1.ResourceList, error) {
			pod, err := as[*corev1.Pod](o)
			if err != nil {
				return nil, err
			}
			return PodUsage(pod, clk.Now()), nil
		},
		handles: func(a admission.Attributes) bool {
			switch a.GetSubresource() {
			case "":
				return a.GetOperation() == admission.Create
			case "resize":
				return a.GetOperation() == admission.Update
			default:
				return false
			}
		},
	}
}

func as[T runtime.Object](o runtime.Object) (T, error) {
	typed, ok := o.(T)
	if !ok {
		return typed, fmt.Errorf("measuring %T: expected %T", o, typed)
	}
	return typed, nil
}

func limitsPods(r corev1.ResourceName) bool {
	switch r {
	case countPods, corev1.ResourcePods,
		corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage:
		return true
	}
	s := string(r)
	if rest, ok := strings.CutPrefix(s, corev1.DefaultResourceRequestsPrefix); ok {
		return strings.HasPrefix(rest, corev1.ResourceHugePagesPrefix) || extendedresource.Is(corev1.ResourceName(rest))
	}
	return strings.HasPrefix(s, corev1.ResourceHugePagesPrefix)
}

// PodUsage returns what a pod uses at now. Every stored pod counts in
// count/pods; one that has finished, or whose grace period is over although
// its node has not confirmed its end, uses nothing else any more.
func PodUsage(pod *corev1.Pod, now time.Time) corev1.ResourceList {
	one := *resource.NewQuantity(1, resource.DecimalSI)
	usage := corev1.ResourceList{countPods: one}
	if !charged(pod, now) {
		return usage
	}
	usage[corev1.ResourcePods] = one
	opts := resourcehelper.PodResourcesOptions{UseStatusResources: true}
	for name, q := range resourcehelper.PodRequests(pod, opts) {
		switch {
		case name == corev1.ResourceCPU, name == corev1.ResourceMemory, name == corev1.ResourceEphemeralStorage,
			strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			usage[name] = q
			usage[corev1.DefaultResourceRequestsPrefix+name] = q
		case extendedresource.Is(name):
			usage[corev1.DefaultResourceRequestsPrefix+name] = q
		}
	}
	for name, q := range resourcehelper.PodLimits(pod, opts) {
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			usage["limits."+name] = q
		}
	}
	return usage
}

func charged(pod *corev1.Pod, now time.Time) bool {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return false
	}
	if pod.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds == nil {
		return true
	}
	end := pod.DeletionTimestamp.Add(time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second)
	return !now.After(end)
}

// podConstraints wants every container to name what a quota limits, else the
// quota could not be enforced. A value for the whole pod speaks for all.
func podConstraints(required []corev1.ResourceName, item runtime.Object) error {
	pod, err := as[*corev1.Pod](item)
	if err != nil {
		return err
	}
	missing := map[corev1.ResourceName][]string{}
	for _, r := range required {
		name, fromLimits, ok := constrained(r)
		if !ok || names(pod.Spec.Resources, name, fromLimits) {
			continue
		}
		for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
			for i := range containers {
				if !names(&containers[i].Resources, name, fromLimits) {
					missing[r] = append(missing[r], containers[i].Name)
				}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var words []string
	for r, containers := range missing {
		slices.Sort(containers)
		words = append(words, fmt.Sprintf("%s for: %s", r, strings.Join(slices.Compact(containers), ",")))
	}
	slices.Sort(words)
	return fmt.Errorf("must specify %s", strings.Join(words, "; "))
}

// constrained returns which resource of a container a quota's resource asks
// for. Only CPU and memory must be named.
func constrained(r corev1.ResourceName) (name corev1.ResourceName, limit, ok bool) {
	switch r {
	case corev1.ResourceCPU, corev1.ResourceRequestsCPU:
		return corev1.ResourceCPU, false, true
	case corev1.ResourceMemory, corev1.ResourceRequestsMemory:
		return corev1.ResourceMemory, false, true
	case corev1.ResourceLimitsCPU:
		return corev1.ResourceCPU, true, true
	case corev1.ResourceLimitsMemory:
		return corev1.ResourceMemory, true, true
	default:
		return "", false, false
	}
}

func names(r *corev1.ResourceRequirements, name corev1.ResourceName, limit bool) bool {
	if r == nil {
		return false
	}
	list := r.Requests
	if limit {
		list = r.Limits
	}
	_, ok := list[name]
	return ok
}

func podInScope(s requirement, item runtime.Object) (bool, error) {
	pod, err := as[*corev1.Pod](item)
	if err != nil {
		return false, err
	}
	switch s.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return pod.Spec.ActiveDeadlineSeconds != nil, nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return pod.Spec.ActiveDeadlineSeconds == nil, nil
	case corev1.ResourceQuotaScopeBestEffort:
		return bestEffort(pod), nil
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !bestEffort(pod), nil
	case corev1.ResourceQuotaScopePriorityClass:
		if s.Operator == corev1.ScopeSelectorOpExists {
			return pod.Spec.PriorityClassName != "", nil
		}
		return selects(s, pod.Spec.PriorityClassName)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossesNamespaces(pod), nil
	default:
		return false, nil
	}
}

// selects matches a value against a scope's operator and values.
func selects(s requirement, value string) (bool, error) {
	var op selection.Operator
	switch s.Operator {
	case corev1.ScopeSelectorOpIn:
		op = selection.In
	case corev1.ScopeSelectorOpNotIn:
		op = selection.NotIn
	case corev1.ScopeSelectorOpExists:
		op = selection.Exists
	case corev1.ScopeSelectorOpDoesNotExist:
		op = selection.DoesNotExist
	default:
		return false, fmt.Errorf("matching scope %s: unknown operator %q", s.ScopeName, s.Operator)
	}
	r, err := labels.NewRequirement(string(s.ScopeName), op, s.Values)
	if err != nil {
		return false, fmt.Errorf("matching scope %s: %w", s.ScopeName, err)
	}
	set := labels.Set{}
	if value != "" {
		set[string(s.ScopeName)] = value
	}
	return r.Matches(set), nil
}

// bestEffort reports whether no container (nor the pod) names CPU or memory.
func bestEffort(pod *corev1.Pod) bool {
	plain := func(r *corev1.ResourceRequirements) bool {
		for _, list := range []corev1.ResourceList{r.Requests, r.Limits} {
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				if q, ok := list[name]; ok && q.Sign() > 0 {
					return false
				}
			}
		}
		return true
	}
	if pod.Spec.Resources != nil && !plain(pod.Spec.Resources) {
		return false
	}
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			if !plain(&containers[i].Resources) {
				return false
			}
		}
	}
	return true
}

// crossesNamespaces reports whether an affinity term of the pod names
// namespaces or selects them.
func crossesNamespaces(pod *corev1.Pod) bool {
	a := pod.Spec.Affinity
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	var weighted []corev1.WeightedPodAffinityTerm
	if a.PodAffinity != nil {
		terms = append(terms, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if a.PodAntiAffinity != nil {
		terms = append(terms, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for i := range weighted {
		terms = append(terms, weighted[i].PodAffinityTerm)
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool {
		return len(t.Namespaces) > 0 || t.NamespaceSelector != nil
	})
}

var _ generic.MatchesScopeFunc = podInScope

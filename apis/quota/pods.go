package quota

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/utils/clock"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
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
				return a.GetOperation() == admission.Create || changesTerminating(a)
			case "resize":
				return a.GetOperation() == admission.Update
			default:
				return false
			}
		},
	}
}

// changesTerminating reports whether an update moves a pod between the scopes
// Terminating and NotTerminating, whose quotas then have to be charged. No other
// scope of a stored pod can change.
func changesTerminating(a admission.Attributes) bool {
	if a.GetOperation() != admission.Update {
		return false
	}
	pod, err := as[*corev1.Pod](a.GetObject())
	if err != nil {
		return false
	}
	old, err := as[*corev1.Pod](a.GetOldObject())
	return err == nil && terminating(old) != terminating(pod)
}

// terminating reports whether a pod ends by itself after some time.
func terminating(pod *corev1.Pod) bool {
	return pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds >= 0
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
		return strings.HasPrefix(rest, corev1.ResourceHugePagesPrefix) || extended(corev1.ResourceName(rest))
	}
	return strings.HasPrefix(s, corev1.ResourceHugePagesPrefix)
}

// extended reports whether name is an extended resource, or the one by which
// every DeviceClass can be requested.
func extended(name corev1.ResourceName) bool {
	return extendedresource.Is(name) || strings.HasPrefix(string(name), resourcev1.ResourceDeviceClassPrefix)
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
		case extended(name):
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
	end := pod.DeletionTimestamp.Add(podapi.Seconds(*pod.DeletionGracePeriodSeconds))
	return !now.After(end)
}

// podConstraints returns an error unless every container names the CPU and
// memory that a quota limits. A pod with resources of its own is exempt:
// https://kubernetes.io/docs/concepts/policy/resource-quotas/.
func podConstraints(required []corev1.ResourceName, item runtime.Object) error {
	pod, err := as[*corev1.Pod](item)
	if err != nil {
		return err
	}
	if resourcehelper.IsPodLevelResourcesSet(pod) {
		return nil
	}
	missing := map[corev1.ResourceName][]string{}
	for _, r := range required {
		name, fromLimits, ok := constrained(r)
		if !ok {
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
		return terminating(pod), nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return !terminating(pod), nil
	case corev1.ResourceQuotaScopeBestEffort:
		return podapi.QOSClass(pod) == corev1.PodQOSBestEffort, nil
	case corev1.ResourceQuotaScopeNotBestEffort:
		return podapi.QOSClass(pod) != corev1.PodQOSBestEffort, nil
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

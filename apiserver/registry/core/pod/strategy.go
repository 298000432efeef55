package pod

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/coracle-k8s/coracle/apis/core"
)

// partStrategy changes one part of the spec of a pod and nothing else.
type partStrategy struct {
	rest.RESTUpdateStrategy
	// take copies the part from one pod to another.
	take     func(to, from *corev1.Pod)
	validate func(p, old *corev1.Pod) field.ErrorList
}

// PrepareForUpdate implements rest.RESTUpdateStrategy.
func (s partStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	p, was := obj.(*corev1.Pod), old.(*corev1.Pod)
	out := was.DeepCopy()
	out.ResourceVersion, out.ManagedFields = p.ResourceVersion, p.ManagedFields
	s.take(out, p)
	if !equality.Semantic.DeepEqual(out.Spec, was.Spec) {
		out.Generation++
	}
	*p = *out
}

// ValidateUpdate implements rest.RESTUpdateStrategy.
func (s partStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return s.validate(obj.(*corev1.Pod), old.(*corev1.Pod))
}

// WarningsOnUpdate implements rest.RESTUpdateStrategy.
func (s partStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s partStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return map[fieldpath.APIVersion]*fieldpath.Set{"v1": fieldpath.NewSet(fieldpath.MakePathOrDie("status"), fieldpath.MakePathOrDie("metadata"))}
}

func takeEphemeralContainers(to, from *corev1.Pod) {
	to.Spec.EphemeralContainers = from.Spec.EphemeralContainers
}

// takeResources takes resources and resize policies, container by container.
// When containers were added or removed, all are taken, for validation to refuse.
func takeResources(to, from *corev1.Pod) {
	to.Spec.Containers = resized(to.Spec.Containers, from.Spec.Containers)
	to.Spec.InitContainers = resized(to.Spec.InitContainers, from.Spec.InitContainers)
	if from.Spec.Resources != nil { // otherwise the client does not know of them
		to.Spec.Resources = from.Spec.Resources
	}
	core.CompletePodResources(to)
}

func resized(old, wanted []corev1.Container) []corev1.Container {
	if len(old) != len(wanted) {
		return wanted
	}
	for i := range old {
		if old[i].Name != wanted[i].Name {
			return wanted
		}
		old[i].Resources, old[i].ResizePolicy = wanted[i].Resources, wanted[i].ResizePolicy
	}
	return old
}

// mergeLabelKeys turns matchLabelKeys and mismatchLabelKeys into selector
// requirements on the pod's own labels, so that schedulers need only selectors.
// See https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#matchlabelkeys.
func mergeLabelKeys(p *corev1.Pod) {
	for i := range p.Spec.TopologySpreadConstraints {
		c := &p.Spec.TopologySpreadConstraints[i]
		if c.LabelSelector != nil {
			require(c.LabelSelector, c.MatchLabelKeys, p.Labels, metav1.LabelSelectorOpIn)
		}
	}
	a := p.Spec.Affinity
	if a == nil {
		return
	}
	var terms []*corev1.PodAffinityTerm
	if a.PodAffinity != nil {
		terms = append(terms, termsOf(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	if a.PodAntiAffinity != nil {
		terms = append(terms, termsOf(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)...)
	}
	for _, term := range terms {
		if term.LabelSelector != nil {
			require(term.LabelSelector, term.MatchLabelKeys, p.Labels, metav1.LabelSelectorOpIn)
			require(term.LabelSelector, term.MismatchLabelKeys, p.Labels, metav1.LabelSelectorOpNotIn)
		}
	}
}

func termsOf(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) []*corev1.PodAffinityTerm {
	var terms []*corev1.PodAffinityTerm
	for i := range required {
		terms = append(terms, &required[i])
	}
	for i := range preferred {
		terms = append(terms, &preferred[i].PodAffinityTerm)
	}
	return terms
}

func require(selector *metav1.LabelSelector, keys []string, labels map[string]string, op metav1.LabelSelectorOperator) {
	for _, key := range keys {
		if value, ok := labels[key]; ok {
			selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{Key: key, Operator: op, Values: []string{value}})
		}
	}
}

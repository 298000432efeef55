package pods

import (
	"fmt"
	"maps"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/container"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const updatable = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
	"`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
	"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

// podUpdateOptions returns the options of an update of old.
func podUpdateOptions(old *corev1.Pod) options.Pod {
	o := TemplateOptionsFor(&corev1.PodTemplateSpec{ObjectMeta: old.ObjectMeta, Spec: old.Spec})
	o.ResourceIsPod = true
	return o
}

// ValidatePodUpdate validates an update of a pod through its main resource:
// labels and annotations are free, of the spec very little.
func ValidatePodUpdate(p, old *corev1.Pod) field.ErrorList {
	spec, opts := field.NewPath("spec"), podUpdateOptions(old)
	errs := check.ObjectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podMetaAndSpec(p, opts)...)
	errs = append(errs, podAnnotationsUpdate(p, old, opts)...)
	more, ok := containersUpdate(spec.Child("containers"), p.Spec.Containers, old.Spec.Containers)
	if errs = append(errs, more...); !ok {
		return errs
	}
	more, ok = containersUpdate(spec.Child("initContainers"), p.Spec.InitContainers, old.Spec.InitContainers)
	if errs = append(errs, more...); !ok {
		return errs
	}
	more, ok = deadlineUpdate(spec.Child("activeDeadlineSeconds"), p.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds)
	if errs = append(errs, more...); !ok {
		return errs
	}
	errs = append(errs, tolerationsUpdate(spec.Child("tolerations"), p.Spec.Tolerations, old.Spec.Tolerations)...)
	errs = append(errs, gatesUpdate(spec.Child("schedulingGates"), p.Spec.SchedulingGates, old.Spec.SchedulingGates)...)
	if equality.Semantic.DeepEqual(p.Spec, old.Spec) {
		return errs
	}
	munged := withMutableFieldsOf(p, old)
	if len(old.Spec.SchedulingGates) > 0 {
		errs = append(errs, gatedPlacement(spec, munged, &old.Spec)...)
	}
	if !equality.Semantic.DeepEqual(*munged, old.Spec) {
		errs = append(errs, field.Forbidden(spec, updatable+"\n"+diff.Diff(old.Spec, *munged)))
	}
	return errs
}

// containersUpdate validates containers as an update may have them. It returns
// false if the checks that follow make no sense.
func containersUpdate(fldPath *field.Path, now, old []corev1.Container) (field.ErrorList, bool) {
	if len(now) != len(old) {
		return field.ErrorList{field.Forbidden(fldPath, "pod updates may not add or remove containers")}, false
	}
	var errs field.ErrorList
	for i := range now {
		errs = append(errs, check.Required(fldPath.Index(i).Child("image"), now[i].Image)...)
		errs = append(errs, container.ImageSpaces(fldPath.Index(i), now[i].Image)...)
	}
	return errs, true
}

// withMutableFieldsOf returns the spec of p with everything that an update may
// change set back to what it was in old.
func withMutableFieldsOf(p, old *corev1.Pod) *corev1.PodSpec {
	munged := p.Spec.DeepCopy()
	for i := range munged.Containers {
		munged.Containers[i].Image = old.Spec.Containers[i].Image
	}
	for i := range munged.InitContainers {
		munged.InitContainers[i].Image = old.Spec.InitContainers[i].Image
	}
	munged.ActiveDeadlineSeconds = old.Spec.ActiveDeadlineSeconds
	munged.SchedulingGates = old.Spec.SchedulingGates
	munged.Tolerations = old.Spec.Tolerations
	munged.DeprecatedServiceAccount = old.Spec.DeprecatedServiceAccount
	if g := old.Spec.TerminationGracePeriodSeconds; g != nil && *g < 0 &&
		munged.TerminationGracePeriodSeconds != nil && *munged.TerminationGracePeriodSeconds == 1 {
		munged.TerminationGracePeriodSeconds = g
	}
	return munged
}

// deadlineUpdate validates that a pod's deadline only comes nearer. It returns
// false if nothing else is to be validated.
func deadlineUpdate(fldPath *field.Path, now, old *int64) (field.ErrorList, bool) {
	switch {
	case now != nil && (*now < 0 || *now > math.MaxInt32):
		return field.ErrorList{field.Invalid(fldPath, *now, validation.InclusiveRangeError(0, math.MaxInt32))}, false
	case now != nil && old != nil && *old < *now:
		return field.ErrorList{field.Invalid(fldPath, *now, "must be less than or equal to previous value")}, false
	case now == nil && old != nil:
		return field.ErrorList{field.Invalid(fldPath, now, "must not update from a positive integer to nil value")}, true
	}
	return nil, true
}

func gatesUpdate(fldPath *field.Path, now, old []corev1.PodSchedulingGate) field.ErrorList {
	had := sets.New(old...)
	var errs field.ErrorList
	for i, g := range now {
		if !had.Has(g) && !slices.Contains(now[i+1:], g) {
			errs = append(errs, field.Forbidden(fldPath.Index(i).Child("name"), "only deletion is allowed, but found new scheduling gate '"+g.Name+"'"))
		}
	}
	return errs
}

func tolerationsUpdate(fldPath *field.Path, now, old []corev1.Toleration) field.ErrorList {
	for _, o := range old {
		o.TolerationSeconds = nil
		kept := slices.ContainsFunc(now, func(t corev1.Toleration) bool {
			t.TolerationSeconds = nil
			return t == o
		})
		if !kept {
			return field.ErrorList{field.Forbidden(fldPath, "existing toleration can not be modified except its tolerationSeconds")}
		}
	}
	return scheduling.Tolerations(fldPath, now)
}

// gatedPlacement lets a pod behind scheduling gates become choosier about its
// nodes, never less so, and sets that back in munged.
// See https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/.
func gatedPlacement(spec *field.Path, munged, old *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	for k, v := range old.NodeSelector {
		if got, ok := munged.NodeSelector[k]; !ok || got != v {
			errs = append(errs, field.Invalid(spec.Child("nodeSelector"), munged.NodeSelector, "only additions to spec.nodeSelector are allowed (no mutations or deletions)"))
			break
		}
	}
	munged.NodeSelector = maps.Clone(old.NodeSelector)
	at := spec.Child("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
	errs = append(errs, tighter(at, requiredTerms(munged), requiredTerms(old))...)
	restoreNodeAffinity(munged, old)
	return errs
}

// tighter validates that every term of now is the same term of old with, at most,
// requirements added behind.
func tighter(fldPath *field.Path, now, old []corev1.NodeSelectorTerm) field.ErrorList {
	if len(old) > 0 && len(now) != len(old) {
		return field.ErrorList{field.Invalid(fldPath, hub.Internal(now), "no additions/deletions to non-empty NodeSelectorTerms list are allowed")}
	}
	prefix := func(n, o []corev1.NodeSelectorRequirement) bool {
		return len(n) >= len(o) && equality.Semantic.DeepEqual(n[:len(o)], o)
	}
	var errs field.ErrorList
	for i, o := range old {
		n := now[i]
		empty := len(o.MatchExpressions)+len(o.MatchFields) == 0 // matches nothing, so nothing may be added
		if empty && len(n.MatchExpressions)+len(n.MatchFields) > 0 || !prefix(n.MatchExpressions, o.MatchExpressions) || !prefix(n.MatchFields, o.MatchFields) {
			errs = append(errs, field.Invalid(fldPath.Index(i), hub.Internal(n), "only additions are allowed (no mutations or deletions)"))
		}
	}
	return errs
}

func nodeAffinityOf(s *corev1.PodSpec) *corev1.NodeAffinity {
	if s.Affinity == nil {
		return nil
	}
	return s.Affinity.NodeAffinity
}

func requiredTerms(s *corev1.PodSpec) []corev1.NodeSelectorTerm {
	a := nodeAffinityOf(s)
	if a == nil || a.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	return a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
}

func restoreNodeAffinity(munged, old *corev1.PodSpec) {
	was := nodeAffinityOf(old)
	if equality.Semantic.DeepEqual(nodeAffinityOf(munged), was) {
		return
	}
	switch {
	case munged.Affinity == nil:
		munged.Affinity = &corev1.Affinity{NodeAffinity: was}
	case old.Affinity == nil && munged.Affinity.PodAffinity == nil && munged.Affinity.PodAntiAffinity == nil:
		munged.Affinity = nil
	default:
		munged.Affinity.NodeAffinity = was
	}
}

// ValidatePodEphemeralContainersUpdate validates the subresource
// ephemeralcontainers: they may be added, and nothing else.
func ValidatePodEphemeralContainersUpdate(p, old *corev1.Pod) field.ErrorList {
	at, opts := field.NewPath("spec", "ephemeralContainers"), podUpdateOptions(old)
	if options.IsStatic(&old.ObjectMeta) {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers")}
	}
	errs := check.ObjectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podMetaAndSpec(p, opts)...)
	errs = append(errs, podAnnotationsUpdate(p, old, opts)...)
	byName := map[string]*corev1.EphemeralContainer{}
	for i := range p.Spec.EphemeralContainers {
		byName[p.Spec.EphemeralContainers[i].Name] = &p.Spec.EphemeralContainers[i]
	}
	for i := range old.Spec.EphemeralContainers {
		o := &old.Spec.EphemeralContainers[i]
		switch n := byName[o.Name]; {
		case n == nil:
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", o.Name)))
		case !equality.Semantic.DeepEqual(n, o):
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%v", o.Name, diff.Diff(*o, *n))))
		}
	}
	return errs
}

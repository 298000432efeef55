package core

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

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

const updatable = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`," +
	"`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)," +
	"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

// podUpdateOptions are the options of an update of old.
func podUpdateOptions(old *corev1.Pod) PodOptions {
	o := PodOptionsFor(&old.Spec)
	o.ResourceIsPod = true
	if v, ok := old.Annotations[corev1.PodDeletionCost]; ok {
		o.AllowInvalidDeletionCost = !isDeletionCost(v)
	}
	return o
}

// ValidatePodUpdate validates an update of a pod through its main resource:
// labels and annotations are free, of the spec very little.
func ValidatePodUpdate(p, old *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	errs := objectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podMetaAndSpec(p, podUpdateOptions(old))...)
	errs = append(errs, podAnnotationsUpdate(p, old)...)
	before := len(errs)
	if len(p.Spec.Containers) != len(old.Spec.Containers) {
		errs = append(errs, field.Forbidden(spec.Child("containers"), "pod updates may not add or remove containers"))
	}
	if len(p.Spec.InitContainers) != len(old.Spec.InitContainers) {
		errs = append(errs, field.Forbidden(spec.Child("initContainers"), "pod updates may not add or remove containers"))
	}
	if len(errs) > before {
		return errs
	}
	errs = append(errs, deadlineUpdate(spec.Child("activeDeadlineSeconds"), p.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds)...)
	errs = append(errs, gatesUpdate(spec.Child("schedulingGates"), p.Spec.SchedulingGates, old.Spec.SchedulingGates)...)
	errs = append(errs, tolerationsUpdate(spec.Child("tolerations"), p.Spec.Tolerations, old.Spec.Tolerations)...)
	munged := withMutableFieldsOf(p, old)
	if len(old.Spec.SchedulingGates) > 0 {
		errs = append(errs, gatedPlacement(spec, munged, &old.Spec)...)
	}
	if !equality.Semantic.DeepEqual(*munged, old.Spec) {
		errs = append(errs, field.Forbidden(spec, updatable+"\n"+diff.Diff(*munged, old.Spec)))
	}
	return errs
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

func deadlineUpdate(fldPath *field.Path, now, old *int64) field.ErrorList {
	switch {
	case now != nil && (*now < 0 || *now > math.MaxInt32):
		return field.ErrorList{field.Invalid(fldPath, *now, validation.InclusiveRangeError(0, math.MaxInt32))}
	case now != nil && old != nil && *old < *now:
		return field.ErrorList{field.Invalid(fldPath, *now, "must be less than or equal to previous value")}
	case now == nil && old != nil:
		return field.ErrorList{field.Invalid(fldPath, now, "must not update from a positive integer to nil value")}
	}
	return nil
}

func gatesUpdate(fldPath *field.Path, now, old []corev1.PodSchedulingGate) field.ErrorList {
	had := sets.New(old...)
	for i, g := range now {
		if !had.Has(g) {
			return field.ErrorList{field.Forbidden(fldPath.Index(i), fmt.Sprintf("only deletion is allowed, but found new scheduling gate '%s'", g.Name))}
		}
	}
	return nil
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
	return tolerations(fldPath, now)
}

// gatedPlacement lets a pod behind scheduling gates become choosier about its
// nodes, never less so. What is in order it sets back in munged.
// See https://kubernetes.io/docs/concepts/scheduling-eviction/pod-scheduling-readiness/.
func gatedPlacement(spec *field.Path, munged, old *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	for k, v := range old.NodeSelector {
		if got, ok := munged.NodeSelector[k]; !ok || got != v {
			errs = append(errs, field.Invalid(spec.Child("nodeSelector"), munged.NodeSelector, immutable+": only additions are allowed (no mutations or deletions)"))
			break
		}
	}
	if len(errs) == 0 {
		munged.NodeSelector = maps.Clone(old.NodeSelector)
	}
	at := spec.Child("affinity", "nodeAffinity")
	was, is := nodeAffinityOf(old), nodeAffinityOf(munged)
	if was == nil || is == nil {
		if was != nil {
			errs = append(errs, field.Invalid(at, is, "may not be removed"))
		}
		restoreNodeAffinity(munged, old)
		return errs
	}
	before, after := was.RequiredDuringSchedulingIgnoredDuringExecution, is.RequiredDuringSchedulingIgnoredDuringExecution
	if before != nil && len(before.NodeSelectorTerms) > 0 && !tighter(after, before) {
		return append(errs, field.Invalid(at.Child("requiredDuringSchedulingIgnoredDuringExecution"), after, "only additions to existing terms are allowed"))
	}
	restoreNodeAffinity(munged, old)
	return errs
}

// tighter tells whether every term of now is the same term of old with, at
// most, requirements added behind.
func tighter(now, old *corev1.NodeSelector) bool {
	if now == nil || len(now.NodeSelectorTerms) != len(old.NodeSelectorTerms) {
		return false
	}
	prefix := func(n, o []corev1.NodeSelectorRequirement) bool {
		return len(n) >= len(o) && equality.Semantic.DeepEqual(n[:len(o)], o)
	}
	for i, o := range old.NodeSelectorTerms {
		n := now.NodeSelectorTerms[i]
		empty := len(o.MatchExpressions)+len(o.MatchFields) == 0 // matches nothing, so nothing may be added
		if empty && len(n.MatchExpressions)+len(n.MatchFields) > 0 || !prefix(n.MatchExpressions, o.MatchExpressions) || !prefix(n.MatchFields, o.MatchFields) {
			return false
		}
	}
	return true
}

func nodeAffinityOf(s *corev1.PodSpec) *corev1.NodeAffinity {
	if s.Affinity == nil {
		return nil
	}
	return s.Affinity.NodeAffinity
}

func restoreNodeAffinity(munged, old *corev1.PodSpec) {
	if munged.Affinity == nil && old.Affinity == nil {
		return
	}
	if munged.Affinity == nil {
		munged.Affinity = &corev1.Affinity{}
	}
	munged.Affinity.NodeAffinity = nodeAffinityOf(old)
	if old.Affinity == nil && munged.Affinity.PodAffinity == nil && munged.Affinity.PodAntiAffinity == nil {
		munged.Affinity = nil
	}
}

// ValidatePodEphemeralContainersUpdate validates the subresource
// ephemeralcontainers: they may be added, and nothing else.
func ValidatePodEphemeralContainersUpdate(p, old *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	at := spec.Child("ephemeralContainers")
	errs := objectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podMetaAndSpec(p, podUpdateOptions(old))...)
	if _, static := old.Annotations[corev1.MirrorPodAnnotationKey]; static {
		return append(errs, field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers"))
	}
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
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%v", o.Name, diff.Diff(o, n))))
		}
	}
	return errs
}

// ValidatePodResize validates the subresource resize: CPU and memory of
// containers and sidecars, and of the pod as a whole, may change.
func ValidatePodResize(p, old *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	errs := objectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podMetaAndSpec(p, podUpdateOptions(old))...)
	if _, static := old.Annotations[corev1.MirrorPodAnnotationKey]; static {
		return append(errs, field.Forbidden(field.NewPath(""), "static pods cannot be resized"))
	}
	if p.Spec.OS != nil && p.Spec.OS.Name == corev1.Windows {
		return append(errs, field.Forbidden(field.NewPath(""), "windows pods cannot be resized"))
	}
	if len(p.Spec.Containers) != len(old.Spec.Containers) || len(p.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return append(errs, field.Forbidden(spec, "containers may not be added or removed on resize"))
	}
	if pod.ComputeQOSClass(p) != pod.QOSClass(old) {
		errs = append(errs, field.Invalid(spec, pod.ComputeQOSClass(p), "Pod QOS Class may not change as a result of resizing"))
	}
	if !resizable(old) {
		errs = append(errs, field.Forbidden(spec, "Pod running on node without support for resize"))
	}
	munged := p.Spec.DeepCopy()
	munged.DeprecatedServiceAccount = old.Spec.DeprecatedServiceAccount
	restore := func(at *field.Path, now, was *corev1.ResourceRequirements) {
		errs = append(errs, notRemoved(at.Child("limits"), now.Limits, was.Limits, "resource limits cannot be removed")...)
		errs = append(errs, notRemoved(at.Child("requests"), now.Requests, was.Requests, "resource requests cannot be removed")...)
		now.Limits, now.Requests = restoreResizable(now.Limits, was.Limits), restoreResizable(now.Requests, was.Requests)
	}
	for i := range munged.Containers {
		restore(spec.Child("containers").Index(i).Child("resources"), &munged.Containers[i].Resources, &old.Spec.Containers[i].Resources)
	}
	for i := range munged.InitContainers {
		if pod.IsSidecar(&old.Spec.InitContainers[i]) {
			restore(spec.Child("initContainers").Index(i).Child("resources"), &munged.InitContainers[i].Resources, &old.Spec.InitContainers[i].Resources)
		}
	}
	if munged.Resources != nil && old.Spec.Resources != nil {
		restore(spec.Child("resources"), munged.Resources, old.Spec.Resources)
	}
	if !equality.Semantic.DeepEqual(*munged, old.Spec) {
		errs = append(errs, field.Forbidden(spec, "only cpu and memory resources are mutable\n"+diff.Diff(*munged, old.Spec)))
	}
	return errs
}

// resizable says whether the agent that runs p reports resources, which agents
// that cannot resize do not.
func resizable(p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running != nil {
			return c.Resources != nil
		}
	}
	return true
}

func isResizable(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory
}

func notRemoved(fldPath *field.Path, now, old corev1.ResourceList, msg string) field.ErrorList {
	for _, name := range resourceNames(old) {
		if _, ok := now[name]; !ok && isResizable(name) {
			return field.ErrorList{field.Forbidden(fldPath, msg)}
		}
	}
	return nil
}

// restoreResizable returns now with CPU and memory as they were in old.
func restoreResizable(now, old corev1.ResourceList) corev1.ResourceList {
	out := now.DeepCopy()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		delete(out, name)
		if q, ok := old[name]; ok {
			setResource(&out, name, q)
		}
	}
	return out
}

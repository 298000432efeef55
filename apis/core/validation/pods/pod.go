package pods

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/container"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidatePodCreate validates a new pod, after defaulting and admission.
func ValidatePodCreate(p *corev1.Pod) field.ErrorList {
	errs := podMetaAndSpec(p, options.Pod{})
	spec := field.NewPath("spec")
	if len(p.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "cannot be set on create"))
	}
	if p.Spec.NodeName != "" && len(p.Spec.SchedulingGates) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
	}
	return append(errs, container.ProfilesMatch(spec, p.Annotations, &p.Spec)...)
}

func podMetaAndSpec(p *corev1.Pod, opts options.Pod) field.ErrorList {
	opts.ResourceIsPod, opts.Meta = true, &p.ObjectMeta
	spec := field.NewPath("spec")
	errs := check.ObjectMeta(&p.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, podAnnotations(field.NewPath("metadata", "annotations"), p.Annotations, &p.Spec, opts)...)
	errs = append(errs, ValidatePodSpec(&p.Spec, spec, opts)...)
	if p.Spec.ServiceAccountName == "" {
		errs = append(errs, noTokens(spec.Child("volumes"), p.Spec.Volumes)...)
	}
	if g := p.Spec.TerminationGracePeriodSeconds; g != nil {
		errs = append(errs, check.Nonnegative(spec.Child("terminationGracePeriodSeconds"), *g)...)
	}
	for i := range p.Spec.Containers {
		errs = append(errs, container.ImageSpaces(spec.Child("containers").Index(i), p.Spec.Containers[i].Image)...)
	}
	for i := range p.Spec.InitContainers {
		errs = append(errs, container.ImageSpaces(spec.Child("initContainers").Index(i), p.Spec.InitContainers[i].Image)...)
	}
	return errs
}

// noTokens validates that a pod without a service account gets no tokens of one.
func noTokens(fldPath *field.Path, list []corev1.Volume) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		if list[i].Projected == nil {
			continue
		}
		for j, s := range list[i].Projected.Sources {
			if s.ServiceAccountToken != nil {
				at := fldPath.Index(i).Child("projected", "sources").Index(j).Child("serviceAccountToken")
				errs = append(errs, field.Forbidden(at, "must not be specified when serviceAccountName is not set"))
			}
		}
	}
	return errs
}

const tolerationsAnnotation = "scheduler.alpha.kubernetes.io/tolerations"

// podAnnotations validates the annotations that mean something to Kubernetes.
func podAnnotations(fldPath *field.Path, a map[string]string, spec *corev1.PodSpec, opts options.Pod) field.ErrorList {
	var errs field.ErrorList
	if v, ok := a[corev1.MirrorPodAnnotationKey]; ok && spec.NodeName == "" {
		errs = append(errs, field.Invalid(fldPath.Key(corev1.MirrorPodAnnotationKey), v, "must set spec.nodeName if mirror pod annotation is set"))
	}
	if v := a[tolerationsAnnotation]; v != "" {
		var list []corev1.Toleration
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			errs = append(errs, field.Invalid(fldPath, tolerationsAnnotation, check.InternalTypes(err)))
		} else {
			errs = append(errs, scheduling.Tolerations(fldPath.Child(tolerationsAnnotation), list)...)
		}
	}
	if v, ok := a[corev1.PodDeletionCost]; ok && !opts.AllowInvalidDeletionCost && !isDeletionCost(v) {
		errs = append(errs, field.Invalid(fldPath.Key(corev1.PodDeletionCost), v, "must be a 32bit integer"))
	}
	if v, ok := a[container.SeccompPod]; ok {
		errs = append(errs, seccompAnnotation(fldPath.Child(container.SeccompPod), v)...)
	}
	keys := slices.Sorted(maps.Keys(a))
	for _, k := range keys {
		if strings.HasPrefix(k, container.SeccompContainer) {
			errs = append(errs, seccompAnnotation(fldPath.Child(k), a[k])...)
		}
	}
	for _, k := range keys {
		if name, ok := strings.CutPrefix(k, container.AppArmorContainer); ok {
			errs = append(errs, appArmorAnnotation(fldPath.Key(k), name, a[k], spec)...)
		}
	}
	return errs
}

// isDeletionCost reports whether v is a number as PodDeletionCost has it: without
// a plus sign or zeros before it.
func isDeletionCost(v string) bool {
	if v == "" || v[0] != '-' && v != "0" && (v[0] < '1' || v[0] > '9') {
		return false
	}
	_, err := strconv.ParseInt(v, 10, 32)
	return err == nil
}

func seccompAnnotation(fldPath *field.Path, v string) field.ErrorList {
	if p, ok := strings.CutPrefix(v, container.LocalhostProfile); ok {
		return check.RelativePath(fldPath, p)
	}
	switch v {
	case "runtime/default", "docker/default", "unconfined":
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, v, "must be a valid seccomp profile")}
}

func appArmorAnnotation(fldPath *field.Path, name, v string, spec *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	if c, _ := pod.FindContainer(spec, name); c == nil {
		errs = append(errs, field.Invalid(fldPath, name, "container not found"))
	}
	switch {
	case v == "", v == "runtime/default", v == "unconfined", strings.HasPrefix(v, container.LocalhostProfile):
	default:
		errs = append(errs, field.Invalid(fldPath, v, fmt.Sprintf("invalid AppArmor profile name: %q", v)))
	}
	return errs
}

// podAnnotationsUpdate validates which annotations stay as they are for a pod's
// life, and validates the others.
func podAnnotationsUpdate(p, old *corev1.Pod, opts options.Pod) field.ErrorList {
	var errs field.ErrorList
	fldPath := field.NewPath("metadata", "annotations")
	frozen := func(verb, k string) {
		if strings.HasPrefix(k, container.AppArmorContainer) {
			errs = append(errs, field.Forbidden(fldPath.Key(k), "may not "+verb+" AppArmor annotations"))
		}
		if k == corev1.MirrorPodAnnotationKey {
			errs = append(errs, field.Forbidden(fldPath.Key(k), "may not "+verb+" mirror pod annotation"))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(old.Annotations)) {
		if v, ok := p.Annotations[k]; !ok || v != old.Annotations[k] {
			frozen("remove or update", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(p.Annotations)) {
		if _, ok := old.Annotations[k]; !ok {
			frozen("add", k)
		}
	}
	return append(errs, podAnnotations(fldPath, p.Annotations, &p.Spec, opts)...)
}

// ValidatePodBinding validates the answer of a scheduler.
func ValidatePodBinding(b *corev1.Binding) field.ErrorList {
	var errs field.ErrorList
	k, at := b.Target.Kind, field.NewPath("target", "name")
	if k != "" && k != "Node" {
		errs = append(errs, field.NotSupported(field.NewPath("target", "kind"), k, []string{"Node", "<empty>"}))
	}
	switch {
	case b.Target.Name == "":
		errs = append(errs, field.Required(at, ""))
	case k == "" || k == "Node":
		errs = append(errs, check.Invalid(at, b.Target.Name, check.IsSubdomain(b.Target.Name))...)
	}
	return errs
}

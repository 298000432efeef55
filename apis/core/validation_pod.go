package core

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// ValidatePodCreate validates a new pod, after defaulting and admission.
func ValidatePodCreate(p *corev1.Pod) field.ErrorList {
	errs := podMetaAndSpec(p, PodOptions{})
	spec := field.NewPath("spec")
	if len(p.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "cannot be set on create"))
	}
	if p.Spec.NodeName != "" && len(p.Spec.SchedulingGates) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
	}
	return errs
}

func podMetaAndSpec(p *corev1.Pod, opts PodOptions) field.ErrorList {
	opts.ResourceIsPod = true
	errs := objectMeta(&p.ObjectMeta, true, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, podAnnotations(field.NewPath("metadata", "annotations"), p.Annotations, &p.Spec, opts)...)
	errs = append(errs, ValidatePodSpec(&p.Spec, field.NewPath("spec"), opts)...)
	if p.Spec.ServiceAccountName != "" {
		return errs
	}
	for i := range p.Spec.Volumes {
		if p.Spec.Volumes[i].Projected == nil {
			continue
		}
		for j, s := range p.Spec.Volumes[i].Projected.Sources {
			if s.ServiceAccountToken != nil {
				at := field.NewPath("spec", "volumes").Index(i).Child("projected", "sources").Index(j).Child("serviceAccountToken")
				errs = append(errs, field.Forbidden(at, "must not be specified when serviceAccountName is not set"))
			}
		}
	}
	return errs
}

const (
	tolerationsAnnotation = "scheduler.alpha.kubernetes.io/tolerations"
	seccompPod            = "seccomp.security.alpha.kubernetes.io/pod"
	seccompContainer      = "container.seccomp.security.alpha.kubernetes.io/"
	appArmorContainer     = corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix
	appArmorLocalhost     = "localhost/"
)

// podAnnotations validates the annotations that mean something to Kubernetes.
func podAnnotations(fldPath *field.Path, a map[string]string, spec *corev1.PodSpec, opts PodOptions) field.ErrorList {
	var errs field.ErrorList
	if v, ok := a[corev1.MirrorPodAnnotationKey]; ok && spec.NodeName == "" {
		errs = append(errs, field.Invalid(fldPath.Key(corev1.MirrorPodAnnotationKey), v, "must set spec.nodeName if mirror pod annotation is set"))
	}
	if v := a[tolerationsAnnotation]; v != "" {
		var list []corev1.Toleration
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			errs = append(errs, field.Invalid(fldPath, tolerationsAnnotation, err.Error()))
		}
		errs = append(errs, tolerations(fldPath.Child(tolerationsAnnotation), list)...)
	}
	if v, ok := a[corev1.PodDeletionCost]; ok && !opts.AllowInvalidDeletionCost && !isDeletionCost(v) {
		errs = append(errs, field.Invalid(fldPath.Key(corev1.PodDeletionCost), v, "must be a 32bit integer"))
	}
	for k, v := range a {
		switch {
		case k == seccompPod || strings.HasPrefix(k, seccompContainer):
			errs = append(errs, seccompAnnotation(fldPath.Key(k), v)...)
		case strings.HasPrefix(k, appArmorContainer):
			errs = append(errs, appArmorAnnotation(fldPath.Key(k), strings.TrimPrefix(k, appArmorContainer), v, spec)...)
		}
	}
	return errs
}

func isDeletionCost(v string) bool {
	if v == "" || strings.HasPrefix(v, "+") || len(v) > 1 && v[0] == '0' {
		return false
	}
	_, err := strconv.ParseInt(v, 10, 32)
	return err == nil
}

func seccompAnnotation(fldPath *field.Path, v string) field.ErrorList {
	if p, ok := strings.CutPrefix(v, "localhost/"); ok {
		return relativePath(fldPath, p)
	}
	switch v {
	case "runtime/default", "docker/default", "unconfined":
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, v, "must be a valid seccomp profile")}
}

func appArmorAnnotation(fldPath *field.Path, container, v string, spec *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	if c, _ := pod.FindContainer(spec, container); c == nil {
		errs = append(errs, field.Invalid(fldPath, container, "container not found"))
	}
	switch {
	case v == "", v == "runtime/default", v == "unconfined", strings.HasPrefix(v, appArmorLocalhost):
	default:
		errs = append(errs, field.Invalid(fldPath, v, fmt.Sprintf("invalid AppArmor profile name: %q", v)))
	}
	return errs
}

// podAnnotationsUpdate says which annotations stay as they are for a pod's life.
func podAnnotationsUpdate(p, old *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	fldPath := field.NewPath("metadata", "annotations")
	was := old.Annotations
	for k, v := range p.Annotations {
		if before, ok := was[k]; ok && before == v {
			continue
		}
		if strings.HasPrefix(k, appArmorContainer) {
			errs = append(errs, field.Forbidden(fldPath.Key(k), "may not remove or update AppArmor annotations"))
		}
		if k == corev1.MirrorPodAnnotationKey {
			errs = append(errs, field.Forbidden(fldPath.Key(k), "may not add mirror pod annotation"))
		}
	}
	for k := range was {
		if _, ok := p.Annotations[k]; ok {
			continue
		}
		if strings.HasPrefix(k, appArmorContainer) {
			errs = append(errs, field.Forbidden(fldPath.Key(k), "may not remove or update AppArmor annotations"))
		}
		if k == corev1.MirrorPodAnnotationKey {
			errs = append(errs, field.Forbidden(fldPath.Key(k), "may not remove or update mirror pod annotation"))
		}
	}
	return errs
}

// ValidatePodBinding validates the answer of a scheduler.
func ValidatePodBinding(b *corev1.Binding) field.ErrorList {
	var errs field.ErrorList
	if k := b.Target.Kind; k != "" && k != "Node" {
		errs = append(errs, field.NotSupported(field.NewPath("target", "kind"), k, []string{"Node", "<empty>"}))
	}
	return append(errs, required(field.NewPath("target", "name"), b.Target.Name)...)
}

package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core"
)

// ValidateStatefulSet validates a new StatefulSet. Its name becomes part of
// its pods' host names, so it must be a DNS label.
func ValidateStatefulSet(sts *appsv1.StatefulSet) field.ErrorList {
	errs := validation.ValidateObjectMeta(&sts.ObjectMeta, true, validation.NameIsDNSLabel, field.NewPath("metadata"))
	errs = append(errs, validateStatefulSetSpec(&sts.Spec, nil)...)
	if sts.Spec.ServiceName != "" {
		for _, msg := range utilvalidation.IsDNS1123Label(sts.Spec.ServiceName) {
			errs = append(errs, field.Invalid(specPath.Child("serviceName"), sts.Spec.ServiceName, msg))
		}
	}
	return errs
}

// ValidateStatefulSetUpdate validates a changed StatefulSet, of which little may change.
func ValidateStatefulSetUpdate(sts, old *appsv1.StatefulSet) field.ErrorList {
	errs := validateMetaUpdate(&sts.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, validateStatefulSetSpec(&sts.Spec, &old.Spec)...)
	for _, f := range []struct {
		name    string
		is, was any
	}{
		{"selector", sts.Spec.Selector, old.Spec.Selector},
		{"volumeClaimTemplates", sts.Spec.VolumeClaimTemplates, old.Spec.VolumeClaimTemplates},
		{"serviceName", sts.Spec.ServiceName, old.Spec.ServiceName},
		{"podManagementPolicy", sts.Spec.PodManagementPolicy, old.Spec.PodManagementPolicy},
	} {
		errs = append(errs, validation.ValidateImmutableField(f.is, f.was, specPath.Child(f.name))...)
	}
	return errs
}

func validateStatefulSetSpec(spec, old *appsv1.StatefulSetSpec) field.ErrorList {
	var (
		selector *metav1.LabelSelector
		template *corev1.PodTemplateSpec
	)
	if old != nil {
		selector, template = old.Selector, &old.Template
	}
	var errs field.ErrorList
	switch policies := []appsv1.PodManagementPolicyType{appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement}; spec.PodManagementPolicy {
	case "":
		errs = append(errs, field.Required(specPath.Child("podManagementPolicy"), ""))
	case policies[0], policies[1]:
	default:
		errs = append(errs, field.Invalid(specPath.Child("podManagementPolicy"), spec.PodManagementPolicy,
			fmt.Sprintf("must be '%s' or '%s'", policies[0], policies[1])))
	}
	errs = append(errs, validateStatefulSetStrategy(&spec.UpdateStrategy, specPath.Child("updateStrategy"))...)
	errs = append(errs, validateClaimRetention(spec.PersistentVolumeClaimRetentionPolicy, specPath.Child("persistentVolumeClaimRetentionPolicy"))...)
	errs = append(errs, nonnegative(ptr.Deref(spec.Replicas, 1), specPath.Child("replicas"))...)
	errs = append(errs, nonnegative(spec.MinReadySeconds, specPath.Child("minReadySeconds"))...)
	if spec.Ordinals != nil {
		errs = append(errs, nonnegative(spec.Ordinals.Start, specPath.Child("ordinals", "start"))...)
	}
	if n := spec.RevisionHistoryLimit; n != nil {
		errs = append(errs, nonnegative(*n, specPath.Child("revisionHistoryLimit"))...)
	}
	errs = append(errs, validateSelector("statefulset", spec.Selector, &spec.Template, selectorOptions(selector), specPath)...)
	if old == nil {
		for i := range spec.VolumeClaimTemplates {
			errs = append(errs, core.ValidatePersistentVolumeClaimSpec(&spec.VolumeClaimTemplates[i].Spec, specPath.Child("volumeClaimTemplates").Index(i).Child("spec"))...)
		}
	}
	// Every pod has its own claims, so that the count does not matter to disks.
	return append(errs, validateTemplate("StatefulSet", asMade(spec), template, 1, specPath.Child("template"))...)
}

// asMade is the template as pods are made of it: with the volumes of the claim
// templates, in place of others of the same name, and names of its own.
func asMade(spec *appsv1.StatefulSetSpec) *corev1.PodTemplateSpec {
	if len(spec.VolumeClaimTemplates) == 0 && spec.Template.Spec.Subdomain == "" && spec.Template.Spec.Hostname == "" {
		return &spec.Template
	}
	made := spec.Template
	made.Spec.Subdomain, made.Spec.Hostname = "", ""
	made.Spec.Volumes = nil
	claimed := map[string]bool{}
	for i := range spec.VolumeClaimTemplates {
		name := spec.VolumeClaimTemplates[i].Name
		if claimed[name] {
			continue
		}
		claimed[name] = true
		made.Spec.Volumes = append(made.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}})
	}
	for _, v := range spec.Template.Spec.Volumes {
		if !claimed[v.Name] {
			made.Spec.Volumes = append(made.Spec.Volumes, v)
		}
	}
	return &made
}

func validateStatefulSetStrategy(s *appsv1.StatefulSetUpdateStrategy, path *field.Path) field.ErrorList {
	switch s.Type {
	case "":
		return field.ErrorList{field.Required(path, "")}
	case appsv1.OnDeleteStatefulSetStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Invalid(path.Child("rollingUpdate"), s.RollingUpdate, fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType))}
		}
		return nil
	case appsv1.RollingUpdateStatefulSetStrategyType:
		if s.RollingUpdate == nil {
			return nil
		}
		at := path.Child("rollingUpdate")
		errs := nonnegative(ptr.Deref(s.RollingUpdate.Partition, 0), at.Child("partition"))
		if max := s.RollingUpdate.MaxUnavailable; max != nil {
			errs = append(errs, validateCount(*max, at.Child("maxUnavailable"))...)
			if isZero(*max) {
				errs = append(errs, field.Invalid(at.Child("maxUnavailable"), *max, "cannot be 0"))
			}
			errs = append(errs, notMoreThan100Percent(*max, at.Child("maxUnavailable"))...)
		}
		return errs
	}
	return field.ErrorList{field.Invalid(path, *s, fmt.Sprintf("must be '%s' or '%s'",
		appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType))}
}

func validateClaimRetention(p *appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	var errs field.ErrorList
	known := []appsv1.PersistentVolumeClaimRetentionPolicyType{appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType}
	if p.WhenDeleted != known[0] && p.WhenDeleted != known[1] {
		errs = append(errs, field.NotSupported(path.Child("whenDeleted"), p.WhenDeleted, known))
	}
	if p.WhenScaled != known[0] && p.WhenScaled != known[1] {
		errs = append(errs, field.NotSupported(path.Child("whenScaled"), p.WhenScaled, known))
	}
	return errs
}

// ValidateStatefulSetStatusUpdate validates what the statefulset controller wrote.
func ValidateStatefulSetStatusUpdate(sts, old *appsv1.StatefulSet) field.ErrorList {
	path, s := field.NewPath("status"), &sts.Status
	errs := counts{
		{"replicas", s.Replicas}, {"readyReplicas", s.ReadyReplicas}, {"currentReplicas", s.CurrentReplicas},
		{"updatedReplicas", s.UpdatedReplicas}, {"availableReplicas", s.AvailableReplicas},
	}.nonnegative(path)
	errs = append(errs, validation.ValidateNonnegativeField(s.ObservedGeneration, path.Child("observedGeneration"))...)
	const total = "status.replicas"
	errs = append(errs, noGreater(s.ReadyReplicas, s.Replicas, path.Child("readyReplicas"), total)...)
	errs = append(errs, noGreater(s.CurrentReplicas, s.Replicas, path.Child("currentReplicas"), total)...)
	errs = append(errs, noGreater(s.UpdatedReplicas, s.Replicas, path.Child("updatedReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.Replicas, path.Child("availableReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.ReadyReplicas, path.Child("availableReplicas"), "status.readyReplicas")...)
	errs = append(errs, notDecreasing(s.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
	return append(errs, validateMetaUpdate(&sts.ObjectMeta, &old.ObjectMeta)...)
}

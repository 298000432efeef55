package apps

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateStatefulSet validates a new StatefulSet. Its name becomes part of
// its pods' host names, so it must be a DNS label.
func ValidateStatefulSet(sts *appsv1.StatefulSet) field.ErrorList {
	errs := validation.ValidateObjectMeta(&sts.ObjectMeta, true, validation.NameIsDNSLabel, field.NewPath("metadata"))
	return append(errs, validateStatefulSetSpec(&sts.Spec, statefulSetOptions{asNew: true})...)
}

// ValidateStatefulSetUpdate validates a changed StatefulSet, of which little may
// change. A template is not validated again if the stored object is invalid: an
// older version may have accepted it.
func ValidateStatefulSetUpdate(sts, old *appsv1.StatefulSet) field.ErrorList {
	errs := validateMetaUpdate(&sts.ObjectMeta, &old.ObjectMeta)
	opts := statefulSetOptions{template: &old.Spec.Template}
	opts.anyTemplate = len(validateStatefulSetSpec(&old.Spec, opts)) > 0
	errs = append(errs, validateStatefulSetSpec(&sts.Spec, opts)...)
	errs = append(errs, validation.ValidateImmutableField(sts.Spec.Selector, old.Spec.Selector, specPath.Child("selector"))...)
	if !equality.Semantic.DeepEqual(sts.Spec.VolumeClaimTemplates, old.Spec.VolumeClaimTemplates) {
		errs = append(errs, field.Invalid(specPath.Child("volumeClaimTemplates"), hub.Internal(withoutKind(sts.Spec.VolumeClaimTemplates)), validation.FieldImmutableErrorMsg))
	}
	errs = append(errs, validation.ValidateImmutableField(sts.Spec.ServiceName, old.Spec.ServiceName, specPath.Child("serviceName"))...)
	return append(errs, validation.ValidateImmutableField(sts.Spec.PodManagementPolicy, old.Spec.PodManagementPolicy, specPath.Child("podManagementPolicy"))...)
}

// withoutKind returns claim templates as upstream's internal type has them.
func withoutKind(claims []corev1.PersistentVolumeClaim) []corev1.PersistentVolumeClaim {
	claims = slices.Clone(claims)
	for i := range claims {
		claims[i].TypeMeta = metav1.TypeMeta{}
	}
	return claims
}

// statefulSetOptions selects which parts of a StatefulSet are validated.
type statefulSetOptions struct {
	asNew       bool                    // serviceName and claim templates, which never change
	template    *corev1.PodTemplateSpec // the stored one, nil of a new object
	anyTemplate bool
}

func validateStatefulSetSpec(spec *appsv1.StatefulSetSpec, opts statefulSetOptions) field.ErrorList {
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
	if opts.asNew {
		for i := range spec.VolumeClaimTemplates {
			errs = append(errs, volume.ValidatePersistentVolumeClaimSpec(&spec.VolumeClaimTemplates[i].Spec, specPath.Child("volumeClaimTemplates").Index(i).Child("spec"))...)
		}
	}
	errs = append(errs, check.Nonnegative(specPath.Child("replicas"), ptr.Deref(spec.Replicas, 1))...)
	errs = append(errs, check.Nonnegative(specPath.Child("minReadySeconds"), spec.MinReadySeconds)...)
	if spec.Ordinals != nil {
		errs = append(errs, check.Nonnegative(specPath.Child("ordinals", "start"), spec.Ordinals.Start)...)
	}
	if opts.asNew && spec.ServiceName != "" {
		for _, msg := range utilvalidation.IsDNS1123Label(spec.ServiceName) {
			errs = append(errs, field.Invalid(specPath.Child("serviceName"), spec.ServiceName, msg))
		}
	}
	errs = append(errs, validateStatefulSetTemplate(spec, opts)...)
	return append(errs, validateLasting("StatefulSet", &spec.Template, specPath.Child("template"))...)
}

// validateStatefulSetTemplate validates the selector and, unless it is no
// selector at all, the template.
func validateStatefulSetTemplate(spec *appsv1.StatefulSetSpec, opts statefulSetOptions) field.ErrorList {
	var errs field.ErrorList
	at, path := specPath.Child("selector"), specPath.Child("template")
	if s := spec.Selector; s == nil {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, at)...)
		if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
			errs = append(errs, field.Invalid(at, s, "empty selector is invalid for statefulset"))
		}
	}
	selector, err := metav1.LabelSelectorAsSelector(spec.Selector)
	if err != nil {
		return append(errs, field.Invalid(at, spec.Selector, ""))
	}
	errs = append(errs, validateMatch(selector, &spec.Template, path)...)
	found := validatePodTemplate(asMade(spec), opts.template, path)
	if !opts.anyTemplate {
		errs = append(errs, found...)
	}
	// Upstream validates labels and annotations once more.
	for _, e := range found {
		if strings.HasPrefix(e.Field, path.Child("labels").String()) || strings.HasPrefix(e.Field, path.Child("annotations").String()) {
			errs = append(errs, e)
		}
	}
	return errs
}

// asMade returns the template as pods are made of it: with the volumes of the
// claim templates, in place of others of the same name, and names of its own.
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
			return field.ErrorList{field.Invalid(path.Child("rollingUpdate"), hub.Internal(internalStrategy(s).RollingUpdate), fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType))}
		}
		return nil
	case appsv1.RollingUpdateStatefulSetStrategyType:
		if s.RollingUpdate == nil {
			return nil
		}
		at := path.Child("rollingUpdate")
		errs := check.Nonnegative(at.Child("partition"), ptr.Deref(s.RollingUpdate.Partition, 0))
		if max := s.RollingUpdate.MaxUnavailable; max != nil {
			errs = append(errs, validateCount(*max, at.Child("maxUnavailable"))...)
			if isZero(*max) {
				errs = append(errs, field.Invalid(at.Child("maxUnavailable"), *max, "cannot be 0"))
			}
			errs = append(errs, notMoreThan100Percent(*max, at.Child("maxUnavailable"))...)
		}
		return errs
	}
	return field.ErrorList{field.Invalid(path, hub.Internal(internalStrategy(s)), fmt.Sprintf("must be '%s' or '%s'",
		appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType))}
}

// internalStrategy returns a strategy as upstream's internal type has it, whose
// partition is no pointer.
func internalStrategy(s *appsv1.StatefulSetUpdateStrategy) *appsv1.StatefulSetUpdateStrategy {
	s = s.DeepCopy()
	if s.RollingUpdate != nil {
		orElse(&s.RollingUpdate.Partition, 0)
	}
	return s
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
	errs = append(errs, optional(s.CollisionCount, path.Child("collisionCount"))...)
	const total = "status.replicas"
	errs = append(errs, noGreater(s.ReadyReplicas, s.Replicas, path.Child("readyReplicas"), total)...)
	errs = append(errs, noGreater(s.CurrentReplicas, s.Replicas, path.Child("currentReplicas"), total)...)
	errs = append(errs, noGreater(s.UpdatedReplicas, s.Replicas, path.Child("updatedReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.Replicas, path.Child("availableReplicas"), total)...)
	errs = append(errs, noGreater(s.AvailableReplicas, s.ReadyReplicas, path.Child("availableReplicas"), "status.readyReplicas")...)
	errs = append(errs, validateMetaUpdate(&sts.ObjectMeta, &old.ObjectMeta)...)
	return append(errs, notDecremented(s.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
}

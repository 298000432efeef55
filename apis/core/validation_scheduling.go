package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const nodeNameField = "metadata.name" // the one field that matchFields knows

func affinity(fldPath *field.Path, a *corev1.Affinity, opts PodOptions) field.ErrorList {
	if a == nil {
		return nil
	}
	var errs field.ErrorList
	if a.NodeAffinity != nil {
		errs = append(errs, nodeAffinity(fldPath.Child("nodeAffinity"), a.NodeAffinity)...)
	}
	if p := a.PodAffinity; p != nil {
		errs = append(errs, podAffinity(fldPath.Child("podAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, opts)...)
	}
	if p := a.PodAntiAffinity; p != nil {
		errs = append(errs, podAffinity(fldPath.Child("podAntiAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, opts)...)
	}
	return errs
}

func nodeAffinity(fldPath *field.Path, a *corev1.NodeAffinity) field.ErrorList {
	var errs field.ErrorList
	if r := a.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
		errs = nodeSelector(fldPath.Child("requiredDuringSchedulingIgnoredDuringExecution"), r)
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		t, at := &a.PreferredDuringSchedulingIgnoredDuringExecution[i], fldPath.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		errs = append(errs, weight(at.Child("weight"), t.Weight)...)
		errs = append(errs, nodeSelectorTerm(at.Child("preference"), &t.Preference)...)
	}
	return errs
}

func weight(fldPath *field.Path, w int32) field.ErrorList {
	if w < 1 || w > 100 {
		return field.ErrorList{field.Invalid(fldPath, w, "must be in the range 1-100")}
	}
	return nil
}

func nodeSelector(fldPath *field.Path, s *corev1.NodeSelector) field.ErrorList {
	at := fldPath.Child("nodeSelectorTerms")
	if len(s.NodeSelectorTerms) == 0 {
		return field.ErrorList{field.Required(at, "must have at least one node selector term")}
	}
	var errs field.ErrorList
	for i := range s.NodeSelectorTerms {
		errs = append(errs, nodeSelectorTerm(at.Index(i), &s.NodeSelectorTerms[i])...)
	}
	return errs
}

func nodeSelectorTerm(fldPath *field.Path, t *corev1.NodeSelectorTerm) field.ErrorList {
	var errs field.ErrorList
	for i := range t.MatchExpressions {
		errs = append(errs, nodeLabels(fldPath.Child("matchExpressions").Index(i), &t.MatchExpressions[i])...)
	}
	for i := range t.MatchFields {
		errs = append(errs, nodeFields(fldPath.Child("matchFields").Index(i), &t.MatchFields[i])...)
	}
	return errs
}

func nodeLabels(fldPath *field.Path, r *corev1.NodeSelectorRequirement) field.ErrorList {
	var errs field.ErrorList
	at := fldPath.Child("values")
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) == 0 {
			errs = append(errs, field.Required(at, "must be specified when `operator` is 'In' or 'NotIn'"))
		}
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			errs = append(errs, field.Forbidden(at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
		}
	default:
		errs = append(errs, field.Invalid(fldPath.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	return append(errs, metavalidation.ValidateLabelName(r.Key, fldPath.Child("key"))...)
}

func nodeFields(fldPath *field.Path, r *corev1.NodeSelectorRequirement) field.ErrorList {
	var errs field.ErrorList
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(fldPath.Child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
		}
	default:
		errs = append(errs, field.Invalid(fldPath.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	if r.Key != nodeNameField {
		return append(errs, field.Invalid(fldPath.Child("key"), r.Key, "not a valid field selector key"))
	}
	for i, v := range r.Values {
		errs = append(errs, invalid(fldPath.Child("values").Index(i), v, isSubdomain(v))...)
	}
	return errs
}

func podAffinity(fldPath *field.Path, req []corev1.PodAffinityTerm, pref []corev1.WeightedPodAffinityTerm, opts PodOptions) field.ErrorList {
	var errs field.ErrorList
	for i := range req {
		errs = append(errs, podAffinityTerm(fldPath.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i), &req[i], opts)...)
	}
	for i := range pref {
		at := fldPath.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		errs = append(errs, weight(at.Child("weight"), pref[i].Weight)...)
		errs = append(errs, podAffinityTerm(at.Child("podAffinityTerm"), &pref[i].PodAffinityTerm, opts)...)
	}
	return errs
}

func podAffinityTerm(fldPath *field.Path, t *corev1.PodAffinityTerm, opts PodOptions) field.ErrorList {
	errs := labelSelector(fldPath.Child("labelSelector"), t.LabelSelector, opts)
	errs = append(errs, labelSelector(fldPath.Child("namespaceSelector"), t.NamespaceSelector, opts)...)
	for _, ns := range t.Namespaces {
		errs = append(errs, invalid(fldPath.Child("namespace"), ns, validation.IsDNS1123Label(ns))...)
	}
	errs = append(errs, affinityLabelKeys(fldPath, t)...)
	return append(errs, topologyKey(fldPath.Child("topologyKey"), t.TopologyKey)...)
}

func topologyKey(fldPath *field.Path, key string) field.ErrorList {
	if key == "" {
		return field.ErrorList{field.Required(fldPath, "can not be empty")}
	}
	return metavalidation.ValidateLabelName(key, fldPath)
}

// affinityLabelKeys validates matchLabelKeys and mismatchLabelKeys, which the
// server merges into the label selector when a pod is made: a key whose merged
// requirement is there is no conflict.
func affinityLabelKeys(fldPath *field.Path, t *corev1.PodAffinityTerm) field.ErrorList {
	var errs field.ErrorList
	check := func(name string, keys []string, merged metav1.LabelSelectorOperator) {
		at := fldPath.Child(name)
		if len(keys) > 0 && t.LabelSelector == nil {
			errs = append(errs, field.Forbidden(at, "must not be specified when labelSelector is not set"))
		}
		for i, key := range keys {
			errs = append(errs, metavalidation.ValidateLabelName(key, at.Index(i))...)
			if t.LabelSelector != nil && selects(t.LabelSelector, key, merged) {
				errs = append(errs, field.Invalid(at.Index(i), key, "exists in both "+name+" and labelSelector"))
			}
		}
	}
	check("matchLabelKeys", t.MatchLabelKeys, metav1.LabelSelectorOpIn)
	check("mismatchLabelKeys", t.MismatchLabelKeys, metav1.LabelSelectorOpNotIn)
	for i, key := range t.MismatchLabelKeys {
		if slices.Contains(t.MatchLabelKeys, key) {
			errs = append(errs, field.Invalid(fldPath.Child("mismatchLabelKeys").Index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys"))
		}
	}
	return errs
}

// selects tells whether s asks for key, other than by one requirement with one
// value and the operator merged.
func selects(s *metav1.LabelSelector, key string, merged metav1.LabelSelectorOperator) bool {
	if _, ok := s.MatchLabels[key]; ok {
		return true
	}
	n := 0
	for _, r := range s.MatchExpressions {
		if r.Key != key {
			continue
		}
		if n++; n > 1 || r.Operator != merged || len(r.Values) != 1 {
			return true
		}
	}
	return false
}

func tolerations(fldPath *field.Path, list []corev1.Toleration) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		t, at := &list[i], fldPath.Index(i)
		if t.Key != "" {
			errs = append(errs, metavalidation.ValidateLabelName(t.Key, at.Child("key"))...)
		} else if t.Operator != corev1.TolerationOpExists {
			errs = append(errs, field.Invalid(at.Child("operator"), t.Operator, "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
		}
		if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
			errs = append(errs, field.Invalid(at.Child("effect"), t.Effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
		}
		switch t.Operator {
		case corev1.TolerationOpEqual, "":
			if msgs := validation.IsValidLabelValue(t.Value); len(msgs) > 0 {
				errs = append(errs, field.Invalid(at.Child("operator"), t.Value, strings.Join(msgs, ";")))
			}
		case corev1.TolerationOpExists:
			if t.Value != "" {
				errs = append(errs, field.Invalid(at.Child("operator"), *t, "value must be empty when `operator` is 'Exists'"))
			}
		default:
			errs = append(errs, field.NotSupported(at.Child("operator"), t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
		}
		if t.Effect != "" {
			errs = append(errs, taintEffect(at.Child("effect"), t.Effect)...)
		}
	}
	return errs
}

func taintEffect(fldPath *field.Path, e corev1.TaintEffect) field.ErrorList {
	return requiredOneOf(fldPath, e, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
}

func spreadConstraints(fldPath *field.Path, list []corev1.TopologySpreadConstraint, opts PodOptions) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range list {
		c, at := &list[i], fldPath.Index(i)
		if c.MaxSkew <= 0 {
			errs = append(errs, field.Invalid(at.Child("maxSkew"), c.MaxSkew, mustBePositive))
		}
		errs = append(errs, topologyKey(at.Child("topologyKey"), c.TopologyKey)...)
		errs = append(errs, oneOf(at.Child("whenUnsatisfiable"), c.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)...)
		pair := fmt.Sprintf("{%v, %v}", c.TopologyKey, c.WhenUnsatisfiable)
		if seen.Has(pair) {
			errs = append(errs, field.Duplicate(at.Child("{topologyKey, whenUnsatisfiable}"), pair))
		}
		seen.Insert(pair)
		if c.MinDomains != nil {
			if *c.MinDomains <= 0 {
				errs = append(errs, field.Invalid(at.Child("minDomains"), *c.MinDomains, mustBePositive))
			}
			if c.WhenUnsatisfiable != corev1.DoNotSchedule {
				errs = append(errs, field.Invalid(at.Child("minDomains"), *c.MinDomains,
					fmt.Sprintf("can only use minDomains if whenUnsatisfiable=%s, not %s", corev1.DoNotSchedule, c.WhenUnsatisfiable)))
			}
		}
		errs = append(errs, optionalOneOf(at.Child("nodeAffinityPolicy"), c.NodeAffinityPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)...)
		errs = append(errs, optionalOneOf(at.Child("nodeTaintsPolicy"), c.NodeTaintsPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)...)
		errs = append(errs, spreadLabelKeys(at.Child("matchLabelKeys"), c)...)
		errs = append(errs, labelSelector(at.Child("labelSelector"), c.LabelSelector, opts)...)
	}
	return errs
}

func spreadLabelKeys(fldPath *field.Path, c *corev1.TopologySpreadConstraint) field.ErrorList {
	if len(c.MatchLabelKeys) == 0 {
		return nil
	}
	if c.LabelSelector == nil {
		return field.ErrorList{field.Forbidden(fldPath, "must not be specified when labelSelector is not set")}
	}
	var errs field.ErrorList
	for i, key := range c.MatchLabelKeys {
		errs = append(errs, metavalidation.ValidateLabelName(key, fldPath.Index(i))...)
		if selects(c.LabelSelector, key, metav1.LabelSelectorOpIn) {
			errs = append(errs, field.Invalid(fldPath.Index(i), key, "exists in both matchLabelKeys and labelSelector"))
		}
	}
	return errs
}

// ValidateNodeSelector validates a selector of nodes outside of pods.
func ValidateNodeSelector(s *corev1.NodeSelector, path *field.Path) field.ErrorList {
	return nodeSelector(path, s)
}

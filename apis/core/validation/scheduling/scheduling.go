package scheduling

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

	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const nodeNameField = "metadata.name" // the one field that matchFields supports

// Affinity validates where a pod wants to run; nil is valid.
func Affinity(fldPath *field.Path, a *corev1.Affinity, opts options.Pod) field.ErrorList {
	if a == nil {
		return nil
	}
	var errs field.ErrorList
	if a.NodeAffinity != nil {
		errs = append(errs, nodeAffinity(fldPath.Child("nodeAffinity"), a.NodeAffinity, opts.AllowInvalidNodeLabelValues)...)
	}
	if p := a.PodAffinity; p != nil {
		errs = append(errs, podAffinity(fldPath.Child("podAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, opts)...)
	}
	if p := a.PodAntiAffinity; p != nil {
		errs = append(errs, podAffinity(fldPath.Child("podAntiAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, opts)...)
	}
	return errs
}

// nodeAffinity validates what nodes a pod wants. Values that no label can have
// are let pass where nodes are only preferred: upstream warns of them.
func nodeAffinity(fldPath *field.Path, a *corev1.NodeAffinity, lax bool) field.ErrorList {
	var errs field.ErrorList
	if r := a.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
		errs = NodeSelector(fldPath.Child("requiredDuringSchedulingIgnoredDuringExecution"), r, lax)
	}
	for i := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		t, at := &a.PreferredDuringSchedulingIgnoredDuringExecution[i], fldPath.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		errs = append(errs, weight(at.Child("weight"), t.Weight)...)
		errs = append(errs, nodeSelectorTerm(at.Child("preference"), &t.Preference, true)...)
	}
	return errs
}

func weight(fldPath *field.Path, w int32) field.ErrorList {
	if w < 1 || w > 100 {
		return field.ErrorList{field.Invalid(fldPath, w, "must be in the range 1-100")}
	}
	return nil
}

// NodeSelector validates a selector of nodes. With lax, it may have values that no label
// can have.
func NodeSelector(fldPath *field.Path, s *corev1.NodeSelector, lax bool) field.ErrorList {
	at := fldPath.Child("nodeSelectorTerms")
	if len(s.NodeSelectorTerms) == 0 {
		return field.ErrorList{field.Required(at, "must have at least one node selector term")}
	}
	var errs field.ErrorList
	for i := range s.NodeSelectorTerms {
		errs = append(errs, nodeSelectorTerm(at.Index(i), &s.NodeSelectorTerms[i], lax)...)
	}
	return errs
}

// BadNodeValues reports whether s has a value that no label can have.
func BadNodeValues(s *corev1.NodeSelector) bool {
	for _, t := range s.NodeSelectorTerms {
		for _, r := range t.MatchExpressions {
			if slices.ContainsFunc(r.Values, func(v string) bool { return len(validation.IsValidLabelValue(v)) > 0 }) {
				return true
			}
		}
	}
	return false
}

func nodeSelectorTerm(fldPath *field.Path, t *corev1.NodeSelectorTerm, lax bool) field.ErrorList {
	var errs field.ErrorList
	for i := range t.MatchExpressions {
		errs = append(errs, nodeLabels(fldPath.Child("matchExpressions").Index(i), &t.MatchExpressions[i], lax)...)
	}
	for i := range t.MatchFields {
		errs = append(errs, nodeFields(fldPath.Child("matchFields").Index(i), &t.MatchFields[i])...)
	}
	return errs
}

func nodeLabels(fldPath *field.Path, r *corev1.NodeSelectorRequirement, lax bool) field.ErrorList {
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
	errs = append(errs, metavalidation.ValidateLabelName(r.Key, fldPath.Child("key"))...)
	if !lax {
		for i, v := range r.Values {
			errs = append(errs, check.Invalid(at.Index(i), v, validation.IsValidLabelValue(v))...)
		}
	}
	return errs
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
		errs = append(errs, check.Invalid(fldPath.Child("values").Index(i), v, check.IsSubdomain(v))...)
	}
	return errs
}

func podAffinity(fldPath *field.Path, req []corev1.PodAffinityTerm, pref []corev1.WeightedPodAffinityTerm, opts options.Pod) field.ErrorList {
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

func podAffinityTerm(fldPath *field.Path, t *corev1.PodAffinityTerm, opts options.Pod) field.ErrorList {
	errs := TermSelectors(fldPath, t, opts.AllowInvalidLabelValueInSelector)
	for _, ns := range t.Namespaces {
		errs = append(errs, check.Invalid(fldPath.Child("namespace"), ns, validation.IsDNS1123Label(ns))...)
	}
	errs = append(errs, LabelKeys(fldPath, t.MatchLabelKeys, t.MismatchLabelKeys, t.LabelSelector)...)
	at := fldPath.Child("topologyKey")
	if t.TopologyKey == "" {
		errs = append(errs, field.Required(at, "can not be empty"))
	}
	return append(errs, metavalidation.ValidateLabelName(t.TopologyKey, at)...)
}

// TermSelectors validates the label selectors of t. With lax, they may have values that
// no label can have.
func TermSelectors(fldPath *field.Path, t *corev1.PodAffinityTerm, lax bool) field.ErrorList {
	return append(check.LabelSelector(fldPath.Child("labelSelector"), t.LabelSelector, lax),
		check.LabelSelector(fldPath.Child("namespaceSelector"), t.NamespaceSelector, lax)...)
}

// LabelKeys validates matchLabelKeys and mismatchLabelKeys. The server merges
// the former into the label selector when a pod is made, so a key that the
// selector has once is no conflict. Upstream reports one without its field.
func LabelKeys(fldPath *field.Path, match, mismatch []string, s *metav1.LabelSelector) field.ErrorList {
	errs := labelNames(fldPath.Child("matchLabelKeys"), match, s)
	errs = append(errs, labelNames(fldPath.Child("mismatchLabelKeys"), mismatch, s)...)
	if s != nil {
		seen := sets.KeySet(s.MatchLabels)
		for _, r := range s.MatchExpressions {
			if i := lastIndex(match, r.Key); i >= 0 && seen.Has(r.Key) {
				errs = append(errs, field.Invalid(fldPath.Index(i), r.Key, "exists in both matchLabelKeys and labelSelector"))
			}
			seen.Insert(r.Key)
		}
	}
	for i, key := range match {
		if slices.Contains(mismatch, key) {
			errs = append(errs, field.Invalid(fldPath.Child("matchLabelKeys").Index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys"))
		}
	}
	return errs
}

func lastIndex(list []string, v string) int {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == v {
			return i
		}
	}
	return -1
}

func labelNames(fldPath *field.Path, keys []string, s *metav1.LabelSelector) field.ErrorList {
	if len(keys) > 0 && s == nil {
		return field.ErrorList{field.Forbidden(fldPath, "must not be specified when labelSelector is not set")}
	}
	var errs field.ErrorList
	for i, key := range keys {
		errs = append(errs, metavalidation.ValidateLabelName(key, fldPath.Index(i))...)
	}
	return errs
}

// Tolerations validates the tolerations of a pod.
func Tolerations(fldPath *field.Path, list []corev1.Toleration) field.ErrorList {
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
				errs = append(errs, field.Invalid(at.Child("operator"), t.Value, "value must be empty when `operator` is 'Exists'"))
			}
		case corev1.TolerationOpLt, corev1.TolerationOpGt: // an alpha feature, which upstream lists all the same
			errs = append(errs, field.NotSupported(at.Child("operator"), t.Operator,
				[]corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists, corev1.TolerationOpLt, corev1.TolerationOpGt}))
		default:
			errs = append(errs, field.NotSupported(at.Child("operator"), t.Operator, []corev1.TolerationOperator{corev1.TolerationOpEqual, corev1.TolerationOpExists}))
		}
		if t.Effect != "" {
			errs = append(errs, TaintEffect(at.Child("effect"), t.Effect)...)
		}
	}
	return errs
}

// TaintEffect validates the effect of a taint or of a toleration.
func TaintEffect(fldPath *field.Path, e corev1.TaintEffect) field.ErrorList {
	return check.RequiredOneOf(fldPath, e, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
}

// SpreadConstraints validates how a pod wants to be spread over the nodes.
func SpreadConstraints(fldPath *field.Path, list []corev1.TopologySpreadConstraint, opts options.Pod) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		c, at := &list[i], fldPath.Index(i)
		errs = append(errs, check.Positive(at.Child("maxSkew"), c.MaxSkew)...)
		if c.TopologyKey == "" {
			errs = append(errs, field.Required(at.Child("topologyKey"), "can not be empty"))
		}
		errs = append(errs, check.OneOf(at.Child("whenUnsatisfiable"), c.WhenUnsatisfiable, corev1.DoNotSchedule, corev1.ScheduleAnyway)...)
		if slices.ContainsFunc(list[i+1:], func(o corev1.TopologySpreadConstraint) bool {
			return o.TopologyKey == c.TopologyKey && o.WhenUnsatisfiable == c.WhenUnsatisfiable
		}) {
			errs = append(errs, field.Duplicate(at.Child("{topologyKey, whenUnsatisfiable}"), fmt.Sprintf("{%v, %v}", c.TopologyKey, c.WhenUnsatisfiable)))
		}
		if c.MinDomains != nil {
			errs = append(errs, check.Positive(at.Child("minDomains"), *c.MinDomains)...)
			if c.WhenUnsatisfiable != corev1.DoNotSchedule {
				errs = append(errs, field.Invalid(at.Child("minDomains"), *c.MinDomains,
					fmt.Sprintf("can only use minDomains if whenUnsatisfiable=%s, not %s", corev1.DoNotSchedule, c.WhenUnsatisfiable)))
			}
		}
		errs = append(errs, check.OptionalOneOf(at.Child("nodeAffinityPolicy"), c.NodeAffinityPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)...)
		errs = append(errs, check.OptionalOneOf(at.Child("nodeTaintsPolicy"), c.NodeTaintsPolicy, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore)...)
		if opts.AllowUnmergedLabelKeys {
			errs = append(errs, unmergedLabelKeys(at.Child("matchLabelKeys"), c)...)
		} else {
			errs = append(errs, LabelKeys(at, c.MatchLabelKeys, nil, c.LabelSelector)...)
		}
		if !opts.AllowInvalidSpreadSelector {
			errs = append(errs, check.LabelSelector(at.Child("labelSelector"), c.LabelSelector, false)...)
		}
	}
	return errs
}

// unmergedLabelKeys validates keys as was the rule before they were merged into
// the selector.
func unmergedLabelKeys(fldPath *field.Path, c *corev1.TopologySpreadConstraint) field.ErrorList {
	if len(c.MatchLabelKeys) == 0 {
		return nil
	}
	var errs field.ErrorList
	selected := sets.New[string]()
	if s := c.LabelSelector; s == nil {
		errs = append(errs, field.Forbidden(fldPath, "must not be specified when labelSelector is not set"))
	} else {
		selected = sets.KeySet(s.MatchLabels)
		for _, r := range s.MatchExpressions {
			selected.Insert(r.Key)
		}
	}
	for i, key := range c.MatchLabelKeys {
		errs = append(errs, metavalidation.ValidateLabelName(key, fldPath.Index(i))...)
		if selected.Has(key) {
			errs = append(errs, field.Invalid(fldPath.Index(i), key, "exists in both matchLabelKeys and labelSelector"))
		}
	}
	return errs
}

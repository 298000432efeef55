package validation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidateNode validates a new Node.
func ValidateNode(n *corev1.Node) field.ErrorList {
	errs := check.ObjectMeta(&n.ObjectMeta, false, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, nodeAnnotations(n)...)
	errs = append(errs, taints(taintPath(), n.Spec.Taints)...)
	errs = append(errs, nodeResources(n)...)
	if swap := n.Status.NodeInfo.Swap; swap != nil && swap.Capacity != nil {
		errs = append(errs, check.Positive(field.NewPath("metadata", "nodeSwapStatus", "capacity"), *swap.Capacity)...)
	}
	errs = append(errs, declaredFeatures(n)...)
	return append(errs, podCIDRs(n)...)
}

// taintPath stands for spec.taints in upstream's messages.
func taintPath() *field.Path { return field.NewPath("metadata", "taints") }

func nodeResources(n *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		name string
		list corev1.ResourceList
	}{{"capacity", n.Status.Capacity}, {"allocatable", n.Status.Allocatable}} {
		for _, name := range resources.Names(list.list) {
			errs = append(errs, resources.Amount(field.NewPath("status", list.name, string(name)), name, list.list[name])...)
		}
	}
	return errs
}

func declaredFeatures(n *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	features := field.NewPath("status", "declaredFeatures")
	for i, f := range n.Status.DeclaredFeatures {
		if i > 0 {
			switch before := n.Status.DeclaredFeatures[i-1]; {
			case before == f:
				errs = append(errs, field.Duplicate(features.Index(i), f))
			case before > f:
				errs = append(errs, field.Invalid(features.Index(i), f, "list must be sorted alphabetically"))
			}
		}
		const longest = validation.DNS1123SubdomainMaxLength
		if len(f) > longest {
			errs = append(errs, field.Invalid(features.Index(i), f, fmt.Sprintf("invalid feature name %q: must be no more than %d characters", f, longest)))
		} else if !isFeatureName(f) {
			errs = append(errs, field.Invalid(features.Index(i), f, fmt.Sprintf("invalid feature name %q: must start with an UpperCamelCase segment, "+
				"with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes", f)))
		}
	}
	return errs
}

// isFeatureName reports whether name is words separated by slashes, the first of
// them in upper case.
func isFeatureName(name string) bool {
	for i, word := range strings.Split(name, "/") {
		if word == "" || i == 0 && !isUpper(word[0]) {
			return false
		}
		for j := range len(word) {
			if c := word[j]; !isUpper(c) && (c < 'a' || c > 'z') && (j == 0 || c < '0' || c > '9') {
				return false
			}
		}
	}
	return true
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func taints(fldPath *field.Path, list []corev1.Taint) field.ErrorList {
	var errs field.ErrorList
	type key struct {
		effect corev1.TaintEffect
		key    string
	}
	seen := sets.New[key]()
	for i := range list {
		t, at := &list[i], fldPath.Index(i)
		errs = append(errs, metavalidation.ValidateLabelName(t.Key, at.Child("key"))...)
		if msgs := validation.IsValidLabelValue(t.Value); len(msgs) > 0 {
			errs = append(errs, field.Invalid(at.Child("value"), t.Value, strings.Join(msgs, ";")))
		}
		errs = append(errs, scheduling.TaintEffect(at.Child("effect"), t.Effect)...)
		k := key{t.Effect, t.Key}
		if seen.Has(k) {
			twice := field.Duplicate(at, hub.Internal(*t))
			twice.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, twice)
		}
		seen.Insert(k)
	}
	return errs
}

func podCIDRs(n *corev1.Node) field.ErrorList {
	at, list := field.NewPath("spec", "podCIDRs"), n.Spec.PodCIDRs
	var errs field.ErrorList
	for i, c := range list {
		errs = append(errs, validation.IsValidCIDRForLegacyField(at.Index(i), c, true, nil)...)
	}
	if len(list) < 2 {
		return errs
	}
	dual, err := netutils.IsDualStackCIDRStrings(list)
	if err != nil {
		errs = append(errs, field.InternalError(at, fmt.Errorf("invalid PodCIDRs. failed to check with dual stack with error:%w", err)))
	}
	if !dual || len(list) > 2 {
		errs = append(errs, field.Invalid(at, list, "may specify no more than one CIDR for each IP family"))
	}
	return errs
}

// nodeAnnotations validates taints as they were before the field, and by what a
// node asks controllers to look elsewhere.
func nodeAnnotations(n *corev1.Node) field.ErrorList {
	fldPath := field.NewPath("metadata", "annotations")
	var errs field.ErrorList
	if v := n.Annotations[corev1.TaintsAnnotationKey]; v != "" {
		var list []corev1.Taint
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			errs = append(errs, field.Invalid(fldPath, corev1.TaintsAnnotationKey, check.InternalTypes(err)))
		} else {
			errs = append(errs, taints(fldPath.Child(corev1.TaintsAnnotationKey), list)...)
		}
	}
	v := n.Annotations[corev1.PreferAvoidPodsAnnotationKey]
	if v == "" {
		return errs
	}
	var avoid corev1.AvoidPods
	if err := json.Unmarshal([]byte(v), &avoid); err != nil {
		return append(errs, field.Invalid(fldPath.Child("AvoidPods"), corev1.PreferAvoidPodsAnnotationKey, err.Error()))
	}
	for i, p := range avoid.PreferAvoidPods {
		c, at := p.PodSignature.PodController, fldPath.Child(corev1.PreferAvoidPodsAnnotationKey).Index(i).Child("PodSignature")
		switch {
		case c == nil:
			errs = append(errs, field.Required(at, ""))
		case c.Controller == nil || !*c.Controller:
			errs = append(errs, field.Invalid(at.Child("PodController", "Controller"), false, "must point to a controller"))
		}
	}
	return errs
}

// ValidateNodeUpdate validates an update of a Node.
func ValidateNodeUpdate(n, old *corev1.Node) field.ErrorList {
	return append(ValidateNode(n), ValidateNodeStatusUpdate(n, old)...)
}

// ValidateNodeStatusUpdate validates the subresource status.
func ValidateNodeStatusUpdate(n, old *corev1.Node) field.ErrorList {
	spec := field.NewPath("spec")
	errs := check.ObjectMetaUpdate(&n.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, nodeAnnotations(n)...)
	errs = append(errs, nodeResources(n)...)
	errs = append(errs, declaredFeatures(n)...)
	errs = append(errs, addresses(n)...)
	if len(old.Spec.PodCIDRs) > 0 && !slices.Equal(n.Spec.PodCIDRs, old.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(spec.Child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid"))
	}
	switch was := old.Spec.ProviderID; {
	case was != "" && n.Spec.ProviderID == "":
		errs = append(errs, field.Invalid(spec.Child("providerID"), nil, "field cannot be cleared once set"))
	case was != "" && n.Spec.ProviderID != was:
		errs = append(errs, field.Invalid(spec.Child("providerID"), nil, "field cannot be modified once set"))
	}
	errs = append(errs, taints(taintPath(), n.Spec.Taints)...)
	if n.Spec.DoNotUseExternalID != old.Spec.DoNotUseExternalID {
		errs = append(errs, field.Forbidden(spec.Child("externalID"), "may not be updated"))
	}
	return errs
}

func addresses(n *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.NodeAddress]()
	for i, a := range n.Status.Addresses {
		if seen.Has(a) {
			errs = append(errs, field.Duplicate(field.NewPath("status", "addresses").Index(i), hub.Internal(a)))
		}
		seen.Insert(a)
	}
	return errs
}

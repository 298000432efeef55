package core

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"
)

// ValidateNode validates a new Node.
func ValidateNode(n *corev1.Node) field.ErrorList {
	errs := objectMeta(&n.ObjectMeta, false, apivalidation.NameIsDNSSubdomain)
	errs = append(errs, avoidPods(n)...)
	errs = append(errs, taints(taintPath(), n.Spec.Taints)...)
	errs = append(errs, podCIDRs(n)...)
	if swap := n.Status.NodeInfo.Swap; swap != nil && swap.Capacity != nil && *swap.Capacity <= 0 {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "nodeSwapStatus", "capacity"), *swap.Capacity, "must be greater than 0"))
	}
	return append(errs, nodeStatus(n)...)
}

// taintPath is what upstream's messages say of spec.taints.
func taintPath() *field.Path { return field.NewPath("metadata", "taints") }

// NodeWarnings says what is legal in a Node but means nothing.
func NodeWarnings(n *corev1.Node) []string {
	if n.Spec.DoNotUseExternalID != "" {
		return []string{"spec.externalID: this field is deprecated, and is unused by Kubernetes"}
	}
	return nil
}

// DropDisabledNodeFields forgets what belongs to features that were removed, or
// are off, unless old (nil on creation) has it.
func DropDisabledNodeFields(n, old *corev1.Node) {
	if old == nil {
		old = &corev1.Node{}
	}
	if old.Spec.ConfigSource == nil {
		n.Spec.ConfigSource = nil
	}
	if old.Status.Config == nil {
		n.Status.Config = nil
	}
	if old.Spec.PodPreemptionPolicy == nil {
		n.Spec.PodPreemptionPolicy = nil
	}
}

func nodeStatus(n *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	status := field.NewPath("status")
	for _, list := range []struct {
		name string
		list corev1.ResourceList
	}{{"capacity", n.Status.Capacity}, {"allocatable", n.Status.Allocatable}} {
		for _, name := range resourceNames(list.list) {
			errs = append(errs, resourceAmount(status.Child(list.name, string(name)), name, list.list[name])...)
		}
	}
	features := status.Child("declaredFeatures")
	for i, f := range n.Status.DeclaredFeatures {
		if !isFeatureName(f) {
			errs = append(errs, field.Invalid(features.Index(i), f, fmt.Sprintf("invalid feature name %q: must start with an UpperCamelCase segment, "+
				"with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes", f)))
		}
		if i == 0 {
			continue
		}
		switch before := n.Status.DeclaredFeatures[i-1]; {
		case before == f:
			errs = append(errs, field.Duplicate(features.Index(i), f))
		case before > f:
			errs = append(errs, field.Invalid(features.Index(i), f, "list must be sorted alphabetically"))
		}
	}
	return errs
}

// isFeatureName says whether name is words separated by slashes, the first of
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
	return len(name) <= validation.DNS1123SubdomainMaxLength
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
		errs = append(errs, invalid(at.Child("value"), t.Value, validation.IsValidLabelValue(t.Value))...)
		errs = append(errs, taintEffect(at.Child("effect"), t.Effect)...)
		k := key{t.Effect, t.Key}
		if seen.Has(k) {
			errs = append(errs, field.Duplicate(at, *t))
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
		errs = append(errs, field.InternalError(at, fmt.Errorf("invalid PodCIDRs. failed to check with dual stack with error:%v", err)))
	}
	if !dual || len(list) > 2 {
		errs = append(errs, field.Invalid(at, list, "may specify no more than one CIDR for each IP family"))
	}
	return errs
}

// avoidPods validates the annotation by which a node asks controllers to look elsewhere.
func avoidPods(n *corev1.Node) field.ErrorList {
	v, ok := n.Annotations[corev1.PreferAvoidPodsAnnotationKey]
	if !ok || v == "" {
		return nil
	}
	fldPath := field.NewPath("metadata", "annotations").Child(corev1.PreferAvoidPodsAnnotationKey)
	var avoid corev1.AvoidPods
	if err := json.Unmarshal([]byte(v), &avoid); err != nil {
		return field.ErrorList{field.Invalid(field.NewPath("AvoidPods"), corev1.PreferAvoidPodsAnnotationKey, err.Error())}
	}
	var errs field.ErrorList
	for i, p := range avoid.PreferAvoidPods {
		c, at := p.PodSignature.PodController, fldPath.Index(i).Child("PodSignature")
		switch {
		case c == nil:
			errs = append(errs, field.Required(at, ""))
		case c.Controller == nil || !*c.Controller:
			errs = append(errs, field.Invalid(at.Child("PodController"), c.Controller, "must point to a controller"))
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
	errs := objectMetaUpdate(&n.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, avoidPods(n)...)
	errs = append(errs, nodeStatus(n)...)
	errs = append(errs, taints(taintPath(), n.Spec.Taints)...)
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
			errs = append(errs, field.Duplicate(field.NewPath("status", "addresses").Index(i), fmt.Sprintf("%s %s", a.Type, a.Address)))
		}
		seen.Insert(a)
	}
	return errs
}

// ValidateNamespace validates a new Namespace.
func ValidateNamespace(ns *corev1.Namespace) field.ErrorList {
	errs := objectMeta(&ns.ObjectMeta, false, apivalidation.NameIsDNSLabel)
	for _, f := range ns.Spec.Finalizers {
		errs = append(errs, namespaceFinalizer(field.NewPath("spec", "finalizers"), string(f))...)
	}
	return errs
}

func namespaceFinalizer(fldPath *field.Path, f string) field.ErrorList {
	return append(apivalidation.ValidateFinalizerName(f, fldPath), StandardFinalizer(fldPath, f)...)
}

// StandardFinalizer validates what all built-in kinds ask of a finalizer: that it
// has a domain or is one of Kubernetes' own.
func StandardFinalizer(fldPath *field.Path, f string) field.ErrorList {
	switch {
	case strings.Contains(f, "/"), f == string(corev1.FinalizerKubernetes), f == metav1.FinalizerOrphanDependents, f == metav1.FinalizerDeleteDependents:
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath, f, "name is neither a standard finalizer name nor is it fully qualified")}
}

// ValidateNamespaceUpdate validates an update of a Namespace's metadata.
func ValidateNamespaceUpdate(ns, old *corev1.Namespace) field.ErrorList {
	return append(ValidateNamespace(ns), objectMetaUpdate(&ns.ObjectMeta, &old.ObjectMeta)...)
}

// ValidateNamespaceStatusUpdate validates the subresource status: the phase
// says whether the namespace is being deleted.
func ValidateNamespaceStatusUpdate(ns, old *corev1.Namespace) field.ErrorList {
	errs := objectMetaUpdate(&ns.ObjectMeta, &old.ObjectMeta)
	at := field.NewPath("status", "Phase")
	switch {
	case ns.DeletionTimestamp.IsZero() && ns.Status.Phase != corev1.NamespaceActive:
		errs = append(errs, field.Invalid(at, ns.Status.Phase, "may only be 'Active' if `deletionTimestamp` is empty"))
	case !ns.DeletionTimestamp.IsZero() && ns.Status.Phase != corev1.NamespaceTerminating:
		errs = append(errs, field.Invalid(at, ns.Status.Phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"))
	}
	return errs
}

// ValidateNamespaceFinalizeUpdate validates the subresource finalize.
func ValidateNamespaceFinalizeUpdate(ns, old *corev1.Namespace) field.ErrorList {
	errs := objectMetaUpdate(&ns.ObjectMeta, &old.ObjectMeta)
	for i, f := range ns.Spec.Finalizers {
		errs = append(errs, namespaceFinalizer(field.NewPath("spec", "finalizers").Index(i), string(f))...)
	}
	return errs
}

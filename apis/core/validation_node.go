package core

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
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
	errs = append(errs, taints(field.NewPath("spec", "taints"), n.Spec.Taints)...)
	errs = append(errs, podCIDRs(n, nil)...)
	return append(errs, nodeStatus(n)...)
}

func nodeStatus(n *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	status := field.NewPath("status")
	for _, list := range []struct {
		name string
		list corev1.ResourceList
	}{{"capacity", n.Status.Capacity}, {"allocatable", n.Status.Allocatable}} {
		for _, name := range resourceNames(list.list) {
			errs = append(errs, resourceAmount(status.Child(list.name).Key(string(name)), name, list.list[name])...)
		}
	}
	features := status.Child("declaredFeatures")
	seen := sets.New[string]()
	for i, f := range n.Status.DeclaredFeatures {
		if seen.Has(f) {
			errs = append(errs, field.Duplicate(features.Index(i), f))
		}
		seen.Insert(f)
	}
	return errs
}

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

func podCIDRs(n, old *corev1.Node) field.ErrorList {
	var was []string
	if old != nil {
		was = old.Spec.PodCIDRs
	}
	at, list := field.NewPath("spec", "podCIDRs"), n.Spec.PodCIDRs
	var errs field.ErrorList
	for i, c := range list {
		errs = append(errs, validation.IsValidCIDRForLegacyField(at.Index(i), c, true, was)...)
	}
	if len(list) < 2 || len(errs) > 0 {
		return errs
	}
	if dual, err := netutils.IsDualStackCIDRStrings(list); err != nil || !dual || len(list) > 2 {
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

const nodeUpdates = "node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig feature gate is enabled)"

// ValidateNodeUpdate validates an update of a Node, of its spec or its status.
func ValidateNodeUpdate(n, old *corev1.Node) field.ErrorList {
	spec := field.NewPath("spec")
	errs := objectMetaUpdate(&n.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, avoidPods(n)...)
	errs = append(errs, nodeStatus(n)...)
	errs = append(errs, podCIDRs(n, old)...)
	errs = append(errs, taints(spec.Child("taints"), n.Spec.Taints)...)
	errs = append(errs, addresses(n)...)
	if len(old.Spec.PodCIDRs) > 0 && !equality.Semantic.DeepEqual(n.Spec.PodCIDRs, old.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(spec.Child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid"))
	}
	if old.Spec.ProviderID != "" && n.Spec.ProviderID != old.Spec.ProviderID {
		errs = append(errs, field.Forbidden(spec.Child("providerID"), "node updates may not change providerID except from \"\" to valid"))
	}
	if n.Spec.ConfigSource != nil && !equality.Semantic.DeepEqual(n.Spec.ConfigSource, old.Spec.ConfigSource) {
		errs = append(errs, field.Forbidden(spec.Child("configSource"), "configSource may not be set: the feature was removed"))
	}
	rest := n.Spec
	rest.PodCIDR, rest.PodCIDRs, rest.ProviderID = old.Spec.PodCIDR, old.Spec.PodCIDRs, old.Spec.ProviderID
	rest.Taints, rest.Unschedulable, rest.ConfigSource = old.Spec.Taints, old.Spec.Unschedulable, old.Spec.ConfigSource
	rest.PodPreemptionPolicy = old.Spec.PodPreemptionPolicy
	if !equality.Semantic.DeepEqual(rest, old.Spec) {
		errs = append(errs, field.Forbidden(spec, nodeUpdates))
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
	for i, f := range ns.Spec.Finalizers {
		errs = append(errs, namespaceFinalizer(field.NewPath("spec", "finalizers").Index(i), f)...)
	}
	return errs
}

func namespaceFinalizer(fldPath *field.Path, f corev1.FinalizerName) field.ErrorList {
	if f == corev1.FinalizerKubernetes {
		return nil
	}
	return apivalidation.ValidateFinalizerName(string(f), fldPath)
}

// ValidateNamespaceUpdate validates an update of a Namespace's metadata.
func ValidateNamespaceUpdate(ns, old *corev1.Namespace) field.ErrorList {
	return objectMetaUpdate(&ns.ObjectMeta, &old.ObjectMeta)
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
		errs = append(errs, namespaceFinalizer(field.NewPath("spec", "finalizers").Index(i), f)...)
	}
	return errs
}

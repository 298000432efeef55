package customresources

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

type (
	definitionCRD = apiextensionsv1.CustomResourceDefinition
	condition     = apiextensionsv1.CustomResourceDefinitionCondition
)

// planStatus returns the status that crd is to have beside the other definitions of
// its group: names, established, structural, approved. Reasons and messages
// are upstream's:
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions
func planStatus(crd *definitionCRD, others []*definitionCRD, now metav1.Time) apiextensionsv1.CustomResourceDefinitionStatus {
	status := *crd.Status.DeepCopy()
	names, accepted := planNames(crd, others)
	status.AcceptedNames = names
	setCondition(&status, accepted, now)
	setCondition(&status, planEstablished(&status), now)
	replaceCondition(&status, apiextensionsv1.NonStructuralSchema, planStructural(crd), now)
	if c := planApproval(crd); c != nil {
		setCondition(&status, *c, now)
	}
	return status
}

// planNames returns the names that the definition may have: each that it asks
// for and no other definition has, else the one it had.
func planNames(crd *definitionCRD, others []*definitionCRD) (apiextensionsv1.CustomResourceDefinitionNames, condition) {
	resources, kinds := claimed(others)
	wanted, names := crd.Spec.Names, *crd.Status.AcceptedNames.DeepCopy()
	verdict := condition{Type: apiextensionsv1.NamesAccepted, Status: apiextensionsv1.ConditionTrue, Reason: "NoConflicts", Message: "no conflicts found"}
	refuse := func(reason string, taken ...string) {
		words := make([]string, len(taken))
		for i, name := range taken {
			words[i] = fmt.Sprintf("%q is already in use", name)
		}
		message := strings.Join(words, ", ")
		if len(words) > 1 {
			message = "[" + message + "]"
		}
		verdict.Status, verdict.Reason, verdict.Message = apiextensionsv1.ConditionFalse, reason, message
	}
	claim := func(want string, has *string, used map[string]bool, reason string) {
		if want != *has && used[want] {
			refuse(reason, want)
			return
		}
		*has = want
	}
	claim(wanted.Plural, &names.Plural, resources, "PluralConflict")
	claim(wanted.Singular, &names.Singular, resources, "SingularConflict")
	var taken []string
	for _, short := range wanted.ShortNames {
		if !slices.Contains(names.ShortNames, short) && resources[short] {
			taken = append(taken, short)
		}
	}
	if len(taken) > 0 {
		refuse("ShortNamesConflict", taken...)
	} else {
		names.ShortNames = wanted.ShortNames
	}
	claim(wanted.Kind, &names.Kind, kinds, "KindConflict")
	claim(wanted.ListKind, &names.ListKind, kinds, "ListKindConflict")
	names.Categories = wanted.Categories
	return names, verdict
}

// claimed returns the names that definitions have been given.
func claimed(others []*definitionCRD) (resources, kinds map[string]bool) {
	resources, kinds = map[string]bool{}, map[string]bool{}
	for _, o := range others {
		n := o.Status.AcceptedNames
		for _, name := range append([]string{n.Plural, n.Singular}, n.ShortNames...) {
			resources[name] = true
		}
		kinds[n.Kind], kinds[n.ListKind] = true, true
	}
	// A definition without names yet claims none.
	delete(resources, "")
	delete(kinds, "")
	return resources, kinds
}

// planEstablished follows the names; once established, always established.
func planEstablished(status *apiextensionsv1.CustomResourceDefinitionStatus) condition {
	var accepted bool
	for _, c := range status.Conditions {
		switch {
		case c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue:
			return c
		case c.Type == apiextensionsv1.NamesAccepted:
			accepted = c.Status == apiextensionsv1.ConditionTrue
		}
	}
	if !accepted {
		return condition{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionFalse, Reason: "NotAccepted", Message: "not all names are accepted"}
	}
	return condition{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue, Reason: "InitialNamesAccepted", Message: "the initial names have been accepted"}
}

// planStructural returns nil for a definition whose schemas are structural.
func planStructural(crd *definitionCRD) *condition {
	var errs field.ErrorList
	if crd.Spec.PreserveUnknownFields {
		errs = append(errs, field.Invalid(field.NewPath("spec", "preserveUnknownFields"), true, "must be false"))
	}
	for i, v := range crd.Spec.Versions {
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			continue
		}
		internal := &apiextensions.CustomResourceValidation{}
		err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(v.Schema, internal, nil)
		if err != nil {
			continue // validation has decoded it
		}
		s, err := schema.NewStructural(internal.OpenAPIV3Schema)
		if err != nil {
			return &condition{Type: apiextensionsv1.NonStructuralSchema, Status: apiextensionsv1.ConditionUnknown,
				Reason: "StructuralError", Message: fmt.Sprintf("failed to check validation schema for version %s: %v", v.Name, err)}
		}
		errs = append(errs, schema.ValidateStructural(field.NewPath("spec", "versions").Index(i).Child("schema", "openAPIV3Schema"), s)...)
	}
	if len(errs) == 0 {
		return nil
	}
	return &condition{Type: apiextensionsv1.NonStructuralSchema, Status: apiextensionsv1.ConditionTrue, Reason: "Violations", Message: errs.ToAggregate().Error()}
}

// planApproval returns nil outside the groups that belong to Kubernetes.
func planApproval(crd *definitionCRD) *condition {
	if !apihelpers.IsProtectedCommunityGroup(crd.Spec.Group) {
		return nil
	}
	state, message := apihelpers.GetAPIApprovalState(crd.Annotations)
	c := &condition{Type: apiextensionsv1.KubernetesAPIApprovalPolicyConformant, Status: apiextensionsv1.ConditionFalse, Message: message}
	switch state {
	case apihelpers.APIApprovalInvalid:
		c.Reason = "InvalidAnnotation"
	case apihelpers.APIApprovalMissing:
		c.Reason = "MissingAnnotation"
	case apihelpers.APIApproved:
		c.Status, c.Reason = apiextensionsv1.ConditionTrue, "ApprovedAnnotation"
	case apihelpers.APIApprovalBypassed:
		c.Reason = "UnapprovedAnnotation"
	default:
		c.Status, c.Reason = apiextensionsv1.ConditionUnknown, "UnknownAnnotation"
	}
	return c
}

// setCondition keeps the time of a condition whose status stays.
func setCondition(status *apiextensionsv1.CustomResourceDefinitionStatus, c condition, now metav1.Time) {
	i := slices.IndexFunc(status.Conditions, func(o condition) bool { return o.Type == c.Type })
	if i < 0 {
		c.LastTransitionTime = now
		status.Conditions = append(status.Conditions, c)
		return
	}
	c.LastTransitionTime = status.Conditions[i].LastTransitionTime
	if status.Conditions[i].Status != c.Status {
		c.LastTransitionTime = now
	}
	status.Conditions[i] = c
}

// replaceCondition sets c, or removes the condition of its type when it is nil.
func replaceCondition(status *apiextensionsv1.CustomResourceDefinitionStatus, kind apiextensionsv1.CustomResourceDefinitionConditionType, c *condition, now metav1.Time) {
	if c != nil {
		setCondition(status, *c, now)
		return
	}
	status.Conditions = slices.DeleteFunc(status.Conditions, func(o condition) bool { return o.Type == kind })
}

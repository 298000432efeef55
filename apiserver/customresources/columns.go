package customresources

import (
	"fmt"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

func age() apiextensionsv1.CustomResourceColumnDefinition {
	return apiextensionsv1.CustomResourceColumnDefinition{Name: "Age", Type: "date",
		Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"], JSONPath: ".metadata.creationTimestamp"}
}

// columns returns the columns of a version besides the name: its own, else the age.
func columns(v *apiextensionsv1.CustomResourceDefinitionVersion) []apiextensionsv1.CustomResourceColumnDefinition {
	if len(v.AdditionalPrinterColumns) > 0 {
		return v.AdditionalPrinterColumns
	}
	return []apiextensionsv1.CustomResourceColumnDefinition{age()}
}

func scaleColumns(v *apiextensionsv1.CustomResourceDefinitionVersion) []apiextensionsv1.CustomResourceColumnDefinition {
	var list []apiextensionsv1.CustomResourceColumnDefinition
	if v.Subresources.Scale.SpecReplicasPath != "" {
		list = append(list, apiextensionsv1.CustomResourceColumnDefinition{Name: "Desired", Type: "integer",
			Description: "Number of desired replicas", JSONPath: ".spec.replicas"})
	}
	if v.Subresources.Scale.StatusReplicasPath != "" {
		list = append(list, apiextensionsv1.CustomResourceColumnDefinition{Name: "Available", Type: "integer",
			Description: "Number of actual replicas", JSONPath: ".status.replicas"})
	}
	return append(list, age())
}

// deprecation returns the warning for users of a deprecated version: its own
// text, else a pointer to the newest version that is not deprecated.
func deprecation(crd *definitionCRD, v *apiextensionsv1.CustomResourceDefinitionVersion) string {
	if v.DeprecationWarning != nil {
		return *v.DeprecationWarning
	}
	message := fmt.Sprintf("%s/%s %s is deprecated", crd.Spec.Group, v.Name, crd.Spec.Names.Kind)
	var better []string
	for _, o := range crd.Spec.Versions {
		if o.Served && !o.Deprecated && version.CompareKubeAwareVersionStrings(v.Name, o.Name) < 0 {
			better = append(better, o.Name)
		}
	}
	if len(better) == 0 {
		return message
	}
	newest := slices.MaxFunc(better, version.CompareKubeAwareVersionStrings)
	return fmt.Sprintf("%s; use %s/%s %s", message, crd.Spec.Group, newest, crd.Spec.Names.Kind)
}

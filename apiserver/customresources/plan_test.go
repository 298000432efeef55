package customresources

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var now = metav1.NewTime(time.Unix(1_700_000_000, 0))

func crd(name string, change func(*definitionCRD)) *definitionCRD {
	c := &definitionCRD{ObjectMeta: metav1.ObjectMeta{Name: name + "s.example.com"}}
	c.Spec.Group, c.Spec.Scope = "example.com", apiextensionsv1.NamespaceScoped
	c.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: name + "s", Singular: name, Kind: "K" + name, ListKind: "K" + name + "List"}
	c.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true}}
	if change != nil {
		change(c)
	}
	return c
}

func of(s apiextensionsv1.CustomResourceDefinitionStatus, kind apiextensionsv1.CustomResourceDefinitionConditionType) *condition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == kind {
			return &s.Conditions[i]
		}
	}
	return nil
}

func TestPlanAcceptsAndKeeps(t *testing.T) {
	g := NewWithT(t)
	c := crd("boat", nil)
	c.Status = planStatus(c, nil, now)
	g.Expect(c.Status.AcceptedNames).To(Equal(c.Spec.Names))
	g.Expect(*of(c.Status, apiextensionsv1.NamesAccepted)).To(Equal(condition{Type: "NamesAccepted", Status: "True", Reason: "NoConflicts", Message: "no conflicts found", LastTransitionTime: now}))
	g.Expect(*of(c.Status, apiextensionsv1.Established)).To(Equal(condition{Type: "Established", Status: "True", Reason: "InitialNamesAccepted", Message: "the initial names have been accepted", LastTransitionTime: now}))
	later := metav1.NewTime(now.Add(time.Hour))
	g.Expect(planStatus(c, nil, later)).To(Equal(c.Status), "the same plan changes nothing")
}

func TestPlanRefusesTakenNames(t *testing.T) {
	g := NewWithT(t)
	first := crd("boat", func(c *definitionCRD) { c.Spec.Names.ShortNames = []string{"b", "bt"} })
	first.Status = planStatus(first, nil, now)
	second := crd("raft", func(c *definitionCRD) {
		c.Spec.Names.Kind, c.Spec.Names.ShortNames = "Kboat", []string{"b", "bt", "r"}
	})
	s := planStatus(second, []*definitionCRD{first}, now)
	g.Expect(s.AcceptedNames.Plural).To(Equal("rafts"), "what is free is given")
	g.Expect(s.AcceptedNames.Kind).To(BeEmpty())
	g.Expect(s.AcceptedNames.ShortNames).To(BeEmpty())
	g.Expect(of(s, apiextensionsv1.NamesAccepted)).To(HaveValue(And(HaveField("Reason", "KindConflict"), HaveField("Message", `"Kboat" is already in use`))))
	g.Expect(of(s, apiextensionsv1.Established)).To(HaveValue(And(HaveField("Status", apiextensionsv1.ConditionFalse), HaveField("Reason", "NotAccepted"))))

	second.Spec.Names.Kind = "Kraft"
	s = planStatus(second, []*definitionCRD{first}, now)
	g.Expect(of(s, apiextensionsv1.NamesAccepted)).To(HaveValue(And(HaveField("Reason", "ShortNamesConflict"),
		HaveField("Message", `["b" is already in use, "bt" is already in use]`))))
	second.Status = s
	s = planStatus(second, nil, now)
	g.Expect(of(s, apiextensionsv1.Established)).To(HaveValue(HaveField("Status", apiextensionsv1.ConditionTrue)), "freed")

	second.Status = s
	taken := planStatus(second, []*definitionCRD{crd("canoe", func(c *definitionCRD) {
		c.Status.AcceptedNames = apiextensionsv1.CustomResourceDefinitionNames{Plural: "rafts"}
	})}, now)
	g.Expect(of(taken, apiextensionsv1.Established)).To(HaveValue(HaveField("Status", apiextensionsv1.ConditionTrue)), "once established, always")
}

func TestPlanSaysWhatIsWrong(t *testing.T) {
	g := NewWithT(t)
	c := crd("boat", func(c *definitionCRD) {
		c.Spec.Group = "boats.k8s.io"
		c.Spec.Versions[0].Schema = &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{}}
	})
	s := planStatus(c, nil, now)
	g.Expect(of(s, apiextensionsv1.NonStructuralSchema)).To(HaveValue(And(HaveField("Reason", "Violations"), HaveField("Message", ContainSubstring("type: Required value")))))
	g.Expect(of(s, apiextensionsv1.KubernetesAPIApprovalPolicyConformant)).To(HaveValue(HaveField("Reason", "MissingAnnotation")))
	c.Status = s
	c.Spec.Versions[0].Schema.OpenAPIV3Schema.Type = "object"
	c.Annotations = map[string]string{"api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/1"}
	s = planStatus(c, nil, now)
	g.Expect(of(s, apiextensionsv1.NonStructuralSchema)).To(BeNil())
	g.Expect(of(s, apiextensionsv1.KubernetesAPIApprovalPolicyConformant)).To(HaveValue(HaveField("Reason", "ApprovedAnnotation")))
}

func TestDeprecationPointsAtTheNewest(t *testing.T) {
	g := NewWithT(t)
	c := crd("boat", func(c *definitionCRD) {
		c.Spec.Versions = nil
		for _, name := range []string{"v1alpha1", "v1", "v2beta1", "v2"} {
			c.Spec.Versions = append(c.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{Name: name, Served: name != "v2", Deprecated: name == "v1alpha1"})
		}
	})
	g.Expect(deprecation(c, &c.Spec.Versions[0])).To(Equal("example.com/v1alpha1 Kboat is deprecated; use example.com/v1 Kboat"))
	g.Expect(servedVersions(c)).To(Equal([]string{"v1", "v2beta1", "v1alpha1"}))
}

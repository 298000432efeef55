package policy

import (
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

func TestValidatePodDisruptionBudget(t *testing.T) {
	for _, c := range []struct {
		value intstr.IntOrString
		want  string
	}{
		{intstr.FromInt32(0), ""},
		{intstr.FromString("100%"), ""},
		{intstr.FromString("0100%"), ""},
		{intstr.FromInt32(-1), "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0"},
		{intstr.FromString("101%"), `spec.minAvailable: Invalid value: "101%": must not be greater than 100%`},
		{intstr.FromString("99999999999999999999%"), `spec.minAvailable: Invalid value: "99999999999999999999%": must not be greater than 100%`},
	} {
		pdb := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default"}, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &c.value}}
		got := ""
		if errs := ValidatePodDisruptionBudget(pdb); len(errs) > 0 {
			got = errs[0].Error()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.value.String(), got, c.want)
		}
	}
	both := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default"},
		Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: ptr.To(intstr.FromInt32(1)), MaxUnavailable: ptr.To(intstr.FromInt32(1))}}
	if errs := ValidatePodDisruptionBudget(both); len(errs) != 1 || errs[0].Detail != "minAvailable and maxUnavailable cannot be both set" {
		t.Errorf("got %v", errs)
	}
}

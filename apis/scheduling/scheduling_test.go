package scheduling_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/randfill"

	"github.com/coracle-k8s/coracle/apis/scheduling"
)

func TestPriorityClass(t *testing.T) {
	class := func(name string, value int32) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "1"}, Value: value}
	}
	const reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
	for name, c := range map[string]struct {
		class *schedulingv1.PriorityClass
		want  string
	}{
		"good":         {class("c", 1000), ""},
		"highest":      {class("c", 1000000000), ""},
		"too high":     {class("c", 1000000001), "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"},
		"system":       {class("system-cluster-critical", 2000000000), ""},
		"system value": {class("system-cluster-critical", 1), reserved + "value of system-cluster-critical PriorityClass must be 2000000000"},
		"system name":  {class("system-x", 1), reserved + "system-x is not a known system priority class"},
		"policy": {&schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "c"}, PreemptionPolicy: ptr.To(corev1.PreemptionPolicy("X"))},
			`preemptionPolicy: Unsupported value: "X": supported values: "PreemptLowerPriority", "Never"`},
	} {
		var got []string
		for _, e := range scheduling.ValidatePriorityClass(c.class) {
			got = append(got, e.Error())
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if errs := scheduling.ValidatePriorityClassUpdate(class("c", 1), class("c", 2)); len(errs) != 1 || errs[0].Error() != "value: Forbidden: may not be changed in an update." {
		t.Errorf("another value: %v", errs)
	}
	for _, c := range scheduling.SystemClasses() {
		if errs := scheduling.ValidatePriorityClass(c); len(errs) > 0 {
			t.Errorf("%s: %v", c.Name, errs)
		}
	}
}

// TestNoPanic validates noise.
func TestNoPanic(t *testing.T) {
	for seed := range int64(50) {
		f := randfill.NewWithSeed(seed).NilChance(0.4).Funcs(func(*metav1.FieldsV1, randfill.Continue) {})
		var a, b schedulingv1.PriorityClass
		f.Fill(&a)
		f.Fill(&b)
		scheduling.ValidatePriorityClass(&a)
		scheduling.ValidatePriorityClassUpdate(&a, &b)
	}
}

package node_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/randfill"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/node"
)

func TestRuntimeClass(t *testing.T) {
	class := func(handler string) *nodev1.RuntimeClass {
		return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "c", ResourceVersion: "1"}, Handler: handler}
	}
	twice, negative, long := class("h"), class("h"), strings.Repeat("a", 64)
	twice.Scheduling = &nodev1.Scheduling{Tolerations: []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists}, {Key: "a", Operator: corev1.TolerationOpExists}}}
	negative.Overhead = &nodev1.Overhead{PodFixed: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("-1")}}
	for name, c := range map[string]struct {
		class *nodev1.RuntimeClass
		want  string
	}{
		"good":       {class("h"), ""},
		"no handler": {class(""), "handler: Required value"},
		"upper case": {class("H"), `handler: Invalid value: "H"`},
		"too long":   {class(long), `handler: Invalid value: "` + long + `": must be no more than 63 bytes`},
		"twice":      {twice, "scheduling.tolerations[1]: Duplicate value"},
		"negative":   {negative, `overhead.limits[cpu]: Invalid value: "-1"`},
	} {
		var got []string
		for _, e := range node.ValidateRuntimeClass(c.class) {
			got = append(got, e.Error())
		}
		if joined := strings.Join(got, "\n"); (joined == "") != (c.want == "") || !strings.HasPrefix(joined, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if errs := node.ValidateRuntimeClassUpdate(class("i"), class("h")); len(errs) != 1 || errs[0].Field != "handler" {
		t.Errorf("another handler: %v", errs)
	}
}

// TestOverheadIsNotRounded stores an overhead as it was written.
func TestOverheadIsNotRounded(t *testing.T) {
	c := &nodev1.RuntimeClass{Overhead: &nodev1.Overhead{PodFixed: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1000000001n")}}}
	apis.NewScheme().Default(c)
	if cpu := c.Overhead.PodFixed[corev1.ResourceCPU]; cpu.String() != "1000000001n" {
		t.Errorf("got %v", cpu.String())
	}
}

// TestNoPanic validates noise.
func TestNoPanic(t *testing.T) {
	for seed := range int64(50) {
		f := randfill.NewWithSeed(seed).NilChance(0.4).Funcs(func(*metav1.FieldsV1, randfill.Continue) {},
			func(q *resource.Quantity, c randfill.Continue) {
				*q = *resource.NewMilliQuantity(c.Int63()%5000-1000, resource.DecimalSI)
			})
		var a, b nodev1.RuntimeClass
		f.Fill(&a)
		f.Fill(&b)
		node.ValidateRuntimeClass(&a)
		node.ValidateRuntimeClassUpdate(&a, &b)
		node.RuntimeClassWarnings(&a)
	}
}

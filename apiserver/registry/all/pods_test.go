package all

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestBindingEndsANomination(t *testing.T) {
	w := newWorld(t, nil)
	w.mustCreate("pods", newPod("p"))
	if _, err := w.update("pods", "status", "default", "p", func(obj runtime.Object) { obj.(*corev1.Pod).Status.NominatedNodeName = "n1" }); err != nil {
		t.Fatal(err)
	}
	if _, err := w.createSub("pods", "binding", "default", "p", &corev1.Binding{ObjectMeta: meta("p"), Target: corev1.ObjectReference{Kind: "Node", Name: "n2"}}); err != nil {
		t.Fatal(err)
	}
	obj, err := w.update("pods", "", "default", "p", func(runtime.Object) {})
	if err != nil {
		t.Fatal(err)
	}
	if p := obj.(*corev1.Pod); p.Spec.NodeName != "n2" || p.Status.NominatedNodeName != "" {
		t.Errorf("bound to %s, nominated for %q", p.Spec.NodeName, p.Status.NominatedNodeName)
	}
}

func TestPodLevelResources(t *testing.T) {
	w := newWorld(t, nil)
	cpu := func(q string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q), corev1.ResourceMemory: resource.MustParse("1Gi")}
	}
	p := newPod("p")
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: cpu("1")}
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Limits: cpu("1")}
	p = w.mustCreate("pods", p).(*corev1.Pod)
	if got := p.Spec.Resources.Limits.Cpu().String(); got != "1" || p.Status.QOSClass != corev1.PodQOSGuaranteed {
		t.Errorf("the pod is limited to %s and %s", got, p.Status.QOSClass)
	}
	for _, sub := range []string{"", "resize"} { // by a client that does not know the field
		obj, err := w.update("pods", sub, "default", "p", func(obj runtime.Object) { obj.(*corev1.Pod).Spec.Resources = nil })
		if err != nil {
			t.Fatalf("updating %q: %v", sub, err)
		}
		if obj.(*corev1.Pod).Spec.Resources == nil {
			t.Errorf("an update of %q took the pod's resources", sub)
		}
	}
	obj, err := w.update("pods", "resize", "default", "p", func(obj runtime.Object) {
		r := obj.(*corev1.Pod).Spec.Resources
		r.Requests, r.Limits = cpu("2"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := obj.(*corev1.Pod).Spec.Resources.Limits.Cpu().String(); got != "2" {
		t.Errorf("resized to a limit of %s", got)
	}
}

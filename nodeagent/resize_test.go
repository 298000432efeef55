package nodeagent

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestResizeSummary(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "first"}},
		Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("200m")},
		}}},
	}}
	pod.Generation = 3
	g := NewWithT(t)
	g.Expect(resizeSummary(pod, "")).To(Equal(
		`{"initContainers":[{"name":"first","resources":{}}],"containers":[{"name":"main","resources":{"limits":{"cpu":"200m"}}}],"generation":3}`))
	g.Expect(resizeSummary(pod, "no")).To(HaveSuffix(`"generation":3,"error":"no"}`))
}

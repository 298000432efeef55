package statefulset

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Pods have the generateName that upstream's have besides their names.
func TestPodsHaveNameAndGenerateName(t *testing.T) {
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "u"}}
	pod := newPod(set, Revision{Name: "web-1", Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}}}}, 7)
	if pod.Name != "web-7" || pod.GenerateName != "web-" {
		t.Errorf("got %q and %q", pod.Name, pod.GenerateName)
	}
}

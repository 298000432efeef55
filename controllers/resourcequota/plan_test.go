package resourcequota

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
)

func list(kv ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		out[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return out
}

func TestNewStatus(t *testing.T) {
	for _, tc := range []struct {
		name           string
		hard           corev1.ResourceList
		was            corev1.ResourceQuotaStatus
		measured, used corev1.ResourceList
		changed        bool
	}{
		{"new", list("pods", "5"), corev1.ResourceQuotaStatus{}, list("pods", "0"), list("pods", "0"), true},
		{"no news", list("pods", "5"), corev1.ResourceQuotaStatus{Hard: list("pods", "5"), Used: list("pods", "2")}, list("pods", "2"), list("pods", "2"), false},
		{"given back", list("pods", "5"), corev1.ResourceQuotaStatus{Hard: list("pods", "5"), Used: list("pods", "2")}, list("pods", "1"), list("pods", "1"), true},
		{"a limit changed", list("pods", "6"), corev1.ResourceQuotaStatus{Hard: list("pods", "5"), Used: list("pods", "2")}, list("pods", "2"), list("pods", "2"), true},
		{"a limit went", list("pods", "5"), corev1.ResourceQuotaStatus{Hard: list("pods", "5", "cpu", "1"), Used: list("pods", "2", "cpu", "1")}, list("pods", "2"), list("pods", "2"), true},
		{"one not measured", list("pods", "5", "cpu", "1"), corev1.ResourceQuotaStatus{Hard: list("pods", "5", "cpu", "1"), Used: list("pods", "2", "cpu", "1")}, list("pods", "2"), list("pods", "2", "cpu", "1"), false},
	} {
		q := &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: tc.hard}, Status: tc.was}
		got, changed := NewStatus(q, tc.measured)
		if changed != tc.changed || !quotav1.Equals(got.Used, tc.used) || !quotav1.Equals(got.Hard, tc.hard) {
			t.Errorf("%s: changed %v, %v", tc.name, changed, got)
		}
	}
}

func TestCountedResource(t *testing.T) {
	for name, want := range map[corev1.ResourceName]schema.GroupResource{
		"count/pods":             {Resource: "pods"},
		"count/deployments.apps": {Group: "apps", Resource: "deployments"},
		"count/w.a.example.com":  {Group: "a.example.com", Resource: "w"},
	} {
		if got, ok := countedResource(name); !ok || got != want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	for _, name := range []corev1.ResourceName{"pods", "count/"} {
		if got, ok := countedResource(name); ok {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestGivesBack(t *testing.T) {
	running, done := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}, &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}
	nodePort, clusterIP := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{}}}}, &corev1.Service{}
	for _, tc := range []struct {
		name     string
		old, new any
		want     bool
	}{
		{"a pod finishes", running, done, true},
		{"a pod starts", &corev1.Pod{}, running, false},
		{"a finished pod", done, done, false},
		{"a node port goes", nodePort, clusterIP, true},
		{"a Service stays", nodePort, nodePort, false},
		{"a config map", &corev1.ConfigMap{}, &corev1.ConfigMap{}, false},
	} {
		if got := GivesBack(tc.old, tc.new); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

package core_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestFieldLabels(t *testing.T) {
	s := scheme(t)
	for kind, c := range map[string]struct{ good, bad string }{
		"Pod": {"spec.nodeName", "spec.hostname"}, "Node": {"spec.unschedulable", "metadata.namespace"},
		"Event": {"involvedObject.uid", "message"}, "Namespace": {"status.phase", "metadata.namespace"},
		"Secret": {"type", "data"}, "Service": {"spec.type", "spec.ports"},
		"ReplicationController": {"status.replicas", "spec.replicas"}, "ConfigMap": {"metadata.namespace", "data"},
	} {
		gvk := corev1.SchemeGroupVersion.WithKind(kind)
		for _, label := range []string{"metadata.name", c.good} {
			if got, _, err := s.ConvertFieldLabel(gvk, label, "v"); err != nil || got != label {
				t.Errorf("%s %s: %q, %v", kind, label, got, err)
			}
		}
		if _, _, err := s.ConvertFieldLabel(gvk, c.bad, "v"); err == nil {
			t.Errorf("%s: %s was accepted", kind, c.bad)
		}
	}
	if got, _, err := s.ConvertFieldLabel(corev1.SchemeGroupVersion.WithKind("Pod"), "spec.host", "v"); err != nil || got != "spec.nodeName" {
		t.Errorf("spec.host: %q, %v", got, err)
	}
}

func TestQueryParameters(t *testing.T) {
	codec := runtime.NewParameterCodec(scheme(t))
	decode := func(query string, into runtime.Object) error {
		v, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		return codec.DecodeParameters(v, corev1.SchemeGroupVersion, into)
	}
	tail := int64(5)
	for query, c := range map[string]struct{ got, want runtime.Object }{
		"container=c&follow=true&tailLines=5&previous=0": {&corev1.PodLogOptions{}, &corev1.PodLogOptions{Container: "c", Follow: true, TailLines: &tail}},
		"command=ls&command=-l&stdin&tty=1&stdout=false": {&corev1.PodExecOptions{}, &corev1.PodExecOptions{Command: []string{"ls", "-l"}, Stdin: true, TTY: true}},
		"container=c&stderr=true":                        {&corev1.PodAttachOptions{}, &corev1.PodAttachOptions{Container: "c", Stderr: true}},
		"ports=1&ports=2":                                {&corev1.PodPortForwardOptions{}, &corev1.PodPortForwardOptions{Ports: []int32{1, 2}}},
		"path=/a":                                        {&corev1.PodProxyOptions{}, &corev1.PodProxyOptions{Path: "/a"}},
	} {
		if err := decode(query, c.got); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if d := cmp.Diff(c.want, c.got); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	if err := decode("tailLines=many", &corev1.PodLogOptions{}); err == nil {
		t.Error("tailLines=many was accepted")
	}
}

package pod

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func named(names ...string) []corev1.Container {
	var list []corev1.Container
	for _, n := range names {
		list = append(list, corev1.Container{Name: n})
	}
	return list
}

func TestContainerOf(t *testing.T) {
	for _, c := range []struct {
		name, ask, want, err string
		spec                 corev1.PodSpec
	}{
		{name: "the only one", spec: corev1.PodSpec{Containers: named("a"), InitContainers: named("i")}, want: "a"},
		{name: "by name", ask: "i", spec: corev1.PodSpec{Containers: named("a"), InitContainers: named("i")}, want: "i"},
		{name: "two", spec: corev1.PodSpec{Containers: named("a", "b")}, err: "a container name must be specified for pod p, choose one of: [a b]"},
		{name: "with init containers", spec: corev1.PodSpec{Containers: named("a", "b"), InitContainers: named("i", "j")},
			err: "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i j]"},
		{name: "unknown", ask: "x", spec: corev1.PodSpec{Containers: named("a")}, err: "container x is not valid for pod p"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := containerOf(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: c.spec}, c.ask)
			if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestLogQuery(t *testing.T) {
	got := logQuery(&corev1.PodLogOptions{Follow: true, Timestamps: true, TailLines: ptr.To(int64(5)), SinceSeconds: ptr.To(int64(60)), LimitBytes: ptr.To(int64(9))}).Encode()
	if want := "follow=true&limitBytes=9&sinceSeconds=60&tailLines=5&timestamps=true"; got != want {
		t.Errorf("got %s", got)
	}
	now := metav1.Now()
	if errs := validateLogOptions(&corev1.PodLogOptions{SinceSeconds: ptr.To(int64(1)), SinceTime: &now, TailLines: ptr.To(int64(-1)), LimitBytes: ptr.To(int64(0))}); len(errs) != 3 {
		t.Errorf("got %v", errs)
	}
}

func TestEndAlone(t *testing.T) {
	stream := &endAlone{ReadCloser: io.NopCloser(iotest.DataErrReader(strings.NewReader("ahoy")))}
	b := make([]byte, 9)
	if n, err := stream.Read(b); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := stream.Read(b); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d, %v", n, err)
	}
}

func TestPodLocation(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{}, {Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}}}, Status: corev1.PodStatus{PodIP: "10.0.0.1"}}
	for port, want := range map[string]string{"": "10.0.0.1:8080", "9": "10.0.0.1:9"} {
		if got, err := podLocation(p, "http", port); err != nil || got.String() != (&url.URL{Scheme: "http", Host: want}).String() {
			t.Errorf("port %q: %v, %v", port, got, err)
		}
	}
	for _, ip := range []string{"", "127.0.0.1", "169.254.169.254", "::1"} {
		p.Status.PodIP = ip
		if got, err := podLocation(p, "http", ""); err == nil {
			t.Errorf("%s is proxied to as %v", ip, got)
		}
	}
}

func TestMergeLabelKeys(t *testing.T) {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"hash": "1"}}, Spec: corev1.PodSpec{
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{LabelSelector: &metav1.LabelSelector{}, MatchLabelKeys: []string{"hash", "other"}}},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
			{LabelSelector: &metav1.LabelSelector{}, MismatchLabelKeys: []string{"hash"}}}}}}}
	mergeLabelKeys(p)
	if got := metav1.FormatLabelSelector(p.Spec.TopologySpreadConstraints[0].LabelSelector); got != "hash in (1)" {
		t.Errorf("got %s", got)
	}
	if got := metav1.FormatLabelSelector(p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[0].LabelSelector); got != "hash notin (1)" {
		t.Errorf("got %s", got)
	}
}

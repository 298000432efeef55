package env

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/record"

	"github.com/coracle-k8s/coracle/nodeagent/host"
)

type objects map[string]any

func (o objects) ConfigMap(_ context.Context, ns, name string) (*corev1.ConfigMap, error) {
	if cm, ok := o["c/"+name].(*corev1.ConfigMap); ok {
		return cm, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmap"}, name)
}

func (o objects) Secret(_ context.Context, ns, name string) (*corev1.Secret, error) {
	if s, ok := o["s/"+name].(*corev1.Secret); ok {
		return s, nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secret"}, name)
}

func service(ns, name, ip string, ports ...corev1.ServicePort) corev1.Service {
	return corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: ports}}
}

func testPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", UID: "u", Labels: map[string]string{"b": "2", "a": "x\ny"}},
		Spec: corev1.PodSpec{NodeName: "node", ServiceAccountName: "sa", Containers: []corev1.Container{{
			Name: "main", Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("100Mi")},
				Limits:   corev1.ResourceList{"cpu": resource.MustParse("1500m")},
			}}}},
		Status: corev1.PodStatus{PodIP: "10.0.0.1", PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd::1"}}, HostIP: "1.2.3.4", HostIPs: []corev1.HostIP{{IP: "1.2.3.4"}}},
	}
}

func render(vars []host.EnvVar) string {
	var lines []string
	for _, v := range vars {
		lines = append(lines, v.Name+"="+v.Value)
	}
	return strings.Join(lines, "\n")
}

func newMaker(o objects, services ...corev1.Service) (*Maker, *record.FakeRecorder) {
	recorder := record.NewFakeRecorder(10)
	return New(Config{
		Objects:  o,
		Services: func(context.Context, string) ([]corev1.Service, error) { return services, nil },
		Allocatable: func() corev1.ResourceList {
			return corev1.ResourceList{"memory": resource.MustParse("1Gi"), "cpu": resource.MustParse("4")}
		},
		Recorder: recorder,
	}), recorder
}

func TestEnvironmentOrderAndExpansion(t *testing.T) {
	g := NewWithT(t)
	m, recorder := newMaker(objects{
		"c/cm":  &corev1.ConfigMap{Data: map[string]string{"K": "cm", "OVER": "from", "bad=name": "x"}},
		"s/sec": &corev1.Secret{Data: map[string][]byte{"T": []byte("tok")}},
	}, service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443, Protocol: "TCP"}),
		service("ns", "my-db", "10.96.0.9", corev1.ServicePort{Port: 5432}),
		service("ns", "headless", "None", corev1.ServicePort{Port: 1}),
		service("other", "hidden", "10.96.0.8", corev1.ServicePort{Port: 1}))
	pod := testPod()
	c := &pod.Spec.Containers[0]
	c.EnvFrom = []corev1.EnvFromSource{
		{Prefix: "P_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}},
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}},
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: new(true)}},
	}
	c.Env = []corev1.EnvVar{
		{Name: "A", Value: "1"},
		{Name: "B", Value: "$(A)-$(MY_DB_SERVICE_HOST)-$(K)-$(LATER)"},
		{Name: "LATER", Value: "x"},
		{Name: "OVER", Value: "env"},
		{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "sec"}, Key: "T"}}},
		{Name: "ABSENT", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "sec"}, Key: "no", Optional: new(true)}}},
		{Name: "KUBERNETES_SERVICE_HOST", Value: "mine"},
	}
	vars, err := m.Environment(t.Context(), pod, c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(render(vars)).To(Equal(strings.TrimSpace(`
KUBERNETES_SERVICE_PORT=443
KUBERNETES_SERVICE_PORT_HTTPS=443
KUBERNETES_PORT=tcp://10.96.0.1:443
KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
KUBERNETES_PORT_443_TCP_PROTO=tcp
KUBERNETES_PORT_443_TCP_PORT=443
KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1
MY_DB_SERVICE_HOST=10.96.0.9
MY_DB_SERVICE_PORT=5432
MY_DB_PORT=tcp://10.96.0.9:5432
MY_DB_PORT_5432_TCP=tcp://10.96.0.9:5432
MY_DB_PORT_5432_TCP_PROTO=tcp
MY_DB_PORT_5432_TCP_PORT=5432
MY_DB_PORT_5432_TCP_ADDR=10.96.0.9
P_K=cm
P_OVER=from
K=cm
A=1
B=1-10.96.0.9-$(K)-$(LATER)
LATER=x
OVER=env
TOKEN=tok
KUBERNETES_SERVICE_HOST=mine`)))
	g.Expect(recorder.Events).To(Receive(ContainSubstring("InvalidEnvironmentVariableNames Keys [P_bad=name] from the EnvFrom configMap ns/cm")))

	pod.Spec.EnableServiceLinks = new(false)
	c.Env, c.EnvFrom = nil, nil
	vars, err = m.Environment(t.Context(), pod, c)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(render(vars)).To(And(ContainSubstring("KUBERNETES_SERVICE_HOST=10.96.0.1"), Not(ContainSubstring("MY_DB"))))
}

func TestEnvironmentErrors(t *testing.T) {
	m, _ := newMaker(objects{"c/cm": &corev1.ConfigMap{}})
	ref := func(name, key string) []corev1.EnvVar {
		return []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key}}}}
	}
	for want, env := range map[string][]corev1.EnvVar{
		`configmap "none" not found`:                      ref("none", "k"),
		`couldn't find key k in ConfigMap ns/cm`:          ref("cm", "k"),
		`unsupported fieldPath: spec.nope`:                {{Name: "X", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nope"}}}},
		`resolving fileKeyRef f: no volumes on this node`: {{Name: "X", ValueFrom: &corev1.EnvVarSource{FileKeyRef: &corev1.FileKeySelector{Path: "f"}}}},
	} {
		_, err := m.Environment(t.Context(), testPod(), &corev1.Container{Name: "main", Env: env})
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A key with an empty value is a variable with an empty value.
func TestEmptyValues(t *testing.T) {
	g := NewWithT(t)
	m, _ := newMaker(objects{"c/cm": &corev1.ConfigMap{Data: map[string]string{"k": ""}}, "s/s": &corev1.Secret{Data: map[string][]byte{"k": nil}}})
	vars, err := m.Environment(t.Context(), testPod(), &corev1.Container{Name: "main", Env: []corev1.EnvVar{
		{Name: "CM", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Key: "k"}}},
		{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}}},
	}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vars).To(ContainElements(host.EnvVar{Name: "CM"}, host.EnvVar{Name: "SECRET"}))
}

func TestFields(t *testing.T) {
	for path, want := range map[string]string{
		"metadata.name": "pod", "metadata.namespace": "ns", "metadata.uid": "u",
		"metadata.labels": "a=\"x\\ny\"\nb=\"2\"", "metadata.labels['b']": "2", "metadata.annotations['none']": "",
		"metadata.annotations": "", "spec.nodeName": "node", "spec.serviceAccountName": "sa",
		"status.podIP": "10.0.0.1", "status.podIPs": "10.0.0.1,fd::1", "status.hostIP": "1.2.3.4", "status.hostIPs": "1.2.3.4",
	} {
		got, err := Field(testPod(), path)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestResources(t *testing.T) {
	allocatable := corev1.ResourceList{"memory": resource.MustParse("1Gi"), "cpu": resource.MustParse("4")}
	for _, tc := range []struct{ res, divisor, want string }{
		{"limits.cpu", "", "2"}, {"limits.cpu", "1m", "1500"}, {"requests.cpu", "", "1"}, {"requests.cpu", "1m", "250"},
		{"requests.memory", "1Mi", "100"}, {"requests.memory", "", "104857600"}, {"limits.memory", "1Gi", "1"},
		{"requests.ephemeral-storage", "", "0"}, {"limits.hugepages-2Mi", "", "0"},
	} {
		ref := &corev1.ResourceFieldSelector{Resource: tc.res}
		if tc.divisor != "" {
			ref.Divisor = resource.MustParse(tc.divisor)
		}
		got, err := Resource(testPod(), ref, "main", allocatable)
		if err != nil || got != tc.want {
			t.Errorf("%s/%s: got %q, %v, want %q", tc.res, tc.divisor, got, err, tc.want)
		}
	}
}

func TestFileKey(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "f"), []byte("# c\n\nA='1 2'\nB='x\ny' # tail\n"), 0o600)).To(Succeed())
	g.Expect(os.Symlink("/etc/passwd", filepath.Join(dir, "evil"))).To(Succeed())
	m := New(Config{VolumePath: func(*corev1.Pod, string) string { return dir }})
	value, present, err := m.fileKey(testPod(), &corev1.FileKeySelector{Path: "f", Key: "B"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(present).To(BeTrue())
	g.Expect(value).To(Equal("x\ny"))
	_, _, err = m.fileKey(testPod(), &corev1.FileKeySelector{Path: "evil", Key: "B"})
	g.Expect(err).To(HaveOccurred())
	_, _, err = m.fileKey(testPod(), &corev1.FileKeySelector{Path: "f", Key: "C"})
	g.Expect(err).To(MatchError(`environment variable key "C" not found in file "f"`))
}

package core_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/coracle-k8s/coracle/apis/core"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files again")

func scheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	if err := core.Install(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPodDefaultsGolden(t *testing.T) {
	in, err := os.ReadFile(filepath.Join("testdata", "pod.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict(in, &pod); err != nil {
		t.Fatal(err)
	}
	s := scheme(t)
	s.Default(&pod)
	again := pod.DeepCopy()
	s.Default(again)
	if d := cmp.Diff(&pod, again); d != "" {
		t.Errorf("defaulting twice differs: %s", d)
	}
	out, err := yaml.Marshal(&pod)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "pod.golden.yaml")
	if *rewrite {
		if err := os.WriteFile(golden, out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(out)); d != "" {
		t.Errorf("-want +got, see -rewrite:\n%s", d)
	}
}

func TestPullPolicy(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for image, want := range map[string]corev1.PullPolicy{
		"nginx": corev1.PullAlways, "nginx:latest": corev1.PullAlways, "nginx:1": corev1.PullIfNotPresent,
		"host:5000/nginx": corev1.PullAlways, "host:5000/nginx:1": corev1.PullIfNotPresent,
		"nginx@sha256:ab": corev1.PullIfNotPresent, "nginx:latest@" + digest: corev1.PullAlways, "nginx@" + digest: corev1.PullIfNotPresent, "": corev1.PullIfNotPresent,
		// No references of images, so without a tag that could be the latest.
		"UPPER": corev1.PullIfNotPresent, "a b": corev1.PullIfNotPresent, "nginx:": corev1.PullIfNotPresent, " nginx": corev1.PullIfNotPresent,
		"nginx:latest@sha256:ab": corev1.PullIfNotPresent,
	} {
		p := corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}
		core.SetPodSpecDefaults(&p)
		if got := p.Containers[0].ImagePullPolicy; got != want {
			t.Errorf("%q: got %s, want %s", image, got, want)
		}
	}
}

func TestTemplateGetsLess(t *testing.T) {
	tpl := corev1.PodTemplateSpec{Spec: corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{
		Ports:     []corev1.ContainerPort{{ContainerPort: 80}},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}}}
	core.SetPodTemplateDefaults(&tpl)
	if tpl.Spec.EnableServiceLinks != nil || tpl.Spec.Containers[0].Ports[0].HostPort != 0 || tpl.Spec.Containers[0].Resources.Requests != nil {
		t.Errorf("a template got what only a pod gets: %+v", tpl.Spec)
	}
}

func TestDefaultsOfOtherKinds(t *testing.T) {
	one, ttl, tru, mode := int32(1), int32(10800), true, corev1.PersistentVolumeFilesystem
	internal, vip := corev1.ServiceInternalTrafficPolicyCluster, corev1.LoadBalancerIPModeVIP
	q := resource.MustParse
	cpu := func(s string) corev1.ResourceList { return corev1.ResourceList{corev1.ResourceCPU: q(s)} }
	meta := metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}
	for name, c := range map[string]struct{ in, want runtime.Object }{
		"Service": {
			&corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, SessionAffinity: corev1.ServiceAffinityClientIP, Ports: []corev1.ServicePort{{Port: 80}, {Port: 81, TargetPort: intstr.FromString("x")}}},
				Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "1.2.3.4"}}}}},
			&corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, SessionAffinity: corev1.ServiceAffinityClientIP,
				SessionAffinityConfig: &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &ttl}},
				ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster, InternalTrafficPolicy: &internal, AllocateLoadBalancerNodePorts: &tru,
				Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(80)}, {Port: 81, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString("x")}}},
				Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "1.2.3.4", IPMode: &vip}}}}},
		},
		"Service of no type": {&corev1.Service{Spec: corev1.ServiceSpec{Type: "x"}},
			&corev1.Service{Spec: corev1.ServiceSpec{Type: "x", SessionAffinity: corev1.ServiceAffinityNone}}},
		"Service of ClusterIP": {&corev1.Service{},
			&corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone, InternalTrafficPolicy: &internal}}},
		"Namespace": {&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n"}},
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"kubernetes.io/metadata.name": "n"}}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}},
		"Node": {&corev1.Node{Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}}, Status: corev1.NodeStatus{Capacity: cpu("2")}},
			&corev1.Node{Spec: corev1.NodeSpec{PodCIDR: "10.0.0.0/24", PodCIDRs: []string{"10.0.0.0/24"}}, Status: corev1.NodeStatus{Capacity: cpu("2"), Allocatable: cpu("2")}}},
		"Secret": {&corev1.Secret{StringData: map[string]string{"a": "b"}, Data: map[string][]byte{"a": []byte("x"), "c": nil}},
			&corev1.Secret{Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"a": []byte("b"), "c": nil}}},
		"ConfigMap": {&corev1.ConfigMap{}, &corev1.ConfigMap{Data: map[string]string{}}},
		"Endpoints": {&corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Ports: []corev1.EndpointPort{{Port: 1}}}}},
			&corev1.Endpoints{Subsets: []corev1.EndpointSubset{{Ports: []corev1.EndpointPort{{Port: 1, Protocol: corev1.ProtocolTCP}}}}}},
		"LimitRange": {&corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: cpu("2"), Min: cpu("1")}, {Type: corev1.LimitTypePod, Max: cpu("4")}}}},
			&corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: cpu("2"), Min: cpu("1"), Default: cpu("2"), DefaultRequest: cpu("2")}, {Type: corev1.LimitTypePod, Max: cpu("4")}}}}},
		"ResourceQuota":    {&corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: cpu("1u")}}, &corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: cpu("1m")}}},
		"PersistentVolume": {&corev1.PersistentVolume{}, &corev1.PersistentVolume{Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, VolumeMode: &mode}, Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumePending}}},
		"PersistentVolumeClaim": {&corev1.PersistentVolumeClaim{},
			&corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeMode: &mode}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}},
		"ReplicationController": {&corev1.ReplicationController{}, &corev1.ReplicationController{Spec: corev1.ReplicationControllerSpec{Replicas: &one}}},
		"ServiceList": {&corev1.ServiceList{Items: []corev1.Service{{}}},
			&corev1.ServiceList{Items: []corev1.Service{{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone, InternalTrafficPolicy: &internal}}}}},
		"ServiceAccount has none": {&corev1.ServiceAccount{ObjectMeta: meta}, &corev1.ServiceAccount{ObjectMeta: meta}},
	} {
		t.Run(name, func(t *testing.T) {
			scheme(t).Default(c.in)
			if d := cmp.Diff(c.want, c.in); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestReplicationControllerTakesLabels(t *testing.T) {
	rc := &corev1.ReplicationController{Spec: corev1.ReplicationControllerSpec{Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}}}}
	scheme(t).Default(rc)
	if rc.Spec.Selector["a"] != "b" || rc.Labels["a"] != "b" || rc.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		t.Errorf("got %+v", rc)
	}
}

func TestPodResources(t *testing.T) {
	list := func(text string) corev1.ResourceList {
		out := corev1.ResourceList{}
		for _, pair := range strings.Fields(text) {
			name, q, _ := strings.Cut(pair, "=")
			out[corev1.ResourceName(name)] = resource.MustParse(q)
		}
		return out
	}
	container := func(requests, limits string) corev1.Container {
		return corev1.Container{Resources: corev1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}}
	}
	text := func(l corev1.ResourceList) string {
		var out []string
		for name, q := range l {
			out = append(out, string(name)+"="+q.String())
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		name, requests, limits   string
		containers               []corev1.Container
		wantRequests, wantLimits string
	}{
		{name: "requests of the containers", limits: "cpu=2", containers: []corev1.Container{container("cpu=500m", "cpu=500m"), {}},
			wantRequests: "cpu=500m", wantLimits: "cpu=2"},
		{name: "requests of its limits", limits: "cpu=2", containers: []corev1.Container{{}}, wantRequests: "cpu=2", wantLimits: "cpu=2"},
		{name: "limits of all containers", requests: "cpu=1", containers: []corev1.Container{container("cpu=1", "cpu=1"), container("cpu=1", "cpu=2 memory=1Gi")},
			wantRequests: "cpu=1", wantLimits: "cpu=3"},
		{name: "limits no smaller than requests", requests: "cpu=4", containers: []corev1.Container{container("cpu=1", "cpu=1")},
			wantRequests: "cpu=4", wantLimits: "cpu=4"},
		{name: "a container without a limit", requests: "cpu=1", containers: []corev1.Container{container("", "cpu=1"), {}}, wantRequests: "cpu=1"},
		{name: "huge pages", limits: "cpu=1", containers: []corev1.Container{container("hugepages-2Mi=4Mi", "hugepages-2Mi=4Mi")},
			wantRequests: "cpu=1 hugepages-2Mi=4Mi", wantLimits: "cpu=1 hugepages-2Mi=4Mi"},
		{name: "what it does not support", requests: "cpu=1", containers: []corev1.Container{container("ephemeral-storage=1Gi", "ephemeral-storage=1Gi")}, wantRequests: "cpu=1"},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: c.containers, Resources: &corev1.ResourceRequirements{Requests: list(c.requests), Limits: list(c.limits)}}}
		core.SetPodResources(p)
		if r, l := text(p.Spec.Resources.Requests), text(p.Spec.Resources.Limits); r != c.wantRequests || l != c.wantLimits {
			t.Errorf("%s: requests %s, limits %s", c.name, r, l)
		}
	}
	empty := &corev1.Pod{Spec: corev1.PodSpec{Resources: &corev1.ResourceRequirements{}, Containers: []corev1.Container{container("cpu=1", "cpu=1")}}}
	core.SetPodResources(empty)
	if len(empty.Spec.Resources.Requests)+len(empty.Spec.Resources.Limits) != 0 {
		t.Errorf("resources that state nothing became %v", empty.Spec.Resources)
	}
}

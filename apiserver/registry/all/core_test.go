package all

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Strategies of Pods fill in and keep fields for clients that do not have them.
func TestPodsAreCompletedAndKept(t *testing.T) {
	w := newWorld(t, nil)
	cpu := func(s string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(s)}
	}
	p := newPod("web")
	p.Annotations = map[string]string{corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix + p.Spec.Containers[0].Name: "unconfined",
		"pod.alpha.kubernetes.io/init-containers": "[]"}
	p.Spec.Resources = &corev1.ResourceRequirements{Limits: cpu("2")}
	p.Spec.Containers[0].Resources.Requests = cpu("1")
	got := w.mustCreate("pods", p).(*corev1.Pod)
	if sc := got.Spec.Containers[0].SecurityContext; sc == nil || sc.AppArmorProfile == nil || sc.AppArmorProfile.Type != corev1.AppArmorProfileTypeUnconfined {
		t.Errorf("the annotation of AppArmor became %+v", sc)
	}
	if len(got.Annotations) != 1 {
		t.Errorf("annotations of old are kept: %v", got.Annotations)
	}
	if q := got.Spec.Resources.Requests[corev1.ResourceCPU]; q.String() != "1" || got.Status.QOSClass != corev1.PodQOSBurstable {
		t.Errorf("the pod requests %s of CPU and is %s", q.String(), got.Status.QOSClass)
	}

	update := func(sub string, change func(*corev1.Pod)) *corev1.Pod {
		t.Helper()
		obj, err := w.update("pods", sub, "default", "web", func(o runtime.Object) { change(o.(*corev1.Pod)) })
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*corev1.Pod)
	}
	got = update("", func(p *corev1.Pod) { p.Spec.Resources, p.Labels = nil, map[string]string{"a": "b"} })
	if got.Spec.Resources == nil || got.Generation != 1 {
		t.Errorf("a client that does not know the resources of the pod changed them: %+v, generation %d", got.Spec.Resources, got.Generation)
	}
	got = update("resize", func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests = cpu("1500m")
		p.Spec.Resources.Requests = nil
	})
	if q := got.Spec.Resources.Requests[corev1.ResourceCPU]; q.String() != "1500m" || got.Generation != 2 {
		t.Errorf("after a resize the pod requests %s of CPU, generation %d", q.String(), got.Generation)
	}
	update("status", func(p *corev1.Pod) {
		p.Status.NominatedNodeName, p.Status.ObservedGeneration = "n", 2
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: "False", ObservedGeneration: 2}}
	})
	got = update("status", func(p *corev1.Pod) {
		p.Status.ObservedGeneration, p.Status.QOSClass = 0, ""
		for i := range p.Status.Conditions { // none, if the cache is behind and the store asks again
			p.Status.Conditions[i].ObservedGeneration = 0
		}
	})
	if got.Status.ObservedGeneration != 2 || got.Status.Conditions[0].ObservedGeneration != 2 || got.Status.QOSClass != corev1.PodQOSBurstable {
		t.Errorf("an agent that does not know of generations changed them: %+v", got.Status)
	}
	b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default"}, Target: corev1.ObjectReference{Kind: "Node", Name: "n"}}
	if _, err := w.createSub("pods", "binding", "default", "web", b); err != nil {
		t.Fatal(err)
	}
	obj, err := w.get("pods", "default", "web")
	if err != nil {
		t.Fatal(err)
	}
	if s := obj.(*corev1.Pod).Status; s.NominatedNodeName != "" {
		t.Errorf("a bound pod is still nominated for %s", s.NominatedNodeName)
	}
}

// A Service that is applied again keeps its node ports by the names of its ports,
// and its families by the policy it had.
func TestServicesKeepWhatTheyHad(t *testing.T) {
	w := newWorld(t, nil)
	s := &corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"a": "b"},
		Ports: []corev1.ServicePort{{Name: "a", Port: 80}, {Name: "b", Port: 81}}}}
	was := w.mustCreate("services", s).(*corev1.Service).DeepCopy()
	obj, err := w.update("services", "", "default", "web", func(o runtime.Object) {
		s := o.(*corev1.Service)
		s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies, s.Spec.IPFamilyPolicy = "", nil, nil, nil
		s.Spec.Ports = []corev1.ServicePort{{Name: "b", Port: 90, Protocol: "TCP", TargetPort: intstr.FromInt32(90)}, {Name: "c", Port: 80, Protocol: "TCP", TargetPort: intstr.FromInt32(80)}}
	})
	if err != nil {
		t.Fatal(err)
	}
	now := obj.(*corev1.Service)
	if now.Spec.Ports[0].NodePort != was.Spec.Ports[1].NodePort {
		t.Errorf("port b, now 90, has node port %d, had %d", now.Spec.Ports[0].NodePort, was.Spec.Ports[1].NodePort)
	}
	if n := now.Spec.Ports[1].NodePort; n == 0 || n == was.Spec.Ports[0].NodePort {
		t.Errorf("port c is new and has node port %d, that of a", n)
	}
	if now.Spec.ClusterIP != was.Spec.ClusterIP || len(now.Spec.IPFamilies) != 1 || *now.Spec.IPFamilyPolicy != *was.Spec.IPFamilyPolicy {
		t.Errorf("the address was %+v and is %+v", was.Spec, now.Spec)
	}
	_, err = w.update("services", "", "default", "web", func(o runtime.Object) {
		p := corev1.IPFamilyPolicyRequireDualStack
		o.(*corev1.Service).Spec.IPFamilyPolicy = &p
	})
	const want = `Service "web" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestServicesOfExternalNames stores the policy for traffic inside the cluster that
// another type had, and does not show it.
func TestServicesOfExternalNames(t *testing.T) {
	w := newWorld(t, nil)
	cluster := corev1.ServiceInternalTrafficPolicyCluster
	w.mustCreate("services", &corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com", InternalTrafficPolicy: &cluster}})
	obj, err := w.get("services", "default", "web")
	if err != nil {
		t.Fatal(err)
	}
	list, err := registry.StoreOf(w.storage("services", "")).List(in("default", ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*corev1.Service{obj.(*corev1.Service), &list.(*corev1.ServiceList).Items[0]} {
		if s.Spec.InternalTrafficPolicy != nil {
			t.Errorf("shown: %v", *s.Spec.InternalTrafficPolicy)
		}
	}
}

// TestServicesGoneByStatus takes the last finalizer of a Service that is deleted, by each
// storage that can: its address and its port are free at once.
func TestServicesGoneByStatus(t *testing.T) {
	w := newWorld(t, nil)
	spec := corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, ClusterIP: "10.96.0.77", Ports: []corev1.ServicePort{{Port: 80, NodePort: 30077}}}
	for _, sub := range []string{"", "status", ""} {
		s := &corev1.Service{ObjectMeta: meta("web"), Spec: *spec.DeepCopy()}
		s.Finalizers = []string{"example.com/wait"}
		w.mustCreate("services", s)
		if _, _, err := w.delete("services", "default", "web", &metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.update("services", sub, "default", "web", func(o runtime.Object) { o.(*corev1.Service).Finalizers = nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.get("services", "default", "web"); !apierrors.IsNotFound(err) {
			t.Fatalf("services/%s, then: %v", sub, err)
		}
	}
}

// TestServicesWithoutNames have no fault but that: what defaults to them is known
// before they are validated.
func TestServicesWithoutNames(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.create("services", &corev1.Service{ObjectMeta: meta(""), Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}})
	const want = `Service "" is invalid: metadata.name: Required value: name or generateName is required`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

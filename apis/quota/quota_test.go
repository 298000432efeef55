package quota

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
)

var now = time.Unix(1_700_000_000, 0)

func list(kv ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		out[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return out
}

func container(name string, requests, limits corev1.ResourceList) corev1.Container {
	return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
}

func TestPodUsage(t *testing.T) {
	spec := corev1.PodSpec{
		InitContainers: []corev1.Container{container("i", list("cpu", "2"), nil)},
		Containers: []corev1.Container{
			container("a", list("cpu", "500m", "memory", "1Gi", "hugepages-2Mi", "4Mi", "example.com/gpu", "1", "deviceclass.resource.kubernetes.io/nic", "2"), list("cpu", "1", "example.com/gpu", "1")),
			container("b", list("cpu", "250m", "ephemeral-storage", "1Gi"), list("memory", "2Gi")),
		},
	}
	full := list(
		"count/pods", "1", "pods", "1",
		"cpu", "2", "requests.cpu", "2", "memory", "1Gi", "requests.memory", "1Gi",
		"ephemeral-storage", "1Gi", "requests.ephemeral-storage", "1Gi",
		"hugepages-2Mi", "4Mi", "requests.hugepages-2Mi", "4Mi", "requests.example.com/gpu", "1", "requests.deviceclass.resource.kubernetes.io/nic", "2",
		"limits.cpu", "1", "limits.memory", "2Gi",
	)
	deleted := func(ago time.Duration) metav1.ObjectMeta {
		return metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{Time: now.Add(-ago)}, DeletionGracePeriodSeconds: ptr.To[int64](30)}
	}
	for _, tc := range []struct {
		name string
		pod  corev1.Pod
		want corev1.ResourceList
	}{
		{"running", corev1.Pod{Spec: spec, Status: corev1.PodStatus{Phase: corev1.PodRunning}}, full},
		{"finished", corev1.Pod{Spec: spec, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, list("count/pods", "1")},
		{"terminating", corev1.Pod{ObjectMeta: deleted(10 * time.Second), Spec: spec}, full},
		{"overdue", corev1.Pod{ObjectMeta: deleted(31 * time.Second), Spec: spec}, list("count/pods", "1")},
	} {
		if got := PodUsage(&tc.pod, now); !quotav1.Equals(got, tc.want) {
			t.Errorf("%s:\n%s", tc.name, cmp.Diff(tc.want, got))
		}
	}
}

func TestServiceUsage(t *testing.T) {
	ports := []corev1.ServicePort{{Port: 80, NodePort: 30000}, {Port: 443}}
	for _, tc := range []struct {
		name string
		spec corev1.ServiceSpec
		want corev1.ResourceList
	}{
		{"cluster IP", corev1.ServiceSpec{Ports: ports}, list("count/services", "1", "services", "1", "services.nodeports", "0", "services.loadbalancers", "0")},
		{"node port", corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: ports}, list("count/services", "1", "services", "1", "services.nodeports", "2", "services.loadbalancers", "0")},
		{"load balancer", corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: ports}, list("count/services", "1", "services", "1", "services.nodeports", "2", "services.loadbalancers", "1")},
		{"load balancer without node ports", corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, AllocateLoadBalancerNodePorts: ptr.To(false), Ports: ports}, list("count/services", "1", "services", "1", "services.nodeports", "1", "services.loadbalancers", "1")},
	} {
		if got := ServiceUsage(&corev1.Service{Spec: tc.spec}); !quotav1.Equals(got, tc.want) {
			t.Errorf("%s:\n%s", tc.name, cmp.Diff(tc.want, got))
		}
	}
}

func TestClaimUsage(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: ptr.To("gold"),
			Resources:        corev1.VolumeResourceRequirements{Requests: list("storage", "1Gi")},
		},
		Status: corev1.PersistentVolumeClaimStatus{AllocatedResources: list("storage", "2Gi")},
	}
	want := list(
		"count/persistentvolumeclaims", "1", "persistentvolumeclaims", "1", "requests.storage", "2Gi",
		"gold.storageclass.storage.k8s.io/persistentvolumeclaims", "1", "gold.storageclass.storage.k8s.io/requests.storage", "2Gi",
	)
	if got := ClaimUsage(claim); !quotav1.Equals(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

// A quota's status takes whole bytes only.
func TestClaimUsageIsWholeBytes(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{}
	claim.Spec.Resources.Requests = list("storage", "1000000001n")
	if got := ClaimUsage(claim)["requests.storage"]; got.String() != "2" {
		t.Errorf("requests.storage=%s, want 2", got.String())
	}
	if got := claim.Spec.Resources.Requests["storage"]; got.String() != "1000000001n" {
		t.Errorf("the claim was changed: %s", got.String())
	}
}

func TestPodScopes(t *testing.T) {
	plain := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	rich := &corev1.Pod{Spec: corev1.PodSpec{
		ActiveDeadlineSeconds: ptr.To[int64](5),
		PriorityClassName:     "high",
		Containers:            []corev1.Container{container("c", list("cpu", "1"), nil)},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{PodAffinityTerm: corev1.PodAffinityTerm{Namespaces: []string{"other"}}}},
		}},
	}}
	req := func(s corev1.ResourceQuotaScope, op corev1.ScopeSelectorOperator, values ...string) requirement {
		return requirement{ScopeName: s, Operator: op, Values: values}
	}
	for _, tc := range []struct {
		scope       requirement
		plain, rich bool
	}{
		{req(corev1.ResourceQuotaScopeTerminating, "Exists"), false, true},
		{req(corev1.ResourceQuotaScopeNotTerminating, "Exists"), true, false},
		{req(corev1.ResourceQuotaScopeBestEffort, "Exists"), true, false},
		{req(corev1.ResourceQuotaScopeNotBestEffort, "Exists"), false, true},
		{req(corev1.ResourceQuotaScopeCrossNamespacePodAffinity, "Exists"), false, true},
		{req(corev1.ResourceQuotaScopePriorityClass, "Exists"), false, true},
		{req(corev1.ResourceQuotaScopePriorityClass, "DoesNotExist"), true, false},
		{req(corev1.ResourceQuotaScopePriorityClass, "In", "high", "low"), false, true},
		{req(corev1.ResourceQuotaScopePriorityClass, "NotIn", "high"), true, false},
		{req(corev1.ResourceQuotaScopeVolumeAttributesClass, "Exists"), false, false},
	} {
		for pod, want := range map[*corev1.Pod]bool{plain: tc.plain, rich: tc.rich} {
			if got, err := podInScope(tc.scope, pod); err != nil || got != want {
				t.Errorf("%v: %v, %v; want %v (priority class %q)", tc.scope, got, err, want, pod.Spec.PriorityClassName)
			}
		}
	}
}

func TestPodConstraints(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{container("i", nil, list("cpu", "1"))},
		Containers:     []corev1.Container{container("a", list("cpu", "1"), nil), container("b", list("cpu", "1"), list("cpu", "1"))},
	}}
	required := []corev1.ResourceName{"requests.cpu", "limits.cpu", "pods", "requests.example.com/gpu"}
	err := podConstraints(required, pod)
	if err == nil || err.Error() != "must specify limits.cpu for: a; requests.cpu for: i" {
		t.Errorf("got %v", err)
	}
	// Resources of the pod exempt it from naming others, too.
	pod.Spec.Resources = &corev1.ResourceRequirements{Requests: list("memory", "1Gi")}
	if err := podConstraints(required, pod); err != nil {
		t.Errorf("resources of the whole pod: %v", err)
	}
}

func TestMatchingResources(t *testing.T) {
	r := NewRegistry(nil, testingclock.NewFakePassiveClock(now))
	input := []corev1.ResourceName{
		"cpu", "pods", "count/pods", "requests.example.com/gpu", "hugepages-2Mi", "requests.hugepages-2Mi", "requests.storage",
		"requests.deviceclass.resource.kubernetes.io/gpu", "requests.kubernetes.io/gpu",
		"services", "services.nodeports", "configmaps", "count/configmaps", "gold.storageclass.storage.k8s.io/requests.storage", "count/deployments.apps",
	}
	for res, want := range map[string][]corev1.ResourceName{
		"pods":                   {"cpu", "pods", "count/pods", "requests.example.com/gpu", "requests.deviceclass.resource.kubernetes.io/gpu", "hugepages-2Mi", "requests.hugepages-2Mi"},
		"services":               {"services", "services.nodeports"},
		"persistentvolumeclaims": {"requests.storage", "gold.storageclass.storage.k8s.io/requests.storage"},
		"configmaps":             {"configmaps", "count/configmaps"},
	} {
		got := quotav1.ToSet(r.Get(schema.GroupResource{Resource: res}).MatchingResources(input))
		if !got.Equal(quotav1.ToSet(want)) {
			t.Errorf("%s: %v", res, got.List())
		}
	}
}

func TestHandles(t *testing.T) {
	r := NewRegistry(nil, testingclock.NewFakePassiveClock(now))
	pod := func(deadline *int64, image string) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{ActiveDeadlineSeconds: deadline, Containers: []corev1.Container{{Image: image}}}}
	}
	claim := func(class, current, allocated string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{
			Spec:   corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &class},
			Status: corev1.PersistentVolumeClaimStatus{CurrentVolumeAttributesClassName: &current, Phase: corev1.ClaimBound},
		}
		c.Spec.Resources.Requests = list("storage", "1Gi")
		if allocated != "" {
			c.Status.AllocatedResources = list("storage", allocated)
		}
		return c
	}
	pending := claim("a", "b", "")
	pending.Status.Phase = corev1.ClaimPending
	for _, tc := range []struct {
		resource, subresource string
		op                    admission.Operation
		old, new              runtime.Object
		want                  bool
	}{
		{"pods", "", admission.Create, nil, pod(nil, "a"), true},
		{"pods", "", admission.Update, pod(nil, "a"), pod(nil, "b"), false},
		{"pods", "", admission.Update, pod(ptr.To[int64](5), "a"), pod(ptr.To[int64](3), "a"), false},
		{"pods", "", admission.Update, pod(nil, "a"), pod(ptr.To[int64](5), "a"), true},
		{"pods", "", admission.Update, pod(ptr.To[int64](5), "a"), pod(nil, "a"), true},
		{"pods", "", admission.Delete, pod(nil, "a"), nil, false},
		{"pods", "resize", admission.Update, nil, nil, true},
		{"pods", "status", admission.Update, pod(nil, "a"), pod(ptr.To[int64](5), "a"), false},
		{"services", "", admission.Update, nil, nil, true},
		{"services", "status", admission.Update, nil, nil, false},
		{"persistentvolumeclaims", "", admission.Update, nil, nil, true},
		{"persistentvolumeclaims", "status", admission.Update, claim("a", "b", ""), claim("a", "a", ""), true},
		{"persistentvolumeclaims", "status", admission.Update, claim("a", "b", ""), claim("b", "a", ""), false},
		{"persistentvolumeclaims", "status", admission.Update, claim("a", "b", ""), claim("a", "b", "2Gi"), true},
		{"persistentvolumeclaims", "status", admission.Update, claim("a", "b", ""), pending, false},
		{"resourceclaims", "", admission.Update, nil, nil, true},
		{"resourceclaims", "status", admission.Update, nil, nil, false},
		{"configmaps", "", admission.Create, nil, nil, true},
		{"configmaps", "", admission.Update, nil, nil, false},
	} {
		gr := schema.GroupResource{Resource: tc.resource}
		if tc.resource == "resourceclaims" {
			gr.Group = resourcev1.GroupName
		}
		a := admission.NewAttributesRecord(tc.new, tc.old, schema.GroupVersionKind{}, "ns", "n", gr.WithVersion("v1"), tc.subresource, tc.op, nil, false, nil)
		if got := r.Get(gr).Handles(a); got != tc.want {
			t.Errorf("%s/%s %s: %v, want %v", tc.resource, tc.subresource, tc.op, got, tc.want)
		}
	}
}

func TestUsageStats(t *testing.T) {
	pods := []runtime.Object{
		&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container("a", list("cpu", "100m"), nil)}}},
		&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container("a", list("cpu", "200m"), nil)}}},
		&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "best-effort"}}}},
	}
	r := NewRegistry(func(gvr schema.GroupVersionResource, namespace string) ([]runtime.Object, error) {
		if gvr.Resource == "pods" && namespace == "ns" {
			return pods, nil
		}
		return nil, nil
	}, testingclock.NewFakePassiveClock(now))
	hard := list("pods", "10", "requests.cpu", "1", "services", "3", "count/widgets.example.com", "1")
	got, err := quotav1.CalculateUsage("ns", []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotBestEffort}, hard, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := list("pods", "2", "requests.cpu", "300m", "services", "0"); !quotav1.Equals(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

func TestConfigurationIgnoresEvents(t *testing.T) {
	c := NewConfiguration(nil, testingclock.NewFakePassiveClock(now))
	if _, ok := c.IgnoredResources()[schema.GroupResource{Group: "events.k8s.io", Resource: "events"}]; !ok {
		t.Error("events are charged")
	}
	if len(c.Evaluators()) != 8 {
		t.Errorf("%d evaluators", len(c.Evaluators()))
	}
}

func TestResourceClaimUsage(t *testing.T) {
	exactly := func(class string, mode resourcev1.DeviceAllocationMode, n int64) resourcev1.DeviceRequest {
		return resourcev1.DeviceRequest{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class, AllocationMode: mode, Count: n}}
	}
	either := resourcev1.DeviceRequest{FirstAvailable: []resourcev1.DeviceSubRequest{
		{DeviceClassName: "gpu", AllocationMode: "ExactCount", Count: 1}, {DeviceClassName: "gpu", AllocationMode: "ExactCount", Count: 4}, {DeviceClassName: "cpu", AllocationMode: "ExactCount", Count: 2},
	}}
	claim := &resourcev1.ResourceClaim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
		exactly("gpu", "ExactCount", 2), exactly("nic", "All", 0), exactly("nic", "Later", 7), either,
	}}}}
	want := list("count/resourceclaims.resource.k8s.io", "1", "gpu.deviceclass.resource.k8s.io/devices", "6",
		"nic.deviceclass.resource.k8s.io/devices", "32", "cpu.deviceclass.resource.k8s.io/devices", "2")
	if got := ResourceClaimUsage(claim); !quotav1.Equals(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

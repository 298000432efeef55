package quota

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
)

// objects lists what it holds.
func objects(os ...runtime.Object) List {
	return func(gvr schema.GroupVersionResource, namespace string) ([]runtime.Object, error) {
		var out []runtime.Object
		for _, o := range os {
			_, isPod := o.(*corev1.Pod)
			_, isClaim := o.(*resourcev1.ResourceClaim)
			_, isClass := o.(*resourcev1.DeviceClass)
			switch gvr.Resource {
			case "pods":
				isClaim, isClass = false, false
			case "resourceclaims":
				isPod, isClass = false, false
			case "deviceclasses":
				isPod, isClaim = false, false
			}
			if isPod || isClaim || isClass {
				out = append(out, o)
			}
		}
		return out, nil
	}
}

func TestExtendedClaims(t *testing.T) {
	gpu := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: resourcev1.DeviceClassSpec{ExtendedResourceName: ptr.To("example.com/gpu")}}
	plain := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "plain"}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{container("c", list("example.com/gpu", "2"), nil)}},
	}
	named := pod.DeepCopy()
	named.Status.ExtendedResourceClaimStatus = &corev1.PodExtendedResourceClaimStatus{ResourceClaimName: "theirs"}
	again := pod.DeepCopy()
	again.UID = "later"

	claim := func(name, class string, count int64, age int64, owned bool) *resourcev1.ResourceClaim {
		c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, CreationTimestamp: metav1.Unix(1000-age, 0)}}
		c.Spec.Devices.Requests = []resourcev1.DeviceRequest{{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: class, AllocationMode: "ExactCount", Count: count}}}
		if owned {
			c.Annotations = map[string]string{resourcev1.ExtendedResourceClaimAnnotation: "true"}
			c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: "u", Controller: ptr.To(true)}}
		}
		return c
	}
	const implicit = "requests.deviceclass.resource.kubernetes.io/"
	for _, tc := range []struct {
		name    string
		objects []runtime.Object
		claim   *resourcev1.ResourceClaim
		want    corev1.ResourceList
	}{
		{"a user's claim", []runtime.Object{gpu}, claim("c", "gpu", 3, 0, false), list(implicit+"gpu", "3", "requests.example.com/gpu", "3")},
		{"a class without a resource", []runtime.Object{plain}, claim("c", "plain", 3, 0, false), list(implicit+"plain", "3")},
		{"what its pod is charged for", []runtime.Object{gpu, pod}, claim("c", "gpu", 2, 0, true), list(implicit+"gpu", "2")},
		{"more than its pod is charged for", []runtime.Object{gpu, pod}, claim("c", "gpu", 3, 0, true), list(implicit+"gpu", "3", "requests.example.com/gpu", "1")},
		{"a second claim for the pod", []runtime.Object{gpu, pod, claim("first", "gpu", 2, 5, true)}, claim("c", "gpu", 2, 0, true), list(implicit+"gpu", "2", "requests.example.com/gpu", "2")},
		{"a twin with a later name", []runtime.Object{gpu, pod, claim("d", "gpu", 2, 0, true)}, claim("c", "gpu", 2, 0, true), list(implicit+"gpu", "2")},
		{"a claim that its pod does not name", []runtime.Object{gpu, named}, claim("c", "gpu", 2, 0, true), list(implicit+"gpu", "2", "requests.example.com/gpu", "2")},
		{"the claim that its pod names", []runtime.Object{gpu, named, claim("first", "gpu", 2, 5, true)}, claim("theirs", "gpu", 2, 0, true), list(implicit+"gpu", "2")},
		{"another pod of that name", []runtime.Object{gpu, again}, claim("c", "gpu", 2, 0, true), list(implicit+"gpu", "2", "requests.example.com/gpu", "2")},
		{"no pod", []runtime.Object{gpu}, claim("c", "gpu", 2, 0, true), list(implicit+"gpu", "2", "requests.example.com/gpu", "2")},
	} {
		e := newResourceClaims(objects(tc.objects...), testingclock.NewFakePassiveClock(now))
		r := tc.claim.Spec.Devices.Requests[0].Exactly
		want := quotav1.Add(list("count/resourceclaims.resource.k8s.io", "1"), tc.want)
		want[corev1.ResourceName(r.DeviceClassName+corev1.ResourceClaimsPerClass)] = *resource.NewQuantity(r.Count, resource.DecimalSI)
		if got, err := e.Usage(tc.claim); err != nil || !quotav1.Equals(got, want) {
			t.Errorf("%s: %v\n%s", tc.name, err, cmp.Diff(want, got))
		}
	}
}

func TestExtendedClaimsMatch(t *testing.T) {
	gpu := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: resourcev1.DeviceClassSpec{ExtendedResourceName: ptr.To("example.com/gpu")}}
	plain := &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "plain"}}
	input := []corev1.ResourceName{
		"gpu.deviceclass.resource.k8s.io/devices", "count/resourceclaims.resource.k8s.io", "requests.cpu",
		"requests.example.com/gpu", "requests.example.com/other",
		"requests.deviceclass.resource.kubernetes.io/gpu", "requests.deviceclass.resource.kubernetes.io/plain",
	}
	e := newResourceClaims(objects(gpu, plain), testingclock.NewFakePassiveClock(now))
	want := []corev1.ResourceName{
		"gpu.deviceclass.resource.k8s.io/devices", "count/resourceclaims.resource.k8s.io",
		"requests.example.com/gpu", "requests.deviceclass.resource.kubernetes.io/gpu", "requests.deviceclass.resource.kubernetes.io/plain",
	}
	if diff := cmp.Diff(want, e.MatchingResources(input)); diff != "" {
		t.Error(diff)
	}

	// A quota applies while its classes are unknown, and what cannot be charged is refused.
	broken := newResourceClaims(func(schema.GroupVersionResource, string) ([]runtime.Object, error) { return nil, errors.New("down") }, testingclock.NewFakePassiveClock(now))
	if got := broken.MatchingResources([]corev1.ResourceName{"requests.example.com/gpu"}); len(got) != 1 {
		t.Errorf("without an answer: %v", got)
	}
	if _, err := broken.Usage(&resourcev1.ResourceClaim{}); err == nil || err.Error() != "listing deviceclasses: down" {
		t.Errorf("without an answer: %v", err)
	}
}

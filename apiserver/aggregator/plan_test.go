package aggregator

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-aggregator/pkg/apis/apiregistration"
	"k8s.io/utils/ptr"
)

var now = metav1.NewTime(time.Unix(1_700_000_000, 0))

func TestPlanLocal(t *testing.T) {
	g := NewWithT(t)
	locals := []Local{
		{GroupVersion: schema.GroupVersion{Version: "v1"}}, {GroupVersion: schema.GroupVersion{Group: "apps", Version: "v1"}},
		{GroupVersion: schema.GroupVersion{Group: "apiregistration.k8s.io", Version: "v1"}},
		{GroupVersion: schema.GroupVersion{Group: "example.com", Version: "v1"}, Custom: true},
	}
	create, remove := planLocal(locals, nil, now)
	names := map[string]*apiService{}
	for _, a := range create {
		names[a.Name] = a
	}
	g.Expect(remove).To(BeEmpty())
	g.Expect(names).To(And(HaveLen(3), HaveKey("v1."), HaveKey("v1.apps"), HaveKey("v1.example.com")), "its own group has none")
	g.Expect(names["v1.apps"].Spec.GroupPriorityMinimum).To(BeEquivalentTo(17800))
	g.Expect(names["v1.example.com"].Labels).To(HaveKeyWithValue(managedLabel, "true"))
	g.Expect(available(names["v1."])).To(BeTrue())

	names["v1.old.com"] = localService(Local{GroupVersion: schema.GroupVersion{Group: "old.com", Version: "v1"}, Custom: true}, now)
	names["v1.mine.com"] = &apiService{ObjectMeta: metav1.ObjectMeta{Name: "v1.mine.com"}}
	names["v1.taken.com"] = names["v1.old.com"].DeepCopy()
	names["v1.taken.com"].Spec.Service = &apiregistration.ServiceReference{}
	create, remove = planLocal(locals, names, now)
	g.Expect(create).To(BeEmpty())
	g.Expect(remove).To(Equal([]string{"v1.old.com"}), "only what the server made and does not serve")
}

func TestVerdict(t *testing.T) {
	ref := &apiregistration.ServiceReference{Namespace: "n", Name: "s", Port: 443}
	service := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Name: "web", Port: 443}}}}
	slice := func(ready bool) []*discoveryv1.EndpointSlice {
		return []*discoveryv1.EndpointSlice{{Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
			Ports: []discoveryv1.EndpointPort{{Name: ptr.To("web"), Port: ptr.To[int32](8443)}}}}
	}
	for reason, o := range map[string]observed{
		"ServiceNotFound":      {serviceErr: apierrors.NewNotFound(corev1.Resource("services"), "s")},
		"ServiceAccessError":   {serviceErr: errors.New("no")},
		"ServicePortError":     {service: &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}}},
		"EndpointsAccessError": {service: service, endpointsErr: errors.New("no")},
		"EndpointsNotFound":    {service: service},
		"MissingEndpoints":     {service: service, endpoints: slice(false)},
		"":                     {service: service, endpoints: slice(true)},
	} {
		c := verdict(ref, o)
		if reason == "" && c != nil || reason != "" && (c == nil || c.Reason != reason) {
			t.Errorf("want %q, got %+v", reason, c)
		}
	}
}

func TestWithConditionKeepsTheTime(t *testing.T) {
	g := NewWithT(t)
	a := withCondition(&apiService{}, failed(errors.New("a")), now)
	g.Expect(withCondition(a, failed(errors.New("a")), metav1.NewTime(now.Add(time.Hour)))).To(BeNil())
	b := withCondition(a, failed(errors.New("b")), metav1.NewTime(now.Add(time.Hour)))
	g.Expect(b.Status.Conditions[0].LastTransitionTime).To(Equal(now), "only the words changed")
	g.Expect(available(withCondition(b, passed(), now))).To(BeTrue())
}

func TestOnlyKeepsWhatIsReferredTo(t *testing.T) {
	g := NewWithT(t)
	got, err := only([]byte(`{"paths":{"/apis/a/v1/x":{"$ref":"#/definitions/A"},"/apis/b/v1/y":{"$ref":"#/definitions/C"}},
		"definitions":{"A":{"items":{"$ref":"#/definitions/B"}},"B":{"type":"object"},"C":{}}}`), "/apis/a/v1/")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(got)).To(MatchJSON(`{"paths":{"/apis/a/v1/x":{"$ref":"#/definitions/A"}},"definitions":{"A":{"items":{"$ref":"#/definitions/B"}},"B":{"type":"object"}}}`))
}

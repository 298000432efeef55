package endpoints

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", Labels: map[string]string{"team": "x"}},
		Spec: corev1.ServiceSpec{ClusterIP: "10.0.0.1", Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080), Protocol: corev1.ProtocolTCP}}},
	}
}

func pod(i int, ready bool) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint("u", i)), Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: "n1"},
		Status:     corev1.PodStatus{PodIP: "x", PodIPs: []corev1.PodIP{{IP: fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)}}},
	}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	return p
}

func count(e *corev1.Endpoints) (ready, notReady int) {
	for _, s := range e.Subsets {
		ready += len(s.Addresses)
		notReady += len(s.NotReadyAddresses)
	}
	return ready, notReady
}

func TestPlan(t *testing.T) {
	terminating := pod(3, true)
	terminating.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	pods := []*corev1.Pod{pod(2, false), pod(1, true), terminating}
	trigger := time.Unix(5, 7)
	got, create := plan(service(), pods, nil, trigger)
	node := "n1"
	at := func(i int) corev1.EndpointAddress {
		return corev1.EndpointAddress{IP: fmt.Sprint("10.1.0.", i+1), NodeName: &node,
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "ns", Name: fmt.Sprint("p", i), UID: types.UID(fmt.Sprint("u", i))}}
	}
	want := &corev1.Endpoints{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web",
			Labels:      map[string]string{"team": "x", "endpoints.kubernetes.io/managed-by": "endpoint-controller"},
			Annotations: map[string]string{"endpoints.kubernetes.io/last-change-trigger-time": "1970-01-01T00:00:05.000000007Z"}},
		Subsets: []corev1.EndpointSubset{{
			Addresses: []corev1.EndpointAddress{at(1)}, NotReadyAddresses: []corev1.EndpointAddress{at(2)},
			Ports: []corev1.EndpointPort{{Name: "http", Port: 8080, Protocol: corev1.ProtocolTCP}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" || !create {
		t.Fatalf("create %t: %s", create, diff)
	}
	if again, _ := plan(service(), pods, got, time.Time{}); again != nil {
		t.Error("writes what is right")
	}
	svc := service()
	svc.Spec.PublishNotReadyAddresses = true
	got, _ = plan(svc, pods, got, time.Time{})
	if ready, notReady := count(got); ready != 3 || notReady != 0 {
		t.Errorf("published %d ready, %d not", ready, notReady)
	}
	if _, ok := got.Annotations[corev1.EndpointsLastChangeTriggerTime]; ok {
		t.Error("an old trigger time stays")
	}
	headless := service()
	headless.Spec.ClusterIP, headless.Spec.Ports = corev1.ClusterIPNone, nil
	got, _ = plan(headless, pods, nil, time.Time{})
	if ready, _ := count(got); ready != 1 || got.Subsets[0].Ports != nil {
		t.Errorf("headless without ports: %+v", got.Subsets)
	}
	if _, ok := got.Labels[corev1.IsHeadlessService]; !ok {
		t.Error("headless label is missing")
	}
}

// Pods that agree on one port and differ in another share the subset of the former.
func TestPortsArePacked(t *testing.T) {
	svc := service()
	svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: "tls", Port: 443, TargetPort: intstr.FromString("tls"), Protocol: corev1.ProtocolTCP})
	var pods []*corev1.Pod
	for i, port := range []int32{9443, 9444} {
		p := pod(i, true)
		p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "tls", ContainerPort: port, Protocol: corev1.ProtocolTCP}}}}
		pods = append(pods, p)
	}
	e, _ := plan(svc, pods, nil, time.Time{})
	var got []string
	for _, s := range e.Subsets {
		line := ""
		for _, p := range s.Ports {
			line += fmt.Sprint(p.Name, ":", p.Port, " ")
		}
		for _, a := range s.Addresses {
			line += a.IP + " "
		}
		got = append(got, line)
	}
	want := []string{"http:8080 10.1.0.1 10.1.0.2 ", "tls:9443 10.1.0.1 ", "tls:9444 10.1.0.2 "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTruncation(t *testing.T) {
	for _, tc := range []struct{ ready, notReady, wantReady, wantNotReady int }{
		{1000, 0, 1000, 0}, {1001, 0, 1000, 0}, {900, 300, 900, 100}, {2000, 500, 1000, 0}, {0, 1500, 0, 1000},
	} {
		var pods []*corev1.Pod
		for i := range tc.ready + tc.notReady {
			pods = append(pods, pod(i, i < tc.ready))
		}
		e, _ := plan(service(), pods, nil, time.Time{})
		ready, notReady := count(e)
		if ready != tc.wantReady || notReady != tc.wantNotReady || overCapacity(e) != (tc.ready+tc.notReady > 1000) {
			t.Errorf("%+v: %d, %d, annotations %v", tc, ready, notReady, e.Annotations)
		}
		if again, _ := plan(service(), pods, e, time.Time{}); again != nil {
			t.Error("not stable")
		}
	}
}

func TestReconcile(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	mine := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "by-hand"}}
	leader := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "leader", Labels: map[string]string{labelManagedBy: managedBy},
		Annotations: map[string]string{"control-plane.alpha.kubernetes.io/leader": "{}"}}}
	svc := service()
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(mine, leader, svc, pod(1, true)).Build()
	r := New(controllers.Deps{Client: c, Clock: clocktesting.NewFakeClock(time.Unix(0, 0)), Recorder: recorders.Always(record.NewFakeRecorder(10))})
	sync := func() {
		t.Helper()
		for _, name := range []string{"web", "by-hand", "leader"} {
			if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: name}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	sync()
	var e corev1.Endpoints
	key := client.ObjectKeyFromObject(svc)
	if err := c.Get(ctx, key, &e); err != nil || len(e.Subsets) != 1 {
		t.Fatalf("%+v %v", e.Subsets, err)
	}
	if err := c.Delete(ctx, svc); err != nil {
		t.Fatal(err)
	}
	sync()
	if err := c.Get(ctx, key, &e); !apierrors.IsNotFound(err) {
		t.Errorf("endpoints of a service that is gone: %v", err)
	}
	for _, o := range []client.Object{mine, leader} {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), &e); err != nil {
			t.Errorf("%s: %v", o.GetName(), err)
		}
		r.serviceDeleted(client.ObjectKeyFromObject(o))
	}
	sync()
	if err := c.Get(ctx, client.ObjectKeyFromObject(mine), &e); !apierrors.IsNotFound(err) {
		t.Errorf("endpoints that a user wrote for a deleted service: %v", err)
	}
	if err := c.Get(ctx, client.ObjectKeyFromObject(leader), &e); err != nil || r.deleted.Len() > 0 {
		t.Errorf("the record of a leader: %v, %v", err, r.deleted)
	}
}

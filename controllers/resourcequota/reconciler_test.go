package resourcequota

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestReconcileCountsEveryKind(t *testing.T) {
	ctx := context.Background()
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion})
	for _, kind := range []string{"Pod", "Service", "ConfigMap", "Secret", "PersistentVolumeClaim", "ResourceQuota"} {
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)

	at := func(ns, name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	q := &corev1.ResourceQuota{ObjectMeta: at("ns", "q"), Spec: corev1.ResourceQuotaSpec{Hard: list(
		"pods", "10", "requests.cpu", "4", "services.nodeports", "3", "configmaps", "9", "count/deployments.apps", "2", "count/widgets.example.com", "1",
	)}}
	objs := []client.Object{
		q,
		&corev1.Service{ObjectMeta: at("ns", "s"), Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}}},
		&corev1.ConfigMap{ObjectMeta: at("ns", "c")},
		&corev1.ConfigMap{ObjectMeta: at("other", "c")},
		&appsv1.Deployment{ObjectMeta: at("ns", "d")},
	}
	for i := range 3 {
		objs = append(objs, &corev1.Pod{ObjectMeta: at("ns", fmt.Sprint("p", i)), Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Requests: list("cpu", "500m")}}},
		}})
	}
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithRESTMapper(mapper).WithObjects(objs...).WithStatusSubresource(q).Build()
	r := New(controllers.Deps{Client: c, Clock: testingclock.NewFakeClock(time.Unix(1_700_000_000, 0))})
	check := func(wait time.Duration, want corev1.ResourceList) {
		t.Helper()
		res, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "ns", Name: "q"}})
		if err != nil {
			t.Fatal(err)
		}
		if res.RequeueAfter != wait {
			t.Errorf("requeued after %v, not %v", res.RequeueAfter, wait)
		}
		var got corev1.ResourceQuota
		if err := c.Get(ctx, client.ObjectKeyFromObject(q), &got); err != nil {
			t.Fatal(err)
		}
		if !quotav1.Equals(want, got.Status.Used) {
			t.Error(cmp.Diff(want, got.Status.Used))
		}
	}
	three := list("pods", "3", "requests.cpu", "1500m", "services.nodeports", "1", "configmaps", "1", "count/deployments.apps", "1")
	check(unknownInterval, three) // widgets do not exist yet
	if err := c.Delete(ctx, objs[len(objs)-1]); err != nil {
		t.Fatal(err)
	}
	check(eventInterval, three)

	// Objects that admission charges meanwhile may not be in the cache yet.
	var charged corev1.ResourceQuota
	if err := c.Get(ctx, client.ObjectKeyFromObject(q), &charged); err != nil {
		t.Fatal(err)
	}
	charged.Status.Used["pods"] = resource.MustParse("4")
	if err := c.Status().Update(ctx, &charged); err != nil {
		t.Fatal(err)
	}
	check(eventInterval, charged.Status.Used)
	check(unknownInterval, list("pods", "2", "requests.cpu", "1", "services.nodeports", "1", "configmaps", "1", "count/deployments.apps", "1"))
}

package ttlafterfinished

import (
	"context"
	"testing"
	"time"

	"github.com/coracle-k8s/coracle/controllers"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestAJobGoesWhenItsTimeHasCome(t *testing.T) {
	ctx, end := context.Background(), time.Unix(1_700_000_000, 0)
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "ns", UID: "u"}, Spec: batchv1.JobSpec{TTLSecondsAfterFinished: ptr.To(int32(100))},
		Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(end)}}}}
	clk := testingclock.NewFakeClock(end.Add(40 * time.Second))
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(j).Build()
	r, key := New(controllers.Deps{Client: c, Live: c, Clock: clk}), client.ObjectKeyFromObject(j)
	result, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: key})
	if err != nil || result.RequeueAfter != time.Minute {
		t.Fatalf("got %+v, %v", result, err)
	}
	clk.Step(time.Minute)
	if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(ctx, key, j); !apierrors.IsNotFound(err) {
		t.Errorf("the job is still there: %v", err)
	}
	if _, ok := Expiry(&batchv1.Job{Spec: batchv1.JobSpec{TTLSecondsAfterFinished: ptr.To(int32(0))}}); ok {
		t.Error("a job that runs expires")
	}
}

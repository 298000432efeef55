package cronjob

import (
	"context"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/apis/index"
	"github.com/coracle-k8s/coracle/controllers"
	"github.com/coracle-k8s/coracle/controllers/internal/recorders"
)

func TestJobsByTheHour(t *testing.T) {
	ctx := context.Background()
	cron := newCronJob(func(c *batchv1.CronJob) { c.Spec.ConcurrencyPolicy = batchv1.ReplaceConcurrent })
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(cron).WithStatusSubresource(cron, &batchv1.Job{}).
		WithIndex(&batchv1.Job{}, index.Owner, index.ByOwner).Build()
	clk := testingclock.NewFakeClock(created)
	r := New(controllers.Deps{Client: c, Live: c, Clock: clk, Recorder: recorders.Always(record.NewFakeRecorder(100))})
	step := func(by time.Duration) (*batchv1.CronJob, []batchv1.Job) {
		t.Helper()
		clk.Step(by)
		if _, err := r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(cron)}); err != nil {
			t.Fatal(err)
		}
		var now batchv1.CronJob
		var jobs batchv1.JobList
		if err := c.Get(ctx, client.ObjectKeyFromObject(cron), &now); err != nil {
			t.Fatal(err)
		}
		if err := c.List(ctx, &jobs); err != nil {
			t.Fatal(err)
		}
		return &now, jobs.Items
	}
	if _, jobs := step(time.Minute); len(jobs) != 0 {
		t.Fatalf("%d jobs before the time", len(jobs))
	}
	now, jobs := step(time.Hour)
	if len(jobs) != 1 || jobs[0].Name != "c-28403340" || jobs[0].Annotations[batchv1.CronJobScheduledTimestampAnnotation] != "2024-01-02T13:00:00Z" ||
		len(now.Status.Active) != 1 || !now.Status.LastScheduleTime.Time.Equal(created.Add(time.Hour)) {
		t.Fatalf("jobs %+v, status %+v", jobs, now.Status)
	}
	if _, jobs := step(time.Minute); len(jobs) != 1 {
		t.Fatalf("%d jobs for one time", len(jobs))
	}
	now, jobs = step(time.Hour)
	if len(jobs) != 1 || jobs[0].Name != "c-28403400" || len(now.Status.Active) != 1 {
		t.Fatalf("after the replacement: jobs %+v, status %+v", jobs, now.Status)
	}
	jobs[0].Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
	jobs[0].Status.CompletionTime = &metav1.Time{Time: clk.Now()}
	if err := c.Status().Update(ctx, &jobs[0]); err != nil {
		t.Fatal(err)
	}
	if now, _ = step(time.Minute); len(now.Status.Active) != 0 || now.Status.LastSuccessfulTime == nil {
		t.Errorf("after the end: status %+v", now.Status)
	}
	if err := c.Delete(ctx, now); err != nil {
		t.Fatal(err)
	}
}

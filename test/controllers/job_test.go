package controllers

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/test/env"
)

// work returns a job whose pods end at once, with an exit code.
func work(name string, completions, parallelism int32, code string) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	j.Spec.Completions, j.Spec.Parallelism = &completions, &parallelism
	j.Spec.Template.Annotations = map[string]string{"coracle.dev/simulated-exit-after": "0s", "coracle.dev/simulated-exit-code": code}
	j.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "x"}}}
	return j
}

func has(j *batchv1.Job, t batchv1.JobConditionType) bool {
	for _, c := range j.Status.Conditions {
		if c.Type == t && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// TestJobLife runs jobs to their end, in every way, and deletes them.
func TestJobLife(t *testing.T) {
	e, g := env.Start(t, env.WithNodes(2)), NewWithT(t)
	g.SetDefaultEventuallyTimeout(60 * time.Second)
	var j batchv1.Job
	ended := func(name string, how batchv1.JobConditionType) {
		t.Helper()
		g.Eventually(func() bool {
			g.Expect(e.Client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, &j)).To(Succeed())
			return has(&j, how)
		}).Should(BeTrue(), "%s becomes %s", name, how)
	}
	begin := time.Now()
	g.Expect(e.Client.Create(t.Context(), work("many", 200, 50, "0"))).To(Succeed())
	ended("many", batchv1.JobComplete)
	t.Logf("200 completions took %v", time.Since(begin))
	g.Expect(j.Status.Succeeded).To(BeEquivalentTo(200))
	var pods corev1.PodList
	mine := client.MatchingLabels{batchv1.JobNameLabel: "many"}
	g.Expect(e.Client.List(t.Context(), &pods, mine)).To(Succeed())
	g.Expect(pods.Items).To(HaveLen(200))
	for i := range pods.Items {
		g.Expect(pods.Items[i].Finalizers).To(BeEmpty(), pods.Items[i].Name)
	}
	g.Expect(e.Client.Delete(t.Context(), &j, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
	g.Eventually(func() []corev1.Pod {
		g.Expect(e.Client.List(t.Context(), &pods, mine)).To(Succeed())
		return pods.Items
	}).Should(BeEmpty(), "pods go with their job")

	indexed := work("indexed", 20, 5, "0")
	indexed.Spec.CompletionMode = ptr.To(batchv1.IndexedCompletion)
	g.Expect(e.Client.Create(t.Context(), indexed)).To(Succeed())
	ended("indexed", batchv1.JobComplete)
	g.Expect(j.Status.CompletedIndexes).To(Equal("0-19"))

	perIndex := work("per-index", 3, 3, "1")
	perIndex.Spec.CompletionMode, perIndex.Spec.BackoffLimitPerIndex = ptr.To(batchv1.IndexedCompletion), ptr.To(int32(0))
	perIndex.Spec.TTLSecondsAfterFinished = ptr.To(int32(1))
	g.Expect(e.Client.Create(t.Context(), perIndex)).To(Succeed())
	ended("per-index", batchv1.JobFailed)
	g.Expect(*j.Status.FailedIndexes).To(Equal("0-2"))
	g.Expect(j.Status.Failed).To(BeEquivalentTo(3))
	g.Eventually(func() bool {
		return apierrors.IsNotFound(e.Client.Get(t.Context(), client.ObjectKeyFromObject(perIndex), &j))
	}).Should(BeTrue(), "its time to live is over")
}

// TestPodsOfADeletedJobGo deletes a job whose pods still run.
func TestPodsOfADeletedJobGo(t *testing.T) {
	e, g := env.Start(t), NewWithT(t)
	g.SetDefaultEventuallyTimeout(30 * time.Second)
	j := work("runs", 3, 3, "0")
	j.Spec.Template.Annotations = nil
	g.Expect(e.Client.Create(t.Context(), j)).To(Succeed())
	var pods corev1.PodList
	running := func() (n int) {
		g.Expect(e.Client.List(t.Context(), &pods, client.InNamespace("default"))).To(Succeed())
		for i := range pods.Items {
			if pods.Items[i].Status.Phase == corev1.PodRunning {
				n++
			}
		}
		return n
	}
	g.Eventually(running).Should(Equal(3))
	g.Expect(e.Client.Delete(t.Context(), j, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
	g.Eventually(func() int { running(); return len(pods.Items) }).Should(BeZero())
	g.Eventually(func() bool { return apierrors.IsNotFound(e.Client.Get(t.Context(), client.ObjectKeyFromObject(j), j)) }).Should(BeTrue())
}

// TestCronJobByTheClock moves the cluster's clock to a scheduled time.
func TestCronJobByTheClock(t *testing.T) {
	m := start(t, 1)
	c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hourly"}}
	c.Spec.Schedule, c.Spec.JobTemplate.Spec = "0 * * * *", work("", 1, 1, "0").Spec
	m.Expect(m.Client.Create(t.Context(), c)).To(Succeed())
	count := func() int {
		var jobs batchv1.JobList
		m.Expect(m.Client.List(t.Context(), &jobs)).To(Succeed())
		return len(jobs.Items)
	}
	m.Consistently(count).Should(BeZero())
	m.leap(time.Hour)
	m.Eventually(count).Should(Equal(1))
}

// TestEvictedPodFailsItsJob needs the node to report that the pod has ended:
// with a failure policy, a pod that only terminates does not count.
func TestEvictedPodFailsItsJob(t *testing.T) {
	m := start(t, 1)
	j := work("policy", 1, 1, "")
	j.Spec.Template.Annotations = nil
	j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionFailJob,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}}}}
	m.Expect(m.Client.Create(t.Context(), j)).To(Succeed())
	var pods corev1.PodList
	m.Eventually(func() []corev1.Pod {
		m.Expect(m.Client.List(t.Context(), &pods, client.InNamespace("default"))).To(Succeed())
		return pods.Items
	}).Should(ContainElement(HaveField("Status.Phase", corev1.PodRunning)))
	m.Expect(m.evict(&pods.Items[0], nil)).To(Equal("done"))
	m.Eventually(func() []batchv1.JobCondition {
		m.Expect(m.get(j, "default", "policy")).To(Succeed())
		return j.Status.Conditions
	}).Should(ContainElement(And(HaveField("Type", batchv1.JobFailed), HaveField("Reason", batchv1.JobReasonPodFailurePolicy))))
	m.Expect(j.Status.Failed).To(BeEquivalentTo(1))
}

package job

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// play is a Job whose plans are carried out at once, without a server.
type play struct {
	now     time.Time
	job     *batchv1.Job
	pods    []*corev1.Pod
	made    int
	backoff Backoff
	log     strings.Builder
}

func newPlay(change func(*batchv1.JobSpec)) *play {
	p := &play{now: time.Unix(1_700_000_000, 0).UTC(), job: &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "ns", UID: "j"},
		Spec: batchv1.JobSpec{
			Parallelism: ptr.To[int32](2), Completions: ptr.To[int32](3), BackoffLimit: ptr.To[int32](6),
			CompletionMode: ptr.To(batchv1.NonIndexedCompletion), Suspend: ptr.To(false),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever}},
		},
	}}
	change(&p.job.Spec)
	p.run()
	return p
}

func (p *play) say(format string, args ...any) { fmt.Fprintf(&p.log, format+"\n", args...) }

// run reconciles until nothing is done any more.
func (p *play) run() {
	for range 20 {
		before := p.state()
		p.reconcile()
		if p.state() == before {
			break
		}
	}
	p.say("  = %s", p.state())
}

func (p *play) reconcile() {
	if batch.IsFinished(&p.job.Status) {
		return
	}
	o := Observed{Job: p.job, Pods: p.pods, Settled: true, Backoff: p.backoff}
	plan := newView(o, p.now).plan()
	out := Outcome{}
	for _, pod := range plan.Delete {
		p.say("  delete %s%s", pod.Name, map[bool]string{true: ", not counted"}[plan.Untrack])
		out.Deleted = append(out.Deleted, pod)
	}
	for _, b := range plan.Create {
		if len(plan.Delete) > 0 {
			break
		}
		out.Created++
		p.create(b)
	}
	if plan.Again > 0 && p.job.Spec.ActiveDeadlineSeconds == nil {
		p.say("  again in %v", plan.Again)
	}
	t := newView(o, p.now).track(plan, out)
	p.job = p.job.DeepCopy()
	p.job.Status, p.backoff = t.Status, t.Backoff
	for _, pod := range t.Untrack {
		p.change(pod, func(c *corev1.Pod) { c.Finalizers = nil })
	}
	for _, pod := range plan.Delete {
		p.change(pod, func(c *corev1.Pod) {
			c.DeletionTimestamp = ptr.To(metav1.NewTime(p.now))
			if plan.Untrack {
				c.Finalizers = nil
			}
		})
	}
	var end *batchv1.JobCondition
	if p.job.Status, end = t.Settle(t.Untrack, p.now); end != nil {
		p.say("  %s: %s: %s", end.Type, end.Reason, end.Message)
	}
	p.pods = slices.DeleteFunc(p.pods, func(c *corev1.Pod) bool {
		return c.DeletionTimestamp != nil && len(c.Finalizers) == 0 && !podapi.IsTerminating(c)
	})
}

func (p *play) create(b Birth) {
	pod := NewPod(p.job, b)
	p.made++
	pod.Name = fmt.Sprintf("p%d", p.made)
	pod.UID, pod.CreationTimestamp, pod.Status.Phase = types.UID(pod.Name), metav1.NewTime(p.now), corev1.PodRunning
	p.pods = append(p.pods, pod)
	words := ""
	if b.Index != unknown {
		words = fmt.Sprintf(" for index %d", b.Index)
	}
	if b.Failures+b.Ignored > 0 {
		words += fmt.Sprintf(" after %d failures and %d ignored", b.Failures, b.Ignored)
	}
	p.say("  create %s%s", pod.Name, words)
}

func (p *play) change(pod *corev1.Pod, f func(*corev1.Pod)) {
	for i := range p.pods {
		if p.pods[i].UID == pod.UID {
			p.pods[i] = p.pods[i].DeepCopy()
			f(p.pods[i])
		}
	}
}

// end ends a pod with an exit code; -1 is its eviction.
func (p *play) end(name string, code int32) {
	p.say("%s exits with %d", name, code)
	p.change(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(name)}}, func(c *corev1.Pod) {
		c.Status.Phase = corev1.PodFailed
		if code == 0 {
			c.Status.Phase = corev1.PodSucceeded
		}
		if code < 0 {
			c.Status.Conditions = append(c.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
		}
		c.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(p.now)}}}}
	})
	p.run()
}

// gone lets the agent finish the pods that were deleted.
func (p *play) gone() {
	p.say("deleted pods end")
	for _, pod := range p.pods {
		if podapi.IsTerminating(pod) {
			p.change(pod, func(c *corev1.Pod) { c.Status.Phase = corev1.PodFailed })
		}
	}
	p.run()
}

func (p *play) edit(what string, f func(*batchv1.JobSpec)) {
	p.say("user: %s", what)
	p.job = p.job.DeepCopy()
	f(&p.job.Spec)
	p.run()
}

func (p *play) wait(d time.Duration) {
	p.say("%v later", d)
	p.now = p.now.Add(d)
	p.run()
}

func (p *play) state() string {
	s := &p.job.Status
	out := fmt.Sprintf("active %d succeeded %d failed %d terminating %d", s.Active, s.Succeeded, s.Failed, ptr.Deref(s.Terminating, 0))
	if s.CompletedIndexes != "" {
		out += " completed " + s.CompletedIndexes
	}
	if f := ptr.Deref(s.FailedIndexes, ""); f != "" {
		out += " failed " + f
	}
	for _, c := range s.Conditions {
		out += fmt.Sprintf("; %s=%s", c.Type, c.Status)
	}
	if s.StartTime == nil {
		out += "; not started"
	}
	return out
}

func indexed(s *batchv1.JobSpec) { s.CompletionMode = ptr.To(batchv1.IndexedCompletion) }

func TestTranscripts(t *testing.T) {
	for name, scenario := range map[string]func() *play{
		"completes": completes, "work-queue": workQueue, "backoff": failsOften, "per-index": perIndex, "failure-policy": failurePolicy,
		"success-policy": successPolicy, "suspend": suspend, "deadline": pastDeadline, "replacement": replacement, "elastic": elastic,
	} {
		t.Run(name, func(t *testing.T) { golden.Check(t, *rewrite, name, scenario().log.String()) })
	}
}

func completes() *play {
	p := newPlay(func(*batchv1.JobSpec) {})
	for _, pod := range []string{"p1", "p2", "p3"} {
		p.end(pod, 0)
	}
	return p
}

func workQueue() *play {
	p := newPlay(func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = nil, ptr.To[int32](3) })
	p.end("p2", 0)
	p.end("p1", 1)
	p.end("p3", 0)
	return p
}

func failsOften() *play {
	p := newPlay(func(s *batchv1.JobSpec) {
		s.BackoffLimit, s.Parallelism, s.Completions = ptr.To[int32](2), ptr.To[int32](1), ptr.To[int32](2)
	})
	p.end("p1", 1)
	p.wait(10 * time.Second)
	p.end("p2", 0)
	p.end("p3", 1)
	p.wait(10 * time.Second)
	p.end("p4", 1)
	return p
}

func perIndex() *play {
	p := newPlay(func(s *batchv1.JobSpec) {
		indexed(s)
		s.BackoffLimitPerIndex, s.BackoffLimit, s.Parallelism = ptr.To[int32](1), ptr.To[int32](1000), ptr.To[int32](3)
	})
	p.end("p1", 1)
	p.end("p2", 0)
	p.wait(10 * time.Second)
	p.end("p4", 1)
	p.end("p3", 0)

	p.say("\nand with not more than one failed index")
	q := newPlay(func(s *batchv1.JobSpec) {
		indexed(s)
		s.BackoffLimitPerIndex, s.MaxFailedIndexes, s.Parallelism = ptr.To[int32](0), ptr.To[int32](1), ptr.To[int32](3)
	})
	q.end("p1", 1)
	q.end("p2", 1)
	q.gone()
	p.log.WriteString(q.log.String())
	return p
}

func failurePolicy() *play {
	rule := func(a batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: a, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes}}
	}
	p := newPlay(func(s *batchv1.JobSpec) {
		indexed(s)
		s.BackoffLimitPerIndex, s.Completions, s.Parallelism = ptr.To[int32](1), ptr.To[int32](4), ptr.To[int32](4)
		s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}},
			rule(batchv1.PodFailurePolicyActionFailIndex, 42), rule(batchv1.PodFailurePolicyActionCount, 43), rule(batchv1.PodFailurePolicyActionFailJob, 44),
		}}
	})
	p.end("p1", -1)
	p.wait(10 * time.Second)
	p.end("p2", 42)
	p.end("p3", 43)
	p.wait(10 * time.Second)
	p.end("p5", 44)
	p.gone()
	return p
}

func successPolicy() *play {
	p := newPlay(func(s *batchv1.JobSpec) {
		indexed(s)
		s.Completions, s.Parallelism = ptr.To[int32](5), ptr.To[int32](5)
		s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{
			{SucceededIndexes: ptr.To("0-1")}, {SucceededIndexes: ptr.To("2-4"), SucceededCount: ptr.To[int32](2)},
		}}
	})
	p.end("p1", 0)
	p.end("p3", 0)
	p.end("p5", 0)
	p.gone()
	return p
}

func suspend() *play {
	p := newPlay(func(s *batchv1.JobSpec) { s.Suspend = ptr.To(true) })
	p.edit("resume", func(s *batchv1.JobSpec) { s.Suspend = ptr.To(false) })
	p.end("p1", 0)
	p.edit("suspend", func(s *batchv1.JobSpec) { s.Suspend = ptr.To(true) })
	p.gone()
	p.edit("resume", func(s *batchv1.JobSpec) { s.Suspend = ptr.To(false) })
	return p
}

func pastDeadline() *play {
	p := newPlay(func(s *batchv1.JobSpec) { s.ActiveDeadlineSeconds = ptr.To[int64](30) })
	p.end("p1", 0)
	p.wait(29 * time.Second)
	p.wait(time.Second)
	p.gone()
	return p
}

func replacement() *play {
	p := newPlay(func(s *batchv1.JobSpec) { s.PodReplacementPolicy = ptr.To(batchv1.Failed) })
	p.say("p1 is evicted")
	p.change(p.pods[0], func(c *corev1.Pod) { c.DeletionTimestamp = ptr.To(metav1.NewTime(p.now)) })
	p.run()
	p.gone()
	p.wait(10 * time.Second)
	return p
}

func elastic() *play {
	p := newPlay(func(s *batchv1.JobSpec) {
		indexed(s)
		s.Completions, s.Parallelism = ptr.To[int32](3), ptr.To[int32](3)
	})
	p.end("p3", 0)
	p.edit("five", func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = ptr.To[int32](5), ptr.To[int32](5) })
	p.edit("two", func(s *batchv1.JobSpec) { s.Completions, s.Parallelism = ptr.To[int32](2), ptr.To[int32](2) })
	p.end("p1", 0)
	p.end("p2", 0)
	p.gone()
	return p
}

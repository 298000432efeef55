package job

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/batch"
)

var start = time.Unix(1_700_000_000, 0)

func newJob(change func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "ns", UID: "job", Generation: 1}}
	j.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	if change != nil {
		change(j)
	}
	batch.SetDefaultsJob(j)
	batch.GenerateSelector(j)
	return j
}

func sized(completions, parallelism int32) func(*batchv1.Job) {
	return func(j *batchv1.Job) { j.Spec.Completions, j.Spec.Parallelism = &completions, &parallelism }
}

func indexedJob(completions, parallelism int32, change func(*batchv1.JobSpec)) *batchv1.Job {
	return newJob(func(j *batchv1.Job) {
		sized(completions, parallelism)(j)
		j.Spec.CompletionMode = ptr.To(batchv1.IndexedCompletion)
		if change != nil {
			change(&j.Spec)
		}
	})
}

// pods makes pods of a Job: "running", "succeeded", "failed:3" (exit code),
// "pending", each with an optional index, as in "failed@2".
func pods(j *batchv1.Job, specs ...string) []*corev1.Pod {
	var out []*corev1.Pod
	for i, spec := range specs {
		state, at, indexed := strings.Cut(spec, "@")
		b := Birth{Index: unknown}
		if indexed {
			_, _ = fmt.Sscan(at, &b.Index)
		}
		p := NewPod(j, b)
		p.Name = fmt.Sprintf("p%d", i)
		p.UID = types.UID(p.Name)
		p.CreationTimestamp = metav1.NewTime(start)
		state, code, exited := strings.Cut(state, ":")
		p.Status.Phase = corev1.PodPhase(strings.ToUpper(state[:1]) + state[1:])
		if exited {
			c := corev1.ContainerStatus{Name: "c", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(start)}}}
			_, _ = fmt.Sscan(code, &c.State.Terminated.ExitCode)
			p.Status.ContainerStatuses = []corev1.ContainerStatus{c}
		}
		out = append(out, p)
	}
	return out
}

// told returns a plan in words.
func describe(p Plan) string {
	var words []string
	if p.Finish != nil {
		words = append(words, string(p.Finish.Type)+" "+p.Finish.Reason)
	}
	for _, b := range p.Create {
		words = append(words, strings.TrimSpace(fmt.Sprintf("+%d", b.Index))+strings.Repeat("!", int(b.Failures)))
	}
	for _, d := range p.Delete {
		words = append(words, "-"+d.Name)
	}
	if p.Again > 0 {
		words = append(words, "again in "+p.Again.String())
	}
	return strings.Join(words, " ")
}

func TestPlan(t *testing.T) {
	failFast := func(action batchv1.PodFailurePolicyAction) func(*batchv1.JobSpec) {
		return func(s *batchv1.JobSpec) {
			s.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: action,
				OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{42}}}}}
		}
	}
	perIndex := func(n int32) func(*batchv1.JobSpec) {
		return func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex = &n }
	}
	both := func(fs ...func(*batchv1.JobSpec)) func(*batchv1.JobSpec) {
		return func(s *batchv1.JobSpec) {
			for _, f := range fs {
				f(s)
			}
		}
	}
	for _, c := range []struct {
		name  string
		job   *batchv1.Job
		pods  []string
		after time.Duration // since the pods' end
		want  string
	}{
		{"new", newJob(sized(5, 2)), nil, 0, "+-1 +-1"},
		{"steady", newJob(sized(5, 2)), []string{"running", "pending"}, 0, ""},
		{"the last ones", newJob(sized(3, 2)), []string{"succeeded", "succeeded"}, 0, "+-1"},
		{"too many", newJob(sized(5, 1)), []string{"running", "pending"}, 0, "-p1"},
		{"a queue is empty", newJob(func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To(int32(3)) }), []string{"succeeded", "running"}, 0, ""},
		{"backoff", newJob(sized(1, 1)), []string{"failed:1"}, 3 * time.Second, "again in 7s"},
		{"after backoff", newJob(sized(1, 1)), []string{"failed:1"}, 11 * time.Second, "+-1"},
		{"twice", newJob(sized(1, 1)), []string{"failed:1", "failed:1"}, 11 * time.Second, "again in 9s"},
		{"limit", newJob(func(j *batchv1.Job) { sized(2, 2)(j); j.Spec.BackoffLimit = ptr.To(int32(0)) }), []string{"failed:1", "running"}, 0, "FailureTarget BackoffLimitExceeded -p1"},
		{"suspended", newJob(func(j *batchv1.Job) { sized(2, 2)(j); j.Spec.Suspend = ptr.To(true) }), []string{"running"}, 0, "-p0"},
		{"deadline", newJob(func(j *batchv1.Job) {
			sized(1, 1)(j)
			j.Spec.ActiveDeadlineSeconds, j.Status.StartTime = ptr.To(int64(5)), &metav1.Time{Time: start}
		}),
			[]string{"running"}, 5 * time.Second, "FailureTarget DeadlineExceeded -p0"},
		{"before the deadline", newJob(func(j *batchv1.Job) {
			sized(1, 1)(j)
			j.Spec.ActiveDeadlineSeconds, j.Status.StartTime = ptr.To(int64(5)), &metav1.Time{Time: start}
		}),
			[]string{"running"}, time.Second, "again in 4s"},
		{"indexed", indexedJob(5, 3, nil), []string{"succeeded@0", "running@2"}, 0, "+1 +3"},
		{"same index", indexedJob(5, 3, nil), []string{"running@1", "pending@1", "running@7"}, 0, "-p1 -p2"},
		{"fail the job", indexedJob(5, 2, failFast(batchv1.PodFailurePolicyActionFailJob)), []string{"failed:42@1", "running@0"}, 0, "FailureTarget PodFailurePolicy -p1"},
		{"ignored", indexedJob(2, 2, both(failFast(batchv1.PodFailurePolicyActionIgnore), func(s *batchv1.JobSpec) { s.BackoffLimit = ptr.To(int32(0)) })),
			[]string{"failed:42@1", "running@0"}, time.Minute, "+1"},
		{"per index", indexedJob(3, 3, perIndex(1)), []string{"failed:1@1", "running@0"}, 10 * time.Second, "+1! +2"},
		{"per index waits", indexedJob(3, 3, perIndex(1)), []string{"failed:1@1", "running@0"}, time.Second, "+2 again in 9s"},
		{"an index fails", indexedJob(2, 2, perIndex(0)), []string{"failed:1@1", "succeeded@0"}, 0, "FailureTarget FailedIndexes"},
		{"an index fails by policy", indexedJob(3, 3, both(perIndex(9), failFast(batchv1.PodFailurePolicyActionFailIndex))), []string{"failed:42@1", "running@0"}, 0, "+2"},
		{"too many failed indexes", indexedJob(4, 4, both(perIndex(0), func(s *batchv1.JobSpec) { s.MaxFailedIndexes = ptr.To(int32(1)) })),
			[]string{"failed:1@1", "failed:1@2", "running@0"}, 0, "FailureTarget MaxFailedIndexesExceeded -p2"},
		{"success policy", indexedJob(4, 4, func(s *batchv1.JobSpec) {
			s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: ptr.To("0")}}}
		}), []string{"succeeded@0", "running@1"}, 0, "SuccessCriteriaMet SuccessPolicy -p1"},
	} {
		o := Observed{Job: c.job, Pods: pods(c.job, c.pods...), Settled: true}
		if got := describe(newView(o, start.Add(c.after)).plan()); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestReplacementWaitsForTheEnd(t *testing.T) {
	for policy, want := range map[batchv1.PodReplacementPolicy]string{batchv1.Failed: "", batchv1.TerminatingOrFailed: "+-1"} {
		j := newJob(func(j *batchv1.Job) { sized(1, 1)(j); j.Spec.PodReplacementPolicy = &policy })
		going := pods(j, "running")
		going[0].DeletionTimestamp = &metav1.Time{Time: start.Add(-time.Hour)}
		if got := describe(newView(Observed{Job: j, Pods: going, Settled: true}, start).plan()); got != want {
			t.Errorf("%s: got %q, want %q", policy, got, want)
		}
	}
}

func TestNewPod(t *testing.T) {
	j := indexedJob(3, 3, func(s *batchv1.JobSpec) { s.BackoffLimitPerIndex = ptr.To(int32(1)) })
	p := NewPod(j, Birth{Index: 2, Failures: 1})
	if p.GenerateName != "j-2-" || p.Spec.Hostname != "j-2" || p.Labels[batchv1.JobCompletionIndexAnnotation] != "2" ||
		p.Annotations[batchv1.JobIndexFailureCountAnnotation] != "1" || !hasFinalizer(p) {
		t.Errorf("got %+v", p)
	}
	if e := p.Spec.Containers[0].Env; len(e) != 1 || e[0].Name != "JOB_COMPLETION_INDEX" || e[0].ValueFrom.FieldRef.FieldPath != "metadata.labels['batch.kubernetes.io/job-completion-index']" {
		t.Errorf("got %+v", e)
	}
}

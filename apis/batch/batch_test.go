package batch

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

func job(change func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default", UID: "u", ResourceVersion: "1"}}
	j.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "i"}}}
	if change != nil {
		change(j)
	}
	SetDefaultsJob(j)
	GenerateSelector(j)
	return j
}

func indexed(n int32, change func(*batchv1.JobSpec)) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Spec.CompletionMode, j.Spec.Completions, j.Spec.Parallelism = ptr.To(batchv1.IndexedCompletion), &n, &n
		if change != nil {
			change(&j.Spec)
		}
	}
}

// check compares all messages.
func check(t *testing.T, name string, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
	}
}

func TestDefaults(t *testing.T) {
	j := job(nil)
	if *j.Spec.Completions != 1 || *j.Spec.Parallelism != 1 || *j.Spec.BackoffLimit != 6 || *j.Spec.PodReplacementPolicy != batchv1.TerminatingOrFailed {
		t.Errorf("got %+v", j.Spec)
	}
	if got := j.Spec.Selector.MatchLabels; len(got) != 1 || got[batchv1.ControllerUidLabel] != "u" || len(j.Spec.Template.Labels) != 4 {
		t.Errorf("got selector %v, labels %v", got, j.Spec.Template.Labels)
	}
	work := job(func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To(int32(3)) })
	if work.Spec.Completions != nil {
		t.Errorf("a work queue got completions %d", *work.Spec.Completions)
	}
}

func TestValidateJob(t *testing.T) {
	exit := func(op batchv1.PodFailurePolicyOnExitCodesOperator, codes ...int32) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionIgnore,
				OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: op, Values: codes}}}}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*batchv1.Job)
		want   []string
	}{
		{"good", nil, nil},
		{"always", func(j *batchv1.Job) { j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways },
			[]string{`spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`}},
		{"negative", func(j *batchv1.Job) { j.Spec.Completions, j.Spec.BackoffLimit = ptr.To(int32(-1)), ptr.To(int32(-2)) },
			[]string{"spec.completions: Invalid value: -1: must be greater than or equal to 0", "spec.backoffLimit: Invalid value: -2: must be greater than or equal to 0"}},
		{"wrong label", func(j *batchv1.Job) { j.Spec.Template.Labels = map[string]string{"job-name": "y"} },
			[]string{`spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u","batch.kubernetes.io/job-name":"x","controller-uid":"u","job-name":"y"}: must be 'x'`}},
		{"indexed without completions", func(j *batchv1.Job) {
			j.Spec.CompletionMode, j.Spec.Parallelism = ptr.To(batchv1.IndexedCompletion), ptr.To(int32(2))
		}, []string{"spec.completions: Required value: when completion mode is Indexed"}},
		{"indexed, name too long", func(j *batchv1.Job) { indexed(1000, nil)(j); j.Name = strings.Repeat("a", 60) },
			[]string{`metadata.name: Invalid value: "` + strings.Repeat("a", 60) + `": will not able to create pod with invalid DNS label: ` + strings.Repeat("a", 60) + "-999"}},
		{"per index without indexes", func(j *batchv1.Job) { j.Spec.BackoffLimitPerIndex = ptr.To(int32(1)) },
			[]string{"spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"}},
		{"exit codes", exit(batchv1.PodFailurePolicyOnExitCodesOpIn, 3, 0, 3), []string{
			"spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
			"spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Duplicate value: 3",
			"spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0,3]: must be ordered"}},
		{"policy restarts", func(j *batchv1.Job) {
			exit(batchv1.PodFailurePolicyOnExitCodesOpNotIn, 0)(j)
			j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		}, []string{`spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified`}},
		{"success policy", indexed(4, func(s *batchv1.JobSpec) {
			s.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{
				{SucceededIndexes: ptr.To("0,2-3"), SucceededCount: ptr.To(int32(3))}, {SucceededIndexes: ptr.To("2-5")}, {}}}
		}), []string{`spec.successPolicy.rules[1].succeededIndexes: Invalid value: "2-5": error parsing succeededIndexes: too large index: "5"`,
			"spec.successPolicy.rules[2]: Required value: at least one of succeededCount or succeededIndexes must be specified"}},
		{"managed by", func(j *batchv1.Job) { j.Spec.ManagedBy = ptr.To("me") },
			[]string{`spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")`}},
	} {
		check(t, c.name, ValidateJob(job(c.change)), c.want...)
	}
}

func TestValidateJobUpdate(t *testing.T) {
	old := job(nil)
	changed := func(change func(*batchv1.Job)) *batchv1.Job { j := old.DeepCopy(); change(j); return j }
	check(t, "parallelism", ValidateJobUpdate(changed(func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To(int32(9)) }), old))
	check(t, "completions", ValidateJobUpdate(changed(func(j *batchv1.Job) { j.Spec.Completions = ptr.To(int32(9)) }), old), "spec.completions: Invalid value: 9: field is immutable")
	tolerate := func(j *batchv1.Job) {
		j.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: "a", Operator: "Exists"}}
	}
	if errs := ValidateJobUpdate(changed(tolerate), old); len(errs) != 1 || errs[0].Field != "spec.template" {
		t.Errorf("tolerations of a running job: %v", errs)
	}
	old.Spec.Suspend = ptr.To(true)
	check(t, "tolerations of a suspended job", ValidateJobUpdate(changed(tolerate), old))
	if errs := ValidateJobUpdate(changed(func(j *batchv1.Job) { j.Spec.Template.Spec.Containers[0].Image = "j" }), old); len(errs) != 1 || errs[0].Field != "spec.template.spec" {
		t.Errorf("image of a suspended job: %v", errs)
	}
	old.Status.Active = 1
	if errs := ValidateJobUpdate(changed(tolerate), old); len(errs) != 1 {
		t.Errorf("tolerations of a job whose pods still run: %v", errs)
	}
	old = job(indexed(3, nil))
	check(t, "elastic", ValidateJobUpdate(changed(func(j *batchv1.Job) { j.Spec.Completions, j.Spec.Parallelism = ptr.To(int32(2)), ptr.To(int32(2)) }), old))
	check(t, "elastic in one", ValidateJobUpdate(changed(func(j *batchv1.Job) { j.Spec.Completions = ptr.To(int32(2)) }), old),
		"spec.completions: Invalid value: 2: can only be modified in tandem with spec.parallelism")
}

func TestValidateJobStatusUpdate(t *testing.T) {
	now := metav1.NewTime(time.Unix(1000, 0))
	later := metav1.NewTime(time.Unix(2000, 0))
	conditions := func(types ...batchv1.JobConditionType) (list []batchv1.JobCondition) {
		for _, c := range types {
			list = append(list, batchv1.JobCondition{Type: c, Status: corev1.ConditionTrue})
		}
		return list
	}
	for _, c := range []struct {
		name     string
		old, now batchv1.JobStatus
		want     []string
	}{
		{"progress", batchv1.JobStatus{}, batchv1.JobStatus{StartTime: &now, Active: 1, Ready: ptr.To(int32(1))}, nil},
		{"complete", batchv1.JobStatus{StartTime: &now}, batchv1.JobStatus{StartTime: &now, CompletionTime: &later, Succeeded: 1,
			Conditions: conditions(batchv1.JobSuccessCriteriaMet, batchv1.JobComplete)}, nil},
		{"complete too early", batchv1.JobStatus{StartTime: &now}, batchv1.JobStatus{StartTime: &now, Active: 1, Conditions: conditions(batchv1.JobComplete)}, []string{
			"status.completionTime: Required value: completionTime is required for Complete jobs",
			"status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
			"status.active: Invalid value: 1: active>0 is invalid for finished job"}},
		{"both ends", batchv1.JobStatus{StartTime: &now}, batchv1.JobStatus{StartTime: &now, Conditions: conditions(batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet)},
			[]string{"status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"}},
		{"back to life", batchv1.JobStatus{StartTime: &now, Failed: 2, Conditions: conditions(batchv1.JobFailureTarget, batchv1.JobFailed)}, batchv1.JobStatus{StartTime: &later, Failed: 1}, []string{
			"status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
			"status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
			"status.failed: Invalid value: 1: cannot decrease the failed counter",
			"status.startTime: Invalid value: \"1970-01-01T00:33:20Z\": field is immutable for unsuspended job once set"}},
		{"duplicate", batchv1.JobStatus{}, batchv1.JobStatus{UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"a", ""}, Failed: []types.UID{"a"}}}, []string{
			`status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty`, `status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"`}},
		{"indexes of a job without", batchv1.JobStatus{}, batchv1.JobStatus{CompletedIndexes: "0"},
			[]string{`status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode`}},
		{"untouched breach", batchv1.JobStatus{CompletedIndexes: "0"}, batchv1.JobStatus{CompletedIndexes: "0", Active: 1}, nil},
	} {
		old, j := job(nil), job(nil)
		old.Status, j.Status = c.old, c.now
		check(t, c.name, ValidateJobStatusUpdate(j, old), c.want...)
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"0,2-5", "1,6", ""}, {"0,2-5", "5-7", "failedIndexes and completedIndexes overlap at index: 5"}, {"", "1", ""}, {"x,3", "3", "failedIndexes and completedIndexes overlap at index: 3"},
	} {
		got := ""
		if err := overlap(c.a, c.b, 100); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s, %s: got %q, want %q", c.a, c.b, got, c.want)
		}
	}
}

func TestValidateCronJob(t *testing.T) {
	cron := func(change func(*batchv1.CronJob)) *batchv1.CronJob {
		c := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "default", ResourceVersion: "1"}}
		c.Spec.Schedule = "*/5 * * * ?"
		c.Spec.JobTemplate.Spec.Template.Spec = job(nil).Spec.Template.Spec
		if change != nil {
			change(c)
		}
		SetDefaultsCronJob(c)
		return c
	}
	for _, c := range []struct {
		name   string
		change func(*batchv1.CronJob)
		want   []string
	}{
		{"good", nil, nil},
		{"zone", func(c *batchv1.CronJob) { c.Spec.TimeZone = ptr.To("Europe/Rome") }, nil},
		{"no schedule", func(c *batchv1.CronJob) { c.Spec.Schedule = "" }, []string{"spec.schedule: Required value"}},
		{"bad schedule", func(c *batchv1.CronJob) { c.Spec.Schedule = "error" }, []string{`spec.schedule: Invalid value: "error": expected exactly 5 fields, found 1: [error]`}},
		{"zone in schedule", func(c *batchv1.CronJob) { c.Spec.Schedule = "TZ=UTC 0 * * * *" },
			[]string{`spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead`}},
		{"zone alone", func(c *batchv1.CronJob) { c.Spec.Schedule = "TZ=0" }, []string{
			`spec.schedule: Invalid value: "TZ=0": invalid schedule format: runtime error: slice bounds out of range [:-1]`,
			`spec.schedule: Invalid value: "TZ=0": cannot use TZ or CRON_TZ in schedule, use timeZone field instead`}},
		{"unknown zone", func(c *batchv1.CronJob) { c.Spec.TimeZone = ptr.To("Moon/Base") }, []string{`spec.timeZone: Invalid value: "Moon/Base": unknown time zone Moon/Base`}},
		{"long name", func(c *batchv1.CronJob) { c.Name = strings.Repeat("a", 53) },
			[]string{`metadata.name: Invalid value: "` + strings.Repeat("a", 53) + `": must be no more than 52 characters`}},
		{"selector", func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.Selector = &metav1.LabelSelector{} },
			[]string{"spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated"}},
	} {
		check(t, c.name, ValidateCronJob(cron(c.change)), c.want...)
	}
	zoned := cron(func(c *batchv1.CronJob) { c.Spec.Schedule = "TZ=UTC 0 * * * *" })
	check(t, "a stored zone may stay", ValidateCronJobUpdate(zoned, zoned))
	if got := CronJobWarnings(zoned, zoned); len(got) != 1 || !strings.HasPrefix(got[0], "cannot use TZ or CRON_TZ in spec.spec.schedule") {
		t.Errorf("got warnings %q", got)
	}
}

package crash

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// workloads checks that they are at their last revision, with exactly their pods.
func (o *oracle) workloads() {
	o.deployment("web", o.p.WebLast, 4)
	same(o, "Deployment fore is there", find(o.s.deployments, "work", "fore") != nil, false)
	same(o, "Deployment orphaned is there", find(o.s.deployments, "work", "orphaned") != nil, false)
	o.orphaned()
	o.statefulSet("db", o.p.DbEnd, 2)
	o.statefulSet("keep", o.p.KeepEnd, 2)
	o.daemonSet("agent", 3)
	known := sets.New("web", "orphaned")
	for i := range o.s.replicaSets {
		if rs := &o.s.replicaSets[i]; rs.Namespace != "work" || !known.Has(rs.Labels["app"]) {
			o.say("ReplicaSet %s/%s is there", rs.Namespace, rs.Name)
		}
	}
}

// pods checks the pods of an owner: n, with an image.
func (o *oracle) pods(owner string, uid types.UID, n int, image string) []*corev1.Pod {
	pods := ownedBy(o.s.pods, uid)
	same(o, "pods of "+owner, len(pods), n)
	for _, pod := range pods {
		same(o, "image of pod "+pod.Name, pod.Spec.Containers[0].Image, image)
		same(o, "phase of pod "+pod.Name, pod.Status.Phase, corev1.PodRunning)
	}
	return pods
}

func image(name string, version int) string { return fmt.Sprintf("example.test/%s:%d", name, version) }

const revision = "deployment.kubernetes.io/revision"

func (o *oracle) deployment(name string, n, version int) {
	d := find(o.s.deployments, "work", name)
	if d == nil {
		o.say("Deployment %s is gone", name)
		return
	}
	what := "Deployment " + name
	st := d.Status
	same(o, what+", status observed of the generation", st.ObservedGeneration, d.Generation)
	same(o, what+", replicas updated ready available unavailable",
		fmt.Sprint(st.Replicas, st.UpdatedReplicas, st.ReadyReplicas, st.AvailableReplicas, st.UnavailableReplicas), fmt.Sprint(n, n, n, n, 0))
	if st.TerminatingReplicas != nil {
		same(o, what+", terminating", *st.TerminatingReplicas, 0)
	}
	current, numbers := 0, sets.New[string]()
	for _, rs := range ownedBy(o.s.replicaSets, d.UID) {
		numbers.Insert(rs.Annotations[revision])
		want := 0
		if rs.Spec.Template.Spec.Containers[0].Image == image(name, version) {
			want = n
			current++
			same(o, what+", revision", d.Annotations[revision], rs.Annotations[revision])
		}
		same(o, "ReplicaSet "+rs.Name+", wanted", int(*rs.Spec.Replicas), want)
		same(o, "ReplicaSet "+rs.Name+", replicas ready available", fmt.Sprint(rs.Status.Replicas, rs.Status.ReadyReplicas, rs.Status.AvailableReplicas), fmt.Sprint(want, want, want))
		same(o, "ReplicaSet "+rs.Name+", status observed of the generation", rs.Status.ObservedGeneration, rs.Generation)
		o.pods("ReplicaSet "+rs.Name, rs.UID, want, image(name, version))
	}
	same(o, what+", ReplicaSets of the last revision", current, 1)
	all := len(ownedBy(o.s.replicaSets, d.UID))
	same(o, what+", numbers of revisions", len(numbers), all)
	if all > 1+int(*d.Spec.RevisionHistoryLimit) {
		o.say("%s has %d ReplicaSets, its history is %d long", what, all, *d.Spec.RevisionHistoryLimit)
	}
}

// orphaned checks what the Deployment that was deleted alone left behind.
func (o *oracle) orphaned() {
	var left []*appsv1.ReplicaSet
	for i := range o.s.replicaSets {
		if rs := &o.s.replicaSets[i]; rs.Labels["app"] == "orphaned" {
			left = append(left, rs)
		}
	}
	same(o, "orphaned ReplicaSets", len(left), 1)
	for _, rs := range left {
		same(o, "owners of ReplicaSet "+rs.Name, len(rs.OwnerReferences), 0)
		o.pods("ReplicaSet "+rs.Name, rs.UID, 4, image("orphaned", 1))
	}
}

func (o *oracle) statefulSet(name string, n, version int) {
	s := find(o.s.statefulSets, "work", name)
	if s == nil {
		o.say("StatefulSet %s is gone", name)
		return
	}
	what, st := "StatefulSet "+name, s.Status
	same(o, what+", status observed of the generation", st.ObservedGeneration, s.Generation)
	same(o, what+", replicas ready available current updated",
		fmt.Sprint(st.Replicas, st.ReadyReplicas, st.AvailableReplicas, st.CurrentReplicas, st.UpdatedReplicas), fmt.Sprint(n, n, n, n, n))
	same(o, what+", current revision", st.CurrentRevision, st.UpdateRevision)
	names := sets.New[string]()
	for _, pod := range o.pods(what, s.UID, n, image(name, version)) {
		names.Insert(pod.Name)
		same(o, "revision of pod "+pod.Name, pod.Labels[appsv1.StatefulSetRevisionLabel], st.UpdateRevision)
	}
	for i := range n {
		same(o, fmt.Sprintf("pod %s-%d is there", name, i), names.Has(fmt.Sprintf("%s-%d", name, i)), true)
	}
	o.revisions(what, s.UID, int(*s.Spec.RevisionHistoryLimit))
}

func (o *oracle) revisions(what string, uid types.UID, history int) {
	numbers, all := sets.New[int64](), ownedBy(o.s.revisions, uid)
	for _, r := range all {
		numbers.Insert(r.Revision)
	}
	same(o, what+", numbers of ControllerRevisions", len(numbers), len(all))
	if len(all) == 0 || len(all) > history+1 {
		o.say("%s has %d ControllerRevisions, its history is %d long", what, len(all), history)
	}
}

func (o *oracle) daemonSet(name string, version int) {
	d := find(o.s.daemonSets, "work", name)
	if d == nil {
		o.say("DaemonSet %s is gone", name)
		return
	}
	what, st, n := "DaemonSet "+name, d.Status, len(o.s.nodes)
	same(o, what+", status observed of the generation", st.ObservedGeneration, d.Generation)
	same(o, what+", desired current updated ready available misscheduled unavailable",
		fmt.Sprint(st.DesiredNumberScheduled, st.CurrentNumberScheduled, st.UpdatedNumberScheduled, st.NumberReady, st.NumberAvailable, st.NumberMisscheduled, st.NumberUnavailable),
		fmt.Sprint(n, n, n, n, n, 0, 0))
	nodes := sets.New[string]()
	for _, pod := range o.pods(what, d.UID, n, image(name, version)) {
		nodes.Insert(pod.Spec.NodeName)
	}
	same(o, what+", nodes with a pod", len(nodes), n)
	o.revisions(what, d.UID, int(*d.Spec.RevisionHistoryLimit))
}

// jobs checks that each pod was counted once.
func (o *oracle) jobs() {
	failing := strings.Split(o.p.Failing, ",")
	o.job("many", 200, nil, false)
	o.job("indexed", 30, nil, true)
	o.job("some-fail", 20, failing, true)
	o.job("suspended", 20, nil, false)
	same(o, "Job cancelled is there", find(o.s.jobs, "work", "cancelled") != nil, false)
	same(o, "Job short-lived is there", find(o.s.jobs, "work", "short-lived") != nil, false)
	cron := find(o.s.cronJobs, "work", "tick")
	if cron == nil {
		o.say("CronJob tick is gone")
		return
	}
	// Within the minute of a schedule its Job may still run.
	at := sets.New[string]()
	for _, j := range ownedBy(o.s.jobs, cron.UID) {
		if at.Has(j.Annotations[batchv1.CronJobScheduledTimestampAnnotation]) {
			o.say("two Jobs of CronJob tick are for %s", j.Annotations[batchv1.CronJobScheduledTimestampAnnotation])
		}
		at.Insert(j.Annotations[batchv1.CronJobScheduledTimestampAnnotation])
		o.job(j.Name, 1, nil, false)
	}
	if len(cron.Status.Active) > 0 {
		o.say("CronJob tick has %d active Jobs", len(cron.Status.Active))
	}
}

func (o *oracle) job(name string, completions int, failing []string, indexed bool) {
	j := find(o.s.jobs, "work", name)
	if j == nil {
		o.say("Job %s is gone", name)
		return
	}
	what, st, failed := "Job "+name, j.Status, len(failing)
	same(o, what+", succeeded failed active ready terminating", fmt.Sprint(st.Succeeded, st.Failed, st.Active, value(st.Ready), value(st.Terminating)), fmt.Sprint(completions-failed, failed, 0, 0, 0))
	if u := st.UncountedTerminatedPods; u != nil && len(u.Succeeded)+len(u.Failed) > 0 {
		o.say("%s has uncounted pods: %v %v", what, u.Succeeded, u.Failed)
	}
	end := batchv1.JobComplete
	if failed > 0 {
		end = batchv1.JobFailed
	}
	same(o, what+", conditions", conditions(j), string(end))
	same(o, what+", has a completion time", st.CompletionTime != nil, failed == 0)
	phases, indexes := map[corev1.PodPhase]int{}, map[string][]string{}
	for _, pod := range ownedBy(o.s.pods, j.UID) {
		phases[pod.Status.Phase]++
		index := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
		indexes[index] = append(indexes[index], pod.Name)
	}
	same(o, what+", pods that succeeded", phases[corev1.PodSucceeded], completions-failed)
	same(o, what+", pods that failed", phases[corev1.PodFailed], failed)
	if !indexed {
		return
	}
	for index, pods := range indexes {
		same(o, what+", pods of index "+index, len(pods), 1)
	}
	same(o, what+", completed indexes", st.CompletedIndexes, compressed(completions, failing, false))
	if st.FailedIndexes != nil || failed > 0 {
		same(o, what+", failed indexes", value(st.FailedIndexes), compressed(completions, failing, true))
	}
}

// conditions returns those that hold and end a Job, but for those that announce it.
func conditions(j *batchv1.Job) string {
	var holds []string
	for _, c := range j.Status.Conditions {
		if c.Status == corev1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
			holds = append(holds, string(c.Type))
		}
	}
	sort.Strings(holds)
	return strings.Join(holds, " ")
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// compressed writes the indexes below n that are, or are not, in some as a Job's
// status does: 0,3-5.
func compressed(n int, some []string, in bool) string {
	set := sets.New(some...)
	var parts []string
	for i := 0; i < n; i++ {
		if set.Has(strconv.Itoa(i)) != in {
			continue
		}
		last := i
		for last+1 < n && set.Has(strconv.Itoa(last+1)) == in {
			last++
		}
		switch last {
		case i:
			parts = append(parts, strconv.Itoa(i))
		case i + 1:
			parts = append(parts, strconv.Itoa(i), strconv.Itoa(last))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", i, last))
		}
		i = last
	}
	return strings.Join(parts, ",")
}

// old reports whether an object has existed for longer than d.
func old(o metav1.Object, d time.Duration) bool { return time.Since(o.GetCreationTimestamp().Time) > d }

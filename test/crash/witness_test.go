package crash

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// witness looks at every revision for what must never be, not even for a moment.
type witness struct {
	p   *plan
	odd []string

	pods  map[string]*corev1.Pod        // by key
	jobs  map[string]*batchv1.Job       // by key; the last known, also of deleted ones
	nodes map[string]*corev1.Node       // by name
	sets  map[string]*appsv1.ReplicaSet // by key

	// of Jobs, by key
	counted map[string]map[string]int // how often a UID was put among the uncounted
	created map[string]int            // pods ever
	// most is how many pods a ReplicaSet ever was to have, by UID.
	most map[types.UID]int32
	// full is set for an app once all its pods were ready.
	full map[string]bool

	revisions int
	writes    map[string]int
}

func newWitness(p *plan) *witness {
	return &witness{p: p, pods: map[string]*corev1.Pod{}, jobs: map[string]*batchv1.Job{}, nodes: map[string]*corev1.Node{},
		sets: map[string]*appsv1.ReplicaSet{}, most: map[types.UID]int32{},
		counted: map[string]map[string]int{}, created: map[string]int{}, full: map[string]bool{}, writes: map[string]int{}}
}

func (w *witness) say(c change, format string, args ...any) {
	w.odd = append(w.odd, fmt.Sprintf("at revision %d: ", c.revision)+fmt.Sprintf(format, args...))
}

func (w *witness) see(c change) {
	w.revisions++
	w.writes[c.key]++
	switch {
	case strings.HasPrefix(c.key, "pods/"):
		before, _ := c.before.(*corev1.Pod)
		after, _ := c.after.(*corev1.Pod)
		if after == nil {
			delete(w.pods, c.key)
		} else {
			w.pods[c.key] = after
		}
		w.pod(c, before, after)
	case strings.HasPrefix(c.key, "batch/jobs/"):
		before, _ := c.before.(*batchv1.Job)
		if after, _ := c.after.(*batchv1.Job); after != nil {
			w.jobs[c.key] = after
			w.job(c, before, after)
		}
	case strings.HasPrefix(c.key, "apps/replicasets/"):
		w.replicaSet(c)
	case strings.HasPrefix(c.key, "nodes/"):
		if node, _ := c.after.(*corev1.Node); node != nil {
			w.nodes[node.Name] = node
		}
	case strings.HasPrefix(c.key, "configmaps/doomed/cargo-") && w.writes[c.key] > 1:
		for key := range w.pods {
			if strings.HasPrefix(key, "pods/doomed/") {
				w.say(c, "%s goes before %s", c.key, key)
			}
		}
	}
}

// replicaSet checks a Deployment's maxSurge, which bounds what its ReplicaSets
// are to have together. What they do have may be more for as long as one creates
// before the other deletes, also upstream.
func (w *witness) replicaSet(c change) {
	set, _ := c.after.(*appsv1.ReplicaSet)
	if set == nil {
		delete(w.sets, c.key)
		return
	}
	w.sets[c.key] = set
	w.most[set.UID] = max(w.most[set.UID], *set.Spec.Replicas)
	total := 0
	for key, other := range w.sets {
		if strings.HasPrefix(key, "apps/replicasets/work/web-") {
			total += int(*other.Spec.Replicas)
		}
	}
	if high := max(w.p.Web, w.p.WebLast) + w.p.Surge; total > high {
		w.say(c, "the ReplicaSets of web are to have %d pods, %d are allowed", total, high)
	}
}

// job counts forwards only, and no pod twice.
func (w *witness) job(c change, before, after *batchv1.Job) {
	if before == nil {
		return
	}
	old, now := before.Status, after.Status
	if now.Succeeded < old.Succeeded || now.Failed < old.Failed {
		w.say(c, "%s counts backwards: succeeded %d to %d, failed %d to %d", c.key, old.Succeeded, now.Succeeded, old.Failed, now.Failed)
	}
	if now.Succeeded > value(after.Spec.Completions) {
		w.say(c, "%s has %d succeeded of %d", c.key, now.Succeeded, value(after.Spec.Completions))
	}
	if conditions(before) != "" && conditions(before) != conditions(after) {
		w.say(c, "%s was %s and is %s", c.key, conditions(before), conditions(after))
	}
	was := uncounted(before)
	for uid := range uncounted(after) {
		if was[uid] {
			continue
		}
		if w.counted[c.key] == nil {
			w.counted[c.key] = map[string]int{}
		}
		if w.counted[c.key][uid]++; w.counted[c.key][uid] > 1 {
			w.say(c, "%s counts pod %s again", c.key, uid)
		}
	}
}

func uncounted(j *batchv1.Job) map[string]bool {
	all := map[string]bool{}
	if u := j.Status.UncountedTerminatedPods; u != nil {
		for _, uid := range append(u.Succeeded[:len(u.Succeeded):len(u.Succeeded)], u.Failed...) {
			all[string(uid)] = true
		}
	}
	return all
}

func live(pod *corev1.Pod) bool { return pod.DeletionTimestamp == nil && !ended(pod) }

// pod is on one node, ends once, and comes and goes as its owner promises.
func (w *witness) pod(c change, before, after *corev1.Pod) {
	if before != nil && after != nil && before.UID == after.UID {
		if before.Spec.NodeName != "" && before.Spec.NodeName != after.Spec.NodeName {
			w.say(c, "%s moves from %s to %s", c.key, before.Spec.NodeName, after.Spec.NodeName)
		}
		if ended(before) && before.Status.Phase != after.Status.Phase {
			w.say(c, "%s was %s and is %s", c.key, before.Status.Phase, after.Status.Phase)
		}
	}
	if after != nil {
		w.room(c, before, after)
	}
	pod := after
	if pod == nil {
		pod = before
	}
	if job := pod.Labels[batchv1.JobNameLabel]; job != "" {
		w.podOfJob(c, "batch/jobs/"+pod.Namespace+"/"+job, before, after)
	}
	if before == nil {
		w.podOfSet(c, pod)
	}
	if pod.Namespace != "work" {
		return
	}
	switch pod.Labels["app"] {
	case "web":
		w.available(c, "web", min(w.p.Web, w.p.WebLast)-w.p.Unavailable, w.p.Web)
	case "agent":
		w.available(c, "agent", w.p.Nodes-2, w.p.Nodes)
	case "db":
		w.inOrder(c, before, after)
	}
}

// podOfSet checks that a ReplicaSet never has more pods than the most that it
// ever was to have: a controller that creates a pod twice exceeds that.
func (w *witness) podOfSet(c change, pod *corev1.Pod) {
	owner := metav1.GetControllerOf(pod)
	if owner == nil || owner.Kind != "ReplicaSet" {
		return
	}
	n := 0
	for _, other := range w.pods {
		if live(other) && metav1.IsControlledBy(other, &metav1.ObjectMeta{UID: owner.UID}) {
			n++
		}
	}
	if n > int(w.most[owner.UID]) {
		w.say(c, "ReplicaSet %s has %d pods and was never to have more than %d", owner.Name, n, w.most[owner.UID])
	}
}

// room looks at what a pod that is new on a node shares: the node's CPU, and no
// address.
func (w *witness) room(c change, before, after *corev1.Pod) {
	bound := after.Spec.NodeName != "" && (before == nil || before.Spec.NodeName == "")
	addressed := after.Status.PodIP != "" && (before == nil || before.Status.PodIP != after.Status.PodIP)
	if !bound && !addressed || ended(after) {
		return
	}
	var used int64
	for key, other := range w.pods {
		if ended(other) {
			continue
		}
		if other.Spec.NodeName == after.Spec.NodeName {
			used += cpu(other)
		}
		if addressed && key != c.key && other.Status.PodIP == after.Status.PodIP {
			w.say(c, "%s gets the address %s of %s", c.key, after.Status.PodIP, key)
		}
	}
	if node := w.nodes[after.Spec.NodeName]; bound && node != nil && used > node.Status.Allocatable.Cpu().MilliValue() {
		w.say(c, "%s goes to %s, which then holds %d m", c.key, node.Name, used)
	}
}

func (w *witness) podOfJob(c change, key string, before, after *corev1.Pod) {
	if before == nil {
		w.created[key]++
	}
	job := w.jobs[key]
	if job == nil || after == nil {
		return
	}
	if tracked(before) && !tracked(after) && ended(after) && job.DeletionTimestamp == nil && after.DeletionTimestamp == nil && !w.isCounted(job, key, after) {
		w.say(c, "%s loses its finalizer and was not counted", c.key)
	}
	active, indexes := 0, map[string]string{}
	for name, pod := range w.pods {
		if pod.Labels[batchv1.JobNameLabel] != job.Name || pod.Namespace != job.Namespace || !live(pod) {
			continue
		}
		active++
		if index, ok := pod.Annotations[batchv1.JobCompletionIndexAnnotation]; ok {
			if indexes[index] != "" {
				w.say(c, "%s and %s both work on index %s", name, indexes[index], index)
			}
			indexes[index] = name
		}
	}
	if active > int(value(job.Spec.Parallelism)) {
		w.say(c, "%s has %d active pods, %d are allowed", key, active, value(job.Spec.Parallelism))
	}
}

// isCounted reports whether a pod that ended is in its Job's status: as a
// completed index, or otherwise among the uncounted.
func (w *witness) isCounted(job *batchv1.Job, key string, pod *corev1.Pod) bool {
	index, indexed := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
	if !indexed || pod.Status.Phase == corev1.PodFailed {
		return w.counted[key][string(pod.UID)] > 0
	}
	return slices.Contains(expanded(job.Status.CompletedIndexes), index)
}

// expanded returns the indexes of 0,3-5.
func expanded(text string) (all []string) {
	for _, part := range strings.Split(text, ",") {
		var from, to int
		switch n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n {
		case 1:
			to = from
		case 0:
			continue
		}
		for ; from <= to; from++ {
			all = append(all, strconv.Itoa(from))
		}
	}
	return all
}

func tracked(pod *corev1.Pod) bool {
	return pod != nil && has(pod.Finalizers, batchv1.JobTrackingFinalizer)
}

// available reports when an app has fewer ready pods than it must keep, once it
// had all for the first time.
func (w *witness) available(c change, app string, low, full int) {
	nready, nodes := 0, map[string]bool{}
	for key, pod := range w.pods {
		if !strings.HasPrefix(key, "pods/work/") || pod.Labels["app"] != app || !live(pod) {
			continue
		}
		if ready(pod) {
			nready++
		}
		if node := pod.Spec.NodeName; app == "agent" && node != "" {
			if nodes[node] {
				w.say(c, "%s has two agents", node)
			}
			nodes[node] = true
		}
	}
	w.full[app] = w.full[app] || nready >= full
	if w.full[app] && nready < low {
		w.say(c, "%s has %d ready pods, %d must be kept", app, nready, low)
	}
}

// inOrder looks at pods of the StatefulSet db when one comes or begins to go:
// those before it are ready, and one goes at a time.
func (w *witness) inOrder(c change, before, after *corev1.Pod) {
	comes := before == nil
	goes := before != nil && before.DeletionTimestamp == nil && (after == nil || after.DeletionTimestamp != nil)
	if !comes && !goes {
		return
	}
	var ordinal int
	_, _ = fmt.Sscanf(c.key, "pods/work/db-%d", &ordinal)
	for i := 0; comes && i < ordinal; i++ {
		pod := w.pods[fmt.Sprintf("pods/work/db-%d", i)]
		if pod == nil || pod.DeletionTimestamp != nil || !ready(pod) {
			w.say(c, "%s comes while db-%d is not ready", c.key, i)
		}
	}
	for key, pod := range w.pods {
		if goes && strings.HasPrefix(key, "pods/work/db-") && key != c.key && pod.DeletionTimestamp != nil {
			w.say(c, "%s goes while %s does", c.key, key)
		}
	}
}

// end checks what only the whole history shows.
func (w *witness) end(left []string) []string {
	for name, completions := range map[string]int{"many": 200, "indexed": 30, "some-fail": 20, "suspended": 20, "short-lived": 5, "cancelled": 10} {
		key := "batch/jobs/work/" + name
		job := w.jobs[key]
		if job == nil {
			w.odd = append(w.odd, key+" never was")
			continue
		}
		if w.created[key] != completions {
			w.odd = append(w.odd, fmt.Sprintf("%s had %d pods for %d completions", key, w.created[key], completions))
		}
		n := int(job.Status.Failed)
		if value(job.Spec.CompletionMode) == batchv1.NonIndexedCompletion {
			n += int(job.Status.Succeeded)
		}
		if name != "cancelled" && len(w.counted[key]) != n {
			w.odd = append(w.odd, fmt.Sprintf("%s counted %d and had %d among the uncounted", key, n, len(w.counted[key])))
		}
	}
	for _, key := range left {
		if strings.Contains(key, "/doomed") || strings.Contains(key, "wrecks") {
			w.odd = append(w.odd, key+" is left in etcd")
		}
	}
	return w.odd
}

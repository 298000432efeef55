package resourcequota

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quotav1 "k8s.io/apiserver/pkg/quota/v1"

	"github.com/coracle-k8s/coracle/apis/quota"
)

// NewStatus returns the status of a quota whose use was measured. A resource
// that could not be measured keeps its old value.
func NewStatus(q *corev1.ResourceQuota, measured corev1.ResourceList) (status corev1.ResourceQuotaStatus, changed bool) {
	used := quotav1.Add(nil, q.Status.Used)
	for r, v := range measured {
		used[r] = v
	}
	status.Hard = quotav1.Add(nil, q.Spec.Hard)
	status.Used = quotav1.Mask(used, quotav1.ResourceNames(q.Spec.Hard))
	changed = q.Status.Hard == nil || q.Status.Used == nil ||
		!apiequality.Semantic.DeepEqual(status.Hard, q.Status.Hard) ||
		!quotav1.Equals(status.Used, q.Status.Used)
	return status, changed
}

// lowers reports whether now has less of anything than before.
func lowers(before, now corev1.ResourceList) bool {
	for name, v := range now {
		if was, ok := before[name]; ok && v.Cmp(was) < 0 {
			return true
		}
	}
	return false
}

// countedResource returns the resource that a count/<resource>.<group> limit
// counts.
func countedResource(r corev1.ResourceName) (schema.GroupResource, bool) {
	name, ok := strings.CutPrefix(string(r), "count/")
	if !ok || name == "" {
		return schema.GroupResource{}, false
	}
	return schema.ParseGroupResource(name), true
}

// limits reports whether a quota limits what an evaluator measures.
func limits(q *corev1.ResourceQuota, e quotav1.Evaluator) bool {
	return len(e.MatchingResources(quotav1.ResourceNames(q.Spec.Hard))) > 0
}

// GivesBack reports whether an update of an object may have lowered its use.
func GivesBack(old, new any) bool {
	switch n := new.(type) {
	case *corev1.Pod:
		o, ok := old.(*corev1.Pod)
		return ok && podGivesBack(o, n)
	case *corev1.Service:
		o, ok := old.(*corev1.Service)
		return ok && !quotav1.Equals(quota.ServiceUsage(o), quota.ServiceUsage(n))
	case *corev1.PersistentVolumeClaim:
		o, ok := old.(*corev1.PersistentVolumeClaim)
		return ok && quota.ChangesClaim(o, n)
	default:
		return false
	}
}

// podGivesBack reports whether a pod's update may lower its use. It is called
// for every update of every pod, so it looks at little: a resize changes the
// generation, and its result on the node the status' observed one.
func podGivesBack(old, new *corev1.Pod) bool {
	return old.Status.Phase != new.Status.Phase && (new.Status.Phase == corev1.PodSucceeded || new.Status.Phase == corev1.PodFailed) ||
		old.Generation != new.Generation || old.Status.ObservedGeneration != new.Status.ObservedGeneration
}

package nodelifecycle

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
)

// health returns the conditions of a node that was last heard of at heard, and
// until when they hold without any news. changed are only those to write.
func health(node *corev1.Node, heard, now time.Time, grace time.Duration) (changed []corev1.NodeCondition, until time.Time) {
	end := heard.Add(grace)
	if now.Before(end) {
		return nil, end
	}
	for _, t := range []corev1.NodeConditionType{
		corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure,
	} {
		c := nodeapi.GetCondition(&node.Status, t)
		switch {
		case c == nil:
			changed = append(changed, corev1.NodeCondition{
				Type: t, Status: corev1.ConditionUnknown,
				Reason: reasonNeverUpdated, Message: messageNeverUpdated,
				LastHeartbeatTime: node.CreationTimestamp, LastTransitionTime: metav1.NewTime(now),
			})
		case c.Status != corev1.ConditionUnknown:
			next := *c
			next.Status, next.Reason, next.Message = corev1.ConditionUnknown, reasonUnknown, messageUnknown
			next.LastTransitionTime = metav1.NewTime(now)
			changed = append(changed, next)
		}
	}
	return changed, time.Time{}
}

// withConditions returns a copy of node with the conditions put in.
func withConditions(node *corev1.Node, changed []corev1.NodeCondition) *corev1.Node {
	out := node.DeepCopy()
	for _, c := range changed {
		if old := nodeapi.GetCondition(&out.Status, c.Type); old != nil {
			*old = c
		} else {
			out.Status.Conditions = append(out.Status.Conditions, c)
		}
	}
	return out
}

// readiness returns the status of the Ready condition; a node that never had
// one is Unknown.
func readiness(node *corev1.Node) corev1.ConditionStatus {
	if c := nodeapi.GetCondition(&node.Status, corev1.NodeReady); c != nil {
		return c.Status
	}
	return corev1.ConditionUnknown
}

// labelExcluded keeps a node out of the count of how its zone fares.
// https://kubernetes.io/docs/reference/labels-annotations-taints/#node-kubernetes-io-exclude-disruption
const labelExcluded = "node.kubernetes.io/exclude-disruption"

func standingOf(node *corev1.Node) standing {
	if _, ok := node.Labels[labelExcluded]; ok {
		return excluded
	}
	if readiness(node) == corev1.ConditionTrue {
		return ready
	}
	return unready
}

// conditionTaints maps condition and status to the NoSchedule taint they call
// for. https://kubernetes.io/docs/reference/labels-annotations-taints
var conditionTaints = []struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
	key       string
}{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
}

// taintsFor returns the taints the node has to have. granted is set if it may
// be given its first NoExecute taint; asks reports that it waits to be granted.
// While evict is false no pod may be evicted, and such taints are removed.
func taintsFor(node *corev1.Node, granted, evict bool, now time.Time) (taints []corev1.Taint, asks bool) {
	wanted := map[string]bool{}
	for _, t := range conditionTaints {
		if c := nodeapi.GetCondition(&node.Status, t.condition); c != nil && c.Status == t.status {
			wanted[t.key] = true
		}
	}
	if node.Spec.Unschedulable {
		wanted[corev1.TaintNodeUnschedulable] = true
	}
	have := map[string]bool{}
	for _, t := range node.Spec.Taints {
		switch {
		case t.Effect == corev1.TaintEffectNoExecute && ours(t.Key):
			have[t.Key+"!"] = true
		case t.Effect == corev1.TaintEffectNoSchedule:
			have[t.Key] = true
		}
	}
	noExecute := noExecuteKey(node)
	if noExecute != "" && !hasNoExecute(node.Spec.Taints) && (!granted || !evict) {
		asks = evict
		noExecute = ""
	}
	if !evict {
		noExecute = ""
	}
	for _, t := range node.Spec.Taints {
		switch {
		case t.Effect == corev1.TaintEffectNoExecute && ours(t.Key):
			if t.Key != noExecute {
				continue
			}
		case t.Effect == corev1.TaintEffectNoSchedule && byCondition(t.Key) && !wanted[t.Key]:
			continue
		}
		taints = append(taints, t)
	}
	added := metav1.NewTime(now)
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if !have[key] {
			taints = append(taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &added})
		}
	}
	if noExecute != "" && !have[noExecute+"!"] {
		taints = append(taints, corev1.Taint{Key: noExecute, Effect: corev1.TaintEffectNoExecute, TimeAdded: &added})
	}
	return taints, asks
}

func noExecuteKey(node *corev1.Node) string {
	c := nodeapi.GetCondition(&node.Status, corev1.NodeReady)
	switch {
	case c == nil || c.Status == corev1.ConditionTrue:
		return ""
	case c.Status == corev1.ConditionFalse:
		return corev1.TaintNodeNotReady
	default:
		return corev1.TaintNodeUnreachable
	}
}

// hasNoExecute reports whether a list has a taint of this controller that evicts.
func hasNoExecute(taints []corev1.Taint) bool {
	return slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectNoExecute && ours(t.Key) })
}

func ours(key string) bool {
	return key == corev1.TaintNodeNotReady || key == corev1.TaintNodeUnreachable
}

func byCondition(key string) bool {
	if key == corev1.TaintNodeUnschedulable {
		return true
	}
	for _, t := range conditionTaints {
		if t.key == key {
			return true
		}
	}
	return false
}

// legacyLabels are the names of two labels before they were stable; nodes still
// carry both.
var legacyLabels = [][2]string{
	{corev1.LabelOSStable, "beta.kubernetes.io/os"},
	{corev1.LabelArchStable, "beta.kubernetes.io/arch"},
}

// labelsFor returns the legacy labels to set.
func labelsFor(node *corev1.Node) map[string]string {
	var set map[string]string
	for _, pair := range legacyLabels {
		value, ok := node.Labels[pair[0]]
		if !ok || node.Labels[pair[1]] == value {
			continue
		}
		if set == nil {
			set = map[string]string{}
		}
		set[pair[1]] = value
	}
	return set
}

func sameTaints(a, b []corev1.Taint) bool {
	return slices.EqualFunc(a, b, func(x, y corev1.Taint) bool { return x.MatchTaint(&y) && x.Value == y.Value })
}

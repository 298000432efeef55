package devicetainteviction

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/dynamic-resource-allocation/resourceclaim"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// rulePeriod is the shortest time between two writes of a rule's status.
const rulePeriod = 10 * time.Second

// eviction is when pods have to go, and because of which rules, if any.
type eviction struct {
	at    time.Time
	rules []*resourcev1.DeviceTaintRule
}

// join returns the earlier of two evictions, because of both.
func (e *eviction) join(other *eviction) *eviction {
	if e == nil || other == nil {
		return orElse(e, other)
	}
	joined := &eviction{at: e.at, rules: slices.Clone(e.rules)}
	if other.at.Before(joined.at) {
		joined.at = other.at
	}
	for _, r := range other.rules {
		if !joined.because(r) {
			joined.rules = append(joined.rules, r)
		}
	}
	slices.SortFunc(joined.rules, func(a, b *resourcev1.DeviceTaintRule) int { return strings.Compare(a.Name, b.Name) })
	return joined
}

func orElse(a, b *eviction) *eviction {
	if a != nil {
		return a
	}
	return b
}

func (e *eviction) because(rule *resourcev1.DeviceTaintRule) bool {
	return slices.ContainsFunc(e.rules, func(r *resourcev1.DeviceTaintRule) bool { return r.UID == rule.UID })
}

// view holds what taints and allocations there are.
type view struct {
	// rules are those with effect NoExecute.
	rules []*resourcev1.DeviceTaintRule
	// taints returns the NoExecute taints of a device in slices.
	taints func(pool poolID, device string) []*resourcev1.DeviceTaint
	// claim is the claim of a name, nil if there is none.
	claim func(namespace, name string) *resourcev1.ResourceClaim
}

// ofPod returns when a pod has to go, nil if never.
func (v *view) ofPod(pod *corev1.Pod) *eviction {
	if !concerns(pod) {
		return nil
	}
	var found *eviction
	for i := range pod.Spec.ResourceClaims {
		name, owned, err := resourceclaim.Name(pod, &pod.Spec.ResourceClaims[i])
		if err != nil || name == nil {
			continue // not made yet, or not needed
		}
		claim := v.claim(pod.Namespace, *name)
		if claim == nil || owned && resourceclaim.IsForPod(pod, claim, false) != nil || !resourceclaim.IsReservedForPod(pod, claim, false) {
			continue
		}
		found = found.join(v.ofClaim(claim))
	}
	return found
}

// concerns reports whether a pod can be evicted at all.
func concerns(pod *corev1.Pod) bool {
	return pod.Spec.NodeName != "" && len(pod.Spec.ResourceClaims) > 0 && pod.DeletionTimestamp == nil && !podapi.IsTerminal(pod)
}

// ofClaim returns when the pods of a claim have to go, nil if never.
func (v *view) ofClaim(claim *resourcev1.ResourceClaim) *eviction {
	var found *eviction
	for _, d := range allocated(claim) {
		pool := poolID{d.Driver, d.Pool}
		for _, t := range v.taints(pool, d.Device) {
			if at, ok := until(t, d.Tolerations); ok {
				found = found.join(&eviction{at: at})
			}
		}
		for _, r := range v.rules {
			if !means(r, pool, d.Device) {
				continue
			}
			if at, ok := until(&r.Spec.Taint, d.Tolerations); ok {
				found = found.join(&eviction{at: at, rules: []*resourcev1.DeviceTaintRule{r}})
			}
		}
	}
	return found
}

func allocated(claim *resourcev1.ResourceClaim) []resourcev1.DeviceRequestAllocationResult {
	if claim.Status.Allocation == nil {
		return nil
	}
	return claim.Status.Allocation.Devices.Results
}

// until returns for how long a taint is tolerated; ok is false if for ever. Only
// tolerations that name the effect count, and of several the shortest.
func until(taint *resourcev1.DeviceTaint, tolerations []resourcev1.DeviceToleration) (at time.Time, ok bool) {
	if taint.TimeAdded != nil {
		at = taint.TimeAdded.Time
	}
	shortest := int64(-1)
	for _, t := range tolerations {
		if t.Effect != resourcev1.DeviceTaintEffectNoExecute || !resourceclaim.ToleratesTaint(t, *taint) {
			continue
		}
		if t.TolerationSeconds == nil {
			return time.Time{}, false
		}
		if s := max(0, *t.TolerationSeconds); shortest < 0 || s < shortest {
			shortest = s
		}
	}
	return at.Add(podapi.Seconds(max(0, shortest))), true
}

// progress holds what is known of a rule's work.
type progress struct {
	// pods in namespaces have to go, or would if the effect was NoExecute.
	pods, namespaces int
	// evicted pods, since the controller started.
	evicted int
	// published and allocated devices are selected.
	published, allocated int
}

// condition returns the condition for a rule's status, in upstream's words.
func condition(rule *resourcev1.DeviceTaintRule, p progress, now time.Time) metav1.Condition {
	c := metav1.Condition{
		Type: resourcev1.DeviceTaintConditionEvictionInProgress, Status: metav1.ConditionFalse,
		ObservedGeneration: rule.Generation, LastTransitionTime: metav1.NewTime(now),
	}
	var words []string
	switch rule.Spec.Taint.Effect {
	case resourcev1.DeviceTaintEffectNoExecute:
		switch {
		case p.pods > 0:
			c.Status, c.Reason = metav1.ConditionTrue, "PodsPendingEviction"
			words = append(words, count(p.pods, "pod needs", "pods need")+" to be evicted in "+count(p.namespaces, "namespace", "different namespaces")+".")
		case p.evicted > 0:
			c.Reason = "Completed"
		default:
			c.Reason = "NotStarted"
		}
	case resourcev1.DeviceTaintEffectNone:
		c.Reason = "NoEffect"
		words = append(words,
			count(p.published, "published device", "published devices")+" selected.",
			count(p.allocated, "allocated device", "allocated devices")+" selected.",
			count(p.pods, "pod", "pods")+" would be evicted in "+count(p.namespaces, "namespace", "different namespaces")+
				" if the effect was NoExecute. This information will not be updated again. Recreate the DeviceTaintRule to trigger an update.")
	default:
		c.Reason = "OtherEffect"
		words = append(words, "Eviction only happens for the NoExecute effect.")
	}
	if p.evicted > 0 {
		words = append(words, count(p.evicted, "pod", "pods")+" evicted since starting the controller.")
	}
	c.Message = strings.Join(words, " ")
	return c
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// evictionCondition returns the condition that a rule has, nil if none.
func evictionCondition(rule *resourcev1.DeviceTaintRule) *metav1.Condition {
	i := slices.IndexFunc(rule.Status.Conditions, func(c metav1.Condition) bool {
		return c.Type == resourcev1.DeviceTaintConditionEvictionInProgress
	})
	if i < 0 {
		return nil
	}
	return &rule.Status.Conditions[i]
}

// tooSoon returns how long to wait before a rule's status may be written again.
func tooSoon(rule *resourcev1.DeviceTaintRule, now time.Time) time.Duration {
	c := evictionCondition(rule)
	if c == nil || c.ObservedGeneration != rule.Generation {
		return 0
	}
	return max(0, rulePeriod-now.Sub(c.LastTransitionTime.Time))
}

// withCondition returns the rule with the condition, nil if it has it.
func withCondition(rule *resourcev1.DeviceTaintRule, c metav1.Condition) *resourcev1.DeviceTaintRule {
	was := evictionCondition(rule)
	if was != nil {
		same := c
		same.LastTransitionTime = was.LastTransitionTime
		if same == *was {
			return nil
		}
	}
	out := rule.DeepCopy()
	if was == nil {
		out.Status.Conditions = append(out.Status.Conditions, c)
	} else {
		*evictionCondition(out) = c
	}
	return out
}

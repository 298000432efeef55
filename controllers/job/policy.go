package job

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// verdict is a pod failure policy's result for a failed pod.
type verdict struct {
	// action of the rule that matched, "" if none did.
	action batchv1.PodFailurePolicyAction
	// message of the Job's failure, if the action is to fail it.
	message string
}

// counted reports whether the failure counts towards backoff limits.
func (v verdict) counted() bool { return v.action != batchv1.PodFailurePolicyActionIgnore }

// judge finds the first rule that matches. A nil policy has none.
func judge(policy *batchv1.PodFailurePolicy, pod *corev1.Pod) verdict {
	if policy == nil {
		return verdict{}
	}
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		var message string
		if rule.OnExitCodes != nil {
			c := exited(rule.OnExitCodes, pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses)
			if c == nil {
				continue
			}
			message = fmt.Sprintf("Container %s for pod %s/%s failed with exit code %v matching %v rule at index %d",
				c.Name, pod.Namespace, pod.Name, c.State.Terminated.ExitCode, rule.Action, i)
		} else {
			c := conditionOf(pod, rule.OnPodConditions)
			if c == nil {
				continue
			}
			message = fmt.Sprintf("Pod %s/%s has condition %v matching %v rule at index %d", pod.Namespace, pod.Name, c.Type, rule.Action, i)
		}
		switch rule.Action {
		case batchv1.PodFailurePolicyActionFailJob:
			return verdict{action: rule.Action, message: message}
		case batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionCount:
			return verdict{action: rule.Action}
		}
	}
	return verdict{}
}

// exited finds a container that ended with an error that the rule is about.
func exited(rule *batchv1.PodFailurePolicyOnExitCodesRequirement, lists ...[]corev1.ContainerStatus) *corev1.ContainerStatus {
	for _, list := range lists {
		for i := range list {
			c := &list[i]
			if c.State.Terminated == nil || c.State.Terminated.ExitCode == 0 || rule.ContainerName != nil && *rule.ContainerName != c.Name {
				continue
			}
			in := slices.Contains(rule.Values, c.State.Terminated.ExitCode)
			if in == (rule.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn) {
				return c
			}
		}
	}
	return nil
}

func conditionOf(pod *corev1.Pod, patterns []batchv1.PodFailurePolicyOnPodConditionsPattern) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		if slices.ContainsFunc(patterns, func(p batchv1.PodFailurePolicyOnPodConditionsPattern) bool {
			return p.Type == c.Type && p.Status == c.Status
		}) {
			return c
		}
	}
	return nil
}

// successMet reports whether the completed indexes satisfy a rule, and which.
func successMet(policy *batchv1.SuccessPolicy, completions int, done Indexes) (message string, met bool) {
	if policy == nil || len(done) == 0 {
		return "", false
	}
	for i, rule := range policy.Rules {
		enough := func(n int) bool { return rule.SucceededCount != nil && n >= int(*rule.SucceededCount) }
		ok := false
		if rule.SucceededIndexes != nil {
			wanted := ParseIndexes(*rule.SucceededIndexes, completions)
			common := wanted.Common(done)
			ok = len(wanted) > 0 && (common == wanted.Len() || enough(common))
		} else {
			ok = enough(done.Len())
		}
		if ok {
			return fmt.Sprintf("Matched rules at index %d", i), true
		}
	}
	return "", false
}

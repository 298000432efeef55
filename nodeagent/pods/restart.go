package pods

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Restart delays, as the kubelet's: 10 s doubling to a cap (5 minutes unless
// configured), forgotten when a container ran for twice the cap.
const initialBackoff = 10 * time.Second

// HashOf identifies what of a container's spec cannot change without a restart:
// name and image, the one field of a running container that may be updated.
func HashOf(c *corev1.Container) string {
	h := fnv.New32a()
	// Marshalling two strings cannot fail.
	b, _ := json.Marshal([]string{c.Name, c.Image})
	_, _ = h.Write(b)
	return fmt.Sprintf("%x", h.Sum32())
}

// restarts reports whether a container that exited is to be started again, by
// its own rules and policy first and then the pod's. For an ordinary init
// container Always means OnFailure: success leads to the next one.
func restarts(pod *corev1.Pod, c *corev1.Container, exitCode int32, init bool) bool {
	for _, rule := range c.RestartPolicyRules {
		if rule.ExitCodes == nil {
			continue
		}
		in := slices.Contains(rule.ExitCodes.Values, exitCode)
		if in == (rule.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
			return true
		}
	}
	policy := pod.Spec.RestartPolicy
	if c.RestartPolicy != nil {
		policy = corev1.RestartPolicy(*c.RestartPolicy)
	}
	switch {
	case init && IsSidecar(c):
		return true
	case policy == corev1.RestartPolicyNever:
		return false
	case policy == corev1.RestartPolicyOnFailure || init:
		return exitCode != 0
	}
	return true
}

// backoffUntil returns when a container that finished then may start again; zero if now.
func backoffUntil(m *Memory, finished, now time.Time, limit time.Duration) time.Time {
	if m.Backoff == 0 || finished.Sub(m.BackoffSince) > 2*limit {
		return time.Time{}
	}
	if until := finished.Add(m.Backoff); until.After(now) {
		return until
	}
	return time.Time{}
}

// nextBackoff returns the delay to remember when a container that finished then is restarted.
func nextBackoff(m *Memory, finished time.Time, limit time.Duration) time.Duration {
	if m.Backoff == 0 || finished.Sub(m.BackoffSince) > 2*limit {
		return min(initialBackoff, limit)
	}
	return min(2*m.Backoff, limit)
}

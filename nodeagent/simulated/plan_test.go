package simulated

import (
	"net/netip"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 500e6, time.UTC)

func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), Generation: 1},
		Spec: corev1.PodSpec{
			NodeName: "simulated-0", RestartPolicy: corev1.RestartPolicyAlways,
			Containers: []corev1.Container{{Name: "main", Image: "hello"}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func exits(after, code string, policy corev1.RestartPolicy) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.RestartPolicy = policy
		p.Annotations = map[string]string{ExitAfterAnnotation: after, ExitCodeAnnotation: code}
	}
}

func condition(s corev1.PodStatus, t corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range s.Conditions {
		if c.Type == t {
			return c.Status
		}
	}
	return ""
}

func TestStatusRunsAPodAtOnceAndSettles(t *testing.T) {
	g := NewWithT(t)
	always := corev1.ContainerRestartPolicyAlways
	p := pod("a", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "init"}, {Name: "sidecar", RestartPolicy: &always}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
	})
	status, next := statusOf(p, "10.0.0.5", "10.64.0.1", start)
	g.Expect(next.IsZero()).To(BeTrue())
	g.Expect(status.Phase).To(Equal(corev1.PodRunning))
	g.Expect(status.PodIPs).To(Equal([]corev1.PodIP{{IP: "10.0.0.5"}}))
	g.Expect(condition(status, corev1.PodReady)).To(Equal(corev1.ConditionTrue))
	g.Expect(condition(status, corev1.DisruptionTarget)).To(Equal(corev1.ConditionTrue))
	g.Expect(status.InitContainerStatuses[0].State.Terminated.Reason).To(Equal("Completed"))
	g.Expect(status.InitContainerStatuses[1].State.Running).NotTo(BeNil())

	p.Status = status
	again, _ := statusOf(p, "10.0.0.5", "10.64.0.1", start.Add(time.Hour))
	g.Expect(again).To(Equal(status), "a settled status does not change")
}

func TestReadinessGatesHoldAPodBack(t *testing.T) {
	g := NewWithT(t)
	p := pod("a", func(p *corev1.Pod) { p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "lb"}} })
	status, _ := statusOf(p, "10.0.0.5", "10.64.0.1", start)
	g.Expect(condition(status, corev1.ContainersReady)).To(Equal(corev1.ConditionTrue))
	g.Expect(condition(status, corev1.PodReady)).To(Equal(corev1.ConditionFalse))

	p.Status = status
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: "lb", Status: corev1.ConditionTrue})
	status, _ = statusOf(p, "10.0.0.5", "10.64.0.1", start)
	g.Expect(condition(status, corev1.PodReady)).To(Equal(corev1.ConditionTrue))
}

func TestExits(t *testing.T) {
	for name, tc := range map[string]struct {
		policy   corev1.RestartPolicy
		code     string
		phase    corev1.PodPhase
		restarts int32
	}{
		"never, success":      {corev1.RestartPolicyNever, "0", corev1.PodSucceeded, 0},
		"never, failure":      {corev1.RestartPolicyNever, "3", corev1.PodFailed, 0},
		"on failure, success": {corev1.RestartPolicyOnFailure, "0", corev1.PodSucceeded, 0},
		"on failure, failure": {corev1.RestartPolicyOnFailure, "1", corev1.PodRunning, 1},
		"always":              {corev1.RestartPolicyAlways, "0", corev1.PodRunning, 1},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			p := pod("a", exits("2s", tc.code, tc.policy))
			var next time.Time
			p.Status, next = statusOf(p, "10.0.0.5", "10.64.0.1", start)
			g.Expect(p.Status.Phase).To(Equal(corev1.PodRunning))
			g.Expect(next).To(Equal(start.Truncate(time.Second).Add(2 * time.Second)))

			status, _ := statusOf(p, "10.0.0.5", "10.64.0.1", next)
			g.Expect(status.Phase).To(Equal(tc.phase))
			g.Expect(status.ContainerStatuses[0].RestartCount).To(Equal(tc.restarts))
			if terminal(tc.phase) {
				g.Expect(status.ContainerStatuses[0].State.Terminated).NotTo(BeNil())
				g.Expect(condition(status, corev1.PodReady)).To(Equal(corev1.ConditionFalse))
			}
		})
	}
}

func TestFailingIndexes(t *testing.T) {
	for index, code := range map[string]int32{"1": 1, "11": 0, "4": 1, "": 0} {
		p := pod("a", exits("0s", "0", corev1.RestartPolicyNever))
		p.Annotations[FailingIndexesAnnotation] = "1,4"
		p.Annotations[batchv1.JobCompletionIndexAnnotation] = index
		e, ok := exitOf(p)
		NewWithT(t).Expect(e).To(Equal(exit{code: code}), "index %q", index)
		NewWithT(t).Expect(ok).To(BeTrue())
	}
}

func TestAddressesAreUniqueAndReused(t *testing.T) {
	g := NewWithT(t)
	a := newAddresses()
	cidr := netip.MustParsePrefix("10.0.0.0/29")
	g.Expect(a.reserve("old", "10.0.0.2")).To(BeTrue())
	g.Expect(a.reserve("other", "10.0.0.2")).To(BeFalse())
	seen := map[string]bool{"10.0.0.2": true}
	for _, uid := range []types.UID{"b", "c", "d", "e", "f", "g"} {
		ip, ok := a.assign(uid, cidr)
		g.Expect(ok).To(BeTrue())
		g.Expect(seen).NotTo(HaveKey(ip))
		seen[ip] = true
	}
	_, ok := a.assign("h", cidr)
	g.Expect(ok).To(BeFalse(), "the range is full")
	a.release("c")
	ip, ok := a.assign("h", cidr)
	g.Expect(ok).To(BeTrue())
	g.Expect(ip).To(Equal("10.0.0.3"))
}

func TestNth(t *testing.T) {
	g := NewWithT(t)
	g.Expect(nth(netip.MustParsePrefix("10.64.0.0/12"), 0).String()).To(Equal("10.64.0.1"))
	g.Expect(nth(netip.MustParsePrefix("10.64.0.0/12"), 4999).String()).To(Equal("10.64.19.136"))
}

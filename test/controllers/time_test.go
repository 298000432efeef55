// Package controllers runs the controllers against a whole API server, with a
// clock that the tests move: what takes minutes is seen at once, and nothing
// happens before its time.
package controllers

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/test/env"
)

// moving is a cluster whose clock stands still until it is moved.
type moving struct {
	*env.Env
	Gomega
	t     *testing.T
	clock *clocktesting.FakeClock
}

func start(t *testing.T, nodes int32) moving {
	clock := clocktesting.NewFakeClock(time.Now())
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(20 * time.Second)
	g.SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
	g.SetDefaultConsistentlyDuration(300 * time.Millisecond)
	return moving{Env: env.Start(t, env.WithNodes(nodes), env.WithClock(clock)), Gomega: g, t: t, clock: clock}
}

// leap lets time pass at once, when nothing is being done that has read the clock.
func (m moving) leap(d time.Duration) {
	m.t.Helper()
	m.Eventually(m.Cluster.Idle).WithPolling(5*time.Millisecond).MustPassRepeatedly(10).Should(BeTrue(), "the controllers have nothing to do")
	m.clock.Step(d)
}

// longest is half of how often nodes renew their leases.
const longest = 5 * time.Second

// move lets time pass in steps, so that timers set by timers fire, too, and nodes
// stay alive.
func (m moving) move(d time.Duration) {
	m.t.Helper()
	for ; d > 0; d -= longest {
		m.leap(min(d, longest))
	}
}

func (m moving) get(obj client.Object, namespace, name string) error {
	return m.Client.Get(m.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj)
}

func deployment(name string, change func(*appsv1.DeploymentSpec)) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](1), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}}},
	}}
	change(&d.Spec)
	return d
}

func condition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) appsv1.DeploymentCondition {
	for _, c := range d.Status.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return appsv1.DeploymentCondition{}
}

func TestProgressDeadline(t *testing.T) {
	m := start(t, 1)
	m.Expect(m.Client.Create(t.Context(), deployment("stuck", func(s *appsv1.DeploymentSpec) {
		s.Template.Spec.NodeSelector = map[string]string{"no": "where"}
	}))).To(Succeed())
	var d appsv1.Deployment
	reason := func() string {
		m.Expect(m.get(&d, "default", "stuck")).To(Succeed())
		return condition(&d, appsv1.DeploymentProgressing).Reason
	}
	m.Eventually(reason).Should(Equal("ReplicaSetUpdated"), "the rollout begins")
	m.leap(599 * time.Second)
	m.Consistently(reason).Should(Equal("ReplicaSetUpdated"), "599 of 600 seconds")
	m.leap(2 * time.Second)
	m.Eventually(reason).Should(Equal("ProgressDeadlineExceeded"), "the deadline has passed")
	c := condition(&d, appsv1.DeploymentProgressing)
	m.Expect(c.Status).To(Equal(corev1.ConditionFalse))
	m.Expect(c.Message).To(MatchRegexp(`^ReplicaSet "stuck-[a-z0-9]+" has timed out progressing.$`))
}

func TestMinReadySeconds(t *testing.T) {
	m := start(t, 1)
	m.Expect(m.Client.Create(t.Context(), deployment("slow", func(s *appsv1.DeploymentSpec) { s.MinReadySeconds = 30 }))).To(Succeed())
	var d appsv1.Deployment
	available := func() int32 {
		m.Expect(m.get(&d, "default", "slow")).To(Succeed())
		return d.Status.AvailableReplicas
	}
	m.Eventually(func() int32 { available(); return d.Status.ReadyReplicas }).Should(BeEquivalentTo(1), "the pod is ready")
	m.Expect(available()).To(BeZero())
	m.leap(28 * time.Second)
	m.Consistently(available).Should(BeZero(), "28 of 30 seconds")
	m.leap(3 * time.Second)
	m.Eventually(available).Should(BeEquivalentTo(1), "it was ready for 30 seconds")
	m.Expect(condition(&d, appsv1.DeploymentAvailable).Status).To(Equal(corev1.ConditionTrue))
}

// silent makes a node without an agent, and a pod on it.
func (m moving) silent() {
	now := metav1.NewTime(m.clock.Now())
	m.Expect(m.Client.Create(m.t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: "silent"},
		Spec:       coordinationv1.LeaseSpec{RenewTime: ptr.To(metav1.NewMicroTime(now.Time))},
	})).To(Succeed())
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "silent"}}
	m.Expect(m.Client.Create(m.t.Context(), node)).To(Succeed())
	was := node.DeepCopy()
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}}
	m.Expect(m.Client.Status().Patch(m.t.Context(), node, client.MergeFrom(was))).To(Succeed())
	m.Eventually(func() []corev1.Taint {
		m.Expect(m.get(node, "", "silent")).To(Succeed())
		return node.Spec.Taints
	}).Should(BeEmpty(), "the controller has seen that the node is ready")
	m.Expect(m.Client.Create(m.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "there"},
		Spec:       corev1.PodSpec{NodeName: "silent", Containers: []corev1.Container{{Name: "c", Image: "x"}}},
	})).To(Succeed())
}

func (m moving) ready(node string) func() corev1.ConditionStatus {
	return func() corev1.ConditionStatus {
		var n corev1.Node
		m.Expect(m.get(&n, "", node)).To(Succeed())
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady {
				return c.Status
			}
		}
		return ""
	}
}

// TestNodeGoesSilent follows a node through 50 seconds of silence, the default
// toleration of 300 seconds, and the 40 seconds after which the pods of a
// deleted node are collected. A node that renews its lease stays ready.
func TestNodeGoesSilent(t *testing.T) {
	m := start(t, 1)
	var nodes corev1.NodeList
	m.Eventually(func() []corev1.Node {
		m.Expect(m.Client.List(t.Context(), &nodes)).To(Succeed())
		return nodes.Items
	}).Should(HaveLen(1), "the simulated node registers")
	alive := nodes.Items[0].Name
	m.silent()

	m.move(48 * time.Second)
	m.Consistently(m.ready("silent")).Should(Equal(corev1.ConditionTrue), "48 of 50 seconds")
	// The controller counts from when it saw the lease, which may be some steps
	// of this clock after it was made.
	m.move(30 * time.Second)
	m.Eventually(m.ready("silent")).Should(Equal(corev1.ConditionUnknown), "50 seconds of silence")
	var tainted time.Time
	m.Eventually(func() bool {
		var n corev1.Node
		m.Expect(m.get(&n, "", "silent")).To(Succeed())
		for _, taint := range n.Spec.Taints {
			if taint.Key == corev1.TaintNodeUnreachable && taint.Effect == corev1.TaintEffectNoExecute {
				tainted = taint.TimeAdded.Time
			}
		}
		return !tainted.IsZero()
	}).Should(BeTrue(), "it is tainted")

	var pod corev1.Pod
	evicted := func() bool {
		m.Expect(m.get(&pod, "default", "there")).To(Succeed())
		return pod.DeletionTimestamp != nil
	}
	m.move(tainted.Add(295 * time.Second).Sub(m.clock.Now()))
	m.Consistently(evicted).Should(BeFalse(), "295 of 300 seconds that every pod tolerates")
	m.move(30 * time.Second)
	m.Eventually(evicted).Should(BeTrue(), "the pod is evicted")
	m.Expect(m.ready(alive)()).To(Equal(corev1.ConditionTrue), "the node that renews its lease")

	m.Expect(m.Client.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "silent"}})).To(Succeed())
	m.Eventually(func() bool {
		m.clock.Step(time.Second)
		return apierrors.IsNotFound(m.get(&pod, "default", "there"))
	}).Should(BeTrue(), "the pods of a deleted node are collected")
}

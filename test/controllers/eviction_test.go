package controllers

import (
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lone makes a running pod without a controller; no agent runs it.
func (m moving) lone(name, app string, ready corev1.ConditionStatus) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": app}}, Spec: corev1.PodSpec{
		SchedulerName: "nobody", Containers: []corev1.Container{{Name: "c", Image: "x"}}, TerminationGracePeriodSeconds: ptr.To[int64](0),
	}}
	m.Expect(m.Client.Create(m.t.Context(), p)).To(Succeed())
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}}
	m.Expect(m.Client.Status().Update(m.t.Context(), p)).To(Succeed())
	return p
}

// budget makes one with minAvailable and waits until healthy pods are counted.
func (m moving) budget(name, app string, min int32, policy policyv1.UnhealthyPodEvictionPolicyType, healthy int32) *policyv1.PodDisruptionBudget {
	b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}, MinAvailable: ptr.To(intstr.FromInt32(min)), UnhealthyPodEvictionPolicy: &policy,
	}}
	m.Expect(m.Client.Create(m.t.Context(), b)).To(Succeed())
	m.Eventually(func() int32 {
		m.Expect(m.get(b, "default", name)).To(Succeed())
		return b.Status.CurrentHealthy
	}).Should(Equal(healthy))
	return b
}

// evict returns the result: done, or the code and the cause.
func (m moving) evict(pod *corev1.Pod, options *metav1.DeleteOptions, o ...client.SubResourceCreateOption) string {
	err := m.Client.SubResource("eviction").Create(m.t.Context(), pod, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, DeleteOptions: options}, o...)
	if err == nil {
		return "done"
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	s := status.Status()
	if s.Details != nil && len(s.Details.Causes) > 0 {
		return fmt.Sprint(s.Code, " ", s.Details.Causes[0].Message)
	}
	return fmt.Sprint(s.Code, " ", s.Reason, " ", s.Message)
}

func TestEvictions(t *testing.T) {
	m := start(t, 0)
	gone := func(name string) bool { return apierrors.IsNotFound(m.get(&corev1.Pod{}, "default", name)) }

	// Of two ready pods and an unready one, two must be healthy: the unready one
	// may go, the others not.
	ready := m.lone("ready", "web", corev1.ConditionTrue)
	m.lone("ready-2", "web", corev1.ConditionTrue)
	unready := m.lone("unready", "web", corev1.ConditionFalse)
	m.budget("web", "web", 2, policyv1.IfHealthyBudget, 2)
	m.Expect(m.evict(ready, nil)).To(Equal("429 The disruption budget web needs 2 healthy pods and has 2 currently"))
	m.Expect(m.evict(unready, nil, client.DryRunAll)).To(Equal("done"))
	m.Expect(gone("unready")).To(BeFalse(), "it was a dry run")
	m.Expect(m.evict(unready, nil)).To(Equal("done"))
	m.Eventually(func() bool { return gone("unready") }).Should(BeTrue())

	// Without a budget the options alone decide.
	plain := m.lone("plain", "none", corev1.ConditionTrue)
	m.Expect(m.evict(plain, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: ptr.To(types.UID("other"))}})).To(HavePrefix("409 "))
	m.Expect(m.evict(plain, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &plain.UID}})).To(Equal("done"))

	// Below what must be healthy, the policy decides.
	sick := m.lone("sick", "db", corev1.ConditionFalse)
	m.lone("well", "db", corev1.ConditionTrue)
	b := m.budget("db", "db", 2, policyv1.IfHealthyBudget, 1)
	m.Expect(m.evict(sick, nil)).To(Equal("429 The disruption budget db needs 2 healthy pods and has 1 currently"))
	edit(m, b, func(b *policyv1.PodDisruptionBudget) {
		b.Spec.UnhealthyPodEvictionPolicy = ptr.To(policyv1.AlwaysAllow)
	})
	m.Expect(m.evict(sick, nil)).To(Equal("done"))

	// Two budgets of one pod are a mistake.
	m.budget("web-2", "web", 0, policyv1.IfHealthyBudget, 2)
	m.Expect(m.evict(ready, nil)).To(Equal("500  This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."))
}

// TestGrantedEvictionsExpire: a pod whose eviction was granted, but which does
// not go, is taken for healthy again after two minutes.
func TestGrantedEvictionsExpire(t *testing.T) {
	m := start(t, 0)
	m.lone("a", "web", corev1.ConditionTrue)
	m.lone("b", "web", corev1.ConditionTrue)
	b := m.budget("web", "web", 1, policyv1.IfHealthyBudget, 2)
	edit(m, b, func(*policyv1.PodDisruptionBudget) {})
	b.Status.DisruptedPods = map[string]metav1.Time{"a": metav1.NewTime(m.clock.Now())}
	m.Expect(m.Client.Status().Update(t.Context(), b)).To(Succeed())
	status := func() string {
		m.Expect(m.get(b, "default", "web")).To(Succeed())
		c := meta.FindStatusCondition(b.Status.Conditions, policyv1.DisruptionAllowedCondition)
		return fmt.Sprint(b.Status.CurrentHealthy, b.Status.DisruptionsAllowed, len(b.Status.DisruptedPods), c.Reason)
	}
	m.Eventually(status).Should(Equal("1 0 1InsufficientPods"))
	m.leap(time.Minute)
	m.Consistently(status).Should(Equal("1 0 1InsufficientPods"), "one of two minutes")
	m.leap(time.Minute + 2*time.Second)
	m.Eventually(status).Should(Equal("2 1 0SufficientPods"))
	m.Eventually(m.events("a")).Should(ContainSubstring("NotDeleted: Pod was expected by PDB default/web to be deleted but it wasn't"))
}

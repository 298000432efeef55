package controlplane

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/test/env"
)

// TestAutoscalersInBothVersions writes and reads one object as v1 and v2. No
// controller writes it meanwhile.
func TestAutoscalersInBothVersions(t *testing.T) {
	e, g := env.Start(t, env.WithNodes(0), env.WithConfig(func(c *v1alpha1.Cluster) { c.Controllers.Enabled = []string{} })), NewWithT(t)
	kube, err := kubernetes.NewForConfig(e.Config)
	g.Expect(err).NotTo(HaveOccurred())
	ctx, v1, v2 := t.Context(), kube.AutoscalingV1().HorizontalPodAutoscalers("default"), kube.AutoscalingV2().HorizontalPodAutoscalers("default")
	groups, err := kube.Discovery().ServerGroups()
	g.Expect(err).NotTo(HaveOccurred())
	for _, group := range groups.Groups {
		if group.Name == autoscalingv2.GroupName {
			g.Expect(group.PreferredVersion.Version).To(Equal("v2"))
		}
	}
	w, err := v1.Watch(ctx, metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	defer w.Stop()
	old := &autoscalingv1.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "h"}, Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
		MaxReplicas: 3, TargetCPUUtilizationPercentage: ptr.To(int32(55)), ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d"}}}
	_, err = v1.Create(ctx, old, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	h, err := v2.Get(ctx, "h", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(*h.Spec.Metrics[0].Resource.Target.AverageUtilization).To(BeEquivalentTo(55))
	g.Expect((<-w.ResultChan()).Object.(*autoscalingv1.HorizontalPodAutoscaler).Name).To(Equal("h"))
	apply := []byte(`{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"h"},"spec":{"maxReplicas":7}}`)
	patched, err := v1.Patch(ctx, "h", types.ApplyPatchType, apply, metav1.PatchOptions{FieldManager: "t", Force: ptr.To(true)})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(patched.Spec.MaxReplicas).To(BeEquivalentTo(7))
	h, err = v2.Get(ctx, "h", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	h.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{}
	_, err = v2.Update(ctx, h, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	current, err := v1.Get(ctx, "h", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(current.Annotations).To(HaveKey("autoscaling.alpha.kubernetes.io/behavior"))
	current.Status.CurrentReplicas = 2
	_, err = v1.UpdateStatus(ctx, current, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	list, err := v2.List(ctx, metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(list.Items).To(HaveLen(1))
	g.Expect(list.Items[0].Status.CurrentReplicas).To(BeEquivalentTo(2))
	g.Expect(list.Items[0].Annotations).To(BeEmpty())
	g.Expect(list.Items[0].Spec.Behavior.ScaleDown).NotTo(BeNil())
}

type warnings struct{ texts []string }

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.texts = append(w.texts, text)
}

// TestJobsKeepTheirPodsByDefault deletes a job without a propagation policy.
func TestJobsKeepTheirPodsByDefault(t *testing.T) {
	e, g := env.Start(t), NewWithT(t)
	g.SetDefaultEventuallyTimeout(30 * time.Second)
	heard := &warnings{}
	// Requests in memory bring no warnings.
	config := e.TLSConfig(t)
	config.WarningHandlerWithContext = heard
	kube, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	jobs, pods := kube.BatchV1().Jobs("default"), kube.CoreV1().Pods("default")
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "keeps"}}
	j.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "x"}}}
	_, err = jobs.Create(t.Context(), j, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	one := func() *corev1.Pod {
		list, err := pods.List(t.Context(), metav1.ListOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		if len(list.Items) != 1 {
			return nil
		}
		return &list.Items[0]
	}
	g.Eventually(one).ShouldNot(BeNil())
	g.Expect(jobs.Delete(t.Context(), "keeps", metav1.DeleteOptions{})).To(Succeed())
	g.Expect(heard.texts).To(ContainElement(HavePrefix("child pods are preserved by default when jobs are deleted")))
	g.Eventually(func() bool { p := one(); return p != nil && len(p.OwnerReferences)+len(p.Finalizers) == 0 }).Should(BeTrue(), "the pod is free")
}

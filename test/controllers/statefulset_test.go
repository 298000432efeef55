package controllers

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func template(name string) (*metav1.LabelSelector, corev1.PodTemplateSpec) {
	labels := map[string]string{"app": name}
	return &metav1.LabelSelector{MatchLabels: labels}, corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}},
	}
}

func statefulSet(name string, replicas int32) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	s.Spec.Replicas, s.Spec.ServiceName = &replicas, name
	s.Spec.Selector, s.Spec.Template = template(name)
	return s
}

// edit changes an object until no other writer comes between.
func edit[T client.Object](m moving, obj T, change func(T)) {
	m.Eventually(func() error {
		if err := m.get(obj, obj.GetNamespace(), obj.GetName()); err != nil {
			return err
		}
		change(obj)
		return m.Client.Update(m.t.Context(), obj)
	}).Should(Succeed())
}

func TestStatefulSetLife(t *testing.T) {
	m := start(t, 2)
	s := statefulSet("web", 3)
	m.Expect(m.Client.Create(t.Context(), s)).To(Succeed())
	status := func() appsv1.StatefulSetStatus {
		m.Expect(m.get(s, "default", "web")).To(Succeed())
		return s.Status
	}
	// The zero value is for pods at the update revision, which is current.
	settled := func(n int32) {
		m.t.Helper()
		m.Eventually(func() string {
			st := status()
			return fmt.Sprint(st.ObservedGeneration == s.Generation, st.Replicas, st.AvailableReplicas, st.UpdatedReplicas, st.CurrentReplicas, st.CurrentRevision == st.UpdateRevision)
		}).Should(Equal(fmt.Sprint(true, n, n, n, n, true)))
	}
	settled(3)
	first := s.Status.CurrentRevision
	var pod corev1.Pod
	m.Expect(m.get(&pod, "default", "web-2")).To(Succeed())
	m.Expect(pod.Spec.Hostname).To(Equal("web-2"))
	m.Expect(pod.Spec.Subdomain).To(Equal("web"))

	edit(m, s, func(s *appsv1.StatefulSet) { s.Spec.Template.Spec.Containers[0].Image = "y" })
	settled(3)
	m.Expect(s.Status.CurrentRevision).NotTo(Equal(first))
	edit(m, s, func(s *appsv1.StatefulSet) {
		s.Spec.Template.Spec.Containers[0].Image = "x"
		s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To[int32](2)}
	})
	m.Eventually(func() string {
		st := status()
		return fmt.Sprint(st.AvailableReplicas, st.CurrentReplicas, st.UpdatedReplicas, st.UpdateRevision == first, st.CurrentRevision == first)
	}).Should(Equal(fmt.Sprint(3, 2, 1, true, false)), "the canary is rolled back to the first revision")

	edit(m, s, func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To[int32](0) })
	settled(0)
	var revisions appsv1.ControllerRevisionList
	m.Expect(m.Client.List(t.Context(), &revisions, client.InNamespace("default"))).To(Succeed())
	m.Expect(revisions.Items).To(HaveLen(2))
	m.Expect(m.Client.Delete(t.Context(), s)).To(Succeed())
	m.Eventually(func() int {
		m.Expect(m.Client.List(t.Context(), &revisions, client.InNamespace("default"))).To(Succeed())
		return len(revisions.Items)
	}).Should(BeZero(), "revisions go with their set")
}

func TestStatefulSetMinReadySeconds(t *testing.T) {
	m := start(t, 1)
	s := statefulSet("slow", 2)
	s.Spec.MinReadySeconds = 30
	m.Expect(m.Client.Create(t.Context(), s)).To(Succeed())
	counts := func() string {
		m.Expect(m.get(s, "default", "slow")).To(Succeed())
		return fmt.Sprint(s.Status.Replicas, s.Status.ReadyReplicas, s.Status.AvailableReplicas)
	}
	m.Eventually(counts).Should(Equal("1 1 0"))
	m.leap(28 * time.Second)
	m.Consistently(counts).Should(Equal("1 1 0"), "28 of 30 seconds")
	m.leap(3 * time.Second)
	m.Eventually(counts).Should(Equal("2 2 1"), "the second comes when the first is available")
}

func TestStatefulSetClaimsGoWithIt(t *testing.T) {
	m := start(t, 1)
	s := statefulSet("db", 2)
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}}
	s.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	s.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
		WhenDeleted: appsv1.DeletePersistentVolumeClaimRetentionPolicyType, WhenScaled: appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
	}
	m.Expect(m.Client.Create(t.Context(), s)).To(Succeed())
	claims := func() []string {
		var list corev1.PersistentVolumeClaimList
		m.Expect(m.Client.List(t.Context(), &list, client.InNamespace("default"))).To(Succeed())
		var names []string
		for _, c := range list.Items {
			if c.DeletionTimestamp == nil {
				names = append(names, c.Name)
			}
		}
		return names
	}
	m.Eventually(claims).Should(ConsistOf("data-db-0", "data-db-1"))
	m.Eventually(func() int32 { m.Expect(m.get(s, "default", "db")).To(Succeed()); return s.Status.Replicas }).Should(BeEquivalentTo(2))
	edit(m, s, func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To[int32](1) })
	m.Eventually(claims).Should(ConsistOf("data-db-0"))
	m.Expect(m.Client.Delete(t.Context(), s)).To(Succeed())
	m.Eventually(claims).Should(BeEmpty())
}

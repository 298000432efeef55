package controllers

import (
	"crypto/sha256"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func claim(name string, class *string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		StorageClassName: class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}}}}
}

func podWith(name string, source corev1.VolumeSource) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr.To[int64](0),
		Containers:                    []corev1.Container{{Name: "c", Image: "x"}},
		Volumes:                       []corev1.Volume{{Name: "v", VolumeSource: source}},
	}}
}

func (m moving) gone(obj client.Object, namespace, name string) {
	m.t.Helper()
	m.Eventually(func() bool { return apierrors.IsNotFound(m.get(obj, namespace, name)) }).Should(BeTrue())
}

// expectEvent waits for an event of an object in namespace default.
func (m moving) expectEvent(object, reason, message string) {
	m.t.Helper()
	m.Eventually(func() []string {
		var list corev1.EventList
		m.Expect(m.Client.List(m.t.Context(), &list, client.InNamespace("default"))).To(Succeed())
		var texts []string
		for _, e := range list.Items {
			if e.InvolvedObject.Name == object && e.Reason == reason {
				texts = append(texts, e.Message)
			}
		}
		return texts
	}).Should(ContainElement(message))
}

// TestProvisionedVolume lets the built-in provisioner make a volume for the
// first pod of a claim, keeps the claim while the pod is there, and sees the
// volume go with it.
func TestProvisionedVolume(t *testing.T) {
	m := start(t, 1)
	var class storagev1.StorageClass
	m.Eventually(func() error { return m.get(&class, "", "local-path") }).Should(Succeed())
	c := claim("data", nil)
	m.Expect(m.Client.Create(t.Context(), c)).To(Succeed())
	// By admission, or if it did not know the class yet, by the binder.
	m.Eventually(func() *string {
		m.Expect(m.get(c, "default", "data")).To(Succeed())
		return c.Spec.StorageClassName
	}).Should(HaveValue(Equal("local-path")))
	m.Expect(c.Finalizers).To(ContainElement("kubernetes.io/pvc-protection"))
	pod := podWith("p", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}})
	m.Expect(m.Client.Create(t.Context(), pod)).To(Succeed())
	m.Eventually(func() corev1.PersistentVolumeClaimPhase {
		m.Expect(m.get(c, "default", "data")).To(Succeed())
		return c.Status.Phase
	}).Should(Equal(corev1.ClaimBound))
	var pv corev1.PersistentVolume
	m.Eventually(func() corev1.PersistentVolumePhase {
		m.Expect(m.get(&pv, "", c.Spec.VolumeName)).To(Succeed())
		return pv.Status.Phase
	}).Should(Equal(corev1.VolumeBound))
	m.Expect(c.Status.Capacity.Storage().String()).To(Equal("1Gi"))

	// It grows while it is in use.
	was := c.DeepCopy()
	c.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("3Gi")
	m.Expect(m.Client.Patch(t.Context(), c, client.MergeFrom(was))).To(Succeed())
	m.Eventually(func() string {
		m.Expect(m.get(c, "default", "data")).To(Succeed())
		return c.Status.Capacity.Storage().String()
	}).Should(Equal("3Gi"))
	m.Expect(m.get(&pv, "", pv.Name)).To(Succeed())
	m.Expect(pv.Spec.Capacity.Storage().String()).To(Equal("3Gi"))
	m.expectEvent("data", "VolumeResizeSuccessful", "Resize volume succeeded")

	m.Expect(m.Client.Delete(t.Context(), c)).To(Succeed())
	m.Consistently(func() error { return m.get(c, "default", "data") }, "300ms").Should(Succeed())
	m.Expect(m.Client.Delete(t.Context(), pod)).To(Succeed())
	m.gone(c, "default", "data")
	m.gone(&pv, "", pv.Name)
}

// TestStaticVolume binds a volume that a user made, gives it up when its claim
// goes, and makes the claim of an ephemeral volume.
func TestStaticVolume(t *testing.T) {
	m := start(t, 1)
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "manual"}, Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("2Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/tmp/manual"}}}}
	m.Expect(m.Client.Create(t.Context(), pv)).To(Succeed())
	phase := func() corev1.PersistentVolumePhase {
		m.Expect(m.get(pv, "", "manual")).To(Succeed())
		return pv.Status.Phase
	}
	m.Eventually(phase).Should(Equal(corev1.VolumeAvailable))
	c := claim("mine", ptr.To(""))
	m.Expect(m.Client.Create(t.Context(), c)).To(Succeed())
	m.Eventually(phase).Should(Equal(corev1.VolumeBound))
	m.Eventually(func() string {
		m.Expect(m.get(c, "default", "mine")).To(Succeed())
		return c.Status.Capacity.Storage().String()
	}).Should(Equal("2Gi"))
	m.Expect(m.Client.Delete(t.Context(), c)).To(Succeed())
	m.Eventually(phase).Should(Equal(corev1.VolumeReleased))
	m.Expect(m.Client.Delete(t.Context(), pv)).To(Succeed())
	m.gone(pv, "", "manual")

	pod := podWith("e", corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{Spec: claim("", nil).Spec}}})
	m.Expect(m.Client.Create(t.Context(), pod)).To(Succeed())
	m.Eventually(func() corev1.PersistentVolumeClaimPhase {
		_ = m.get(c, "default", "e-v")
		return c.Status.Phase
	}).Should(Equal(corev1.ClaimBound))
	m.Expect(m.Client.Delete(t.Context(), pod)).To(Succeed())
	m.gone(c, "default", "e-v")
}

// TestRecycledVolume plays the pod that empties a volume which is given back.
func TestRecycledVolume(t *testing.T) {
	m := start(t, 1)
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "again"}, Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRecycle,
		Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/tmp/again"}}}}
	m.Expect(m.Client.Create(t.Context(), pv)).To(Succeed())
	c := claim("mine", ptr.To(""))
	m.Expect(m.Client.Create(t.Context(), c)).To(Succeed())
	phase := func() corev1.PersistentVolumePhase {
		m.Expect(m.get(pv, "", "again")).To(Succeed())
		return pv.Status.Phase
	}
	m.Eventually(phase).Should(Equal(corev1.VolumeBound))
	m.Expect(m.Client.Delete(t.Context(), c)).To(Succeed())
	var pod corev1.Pod
	m.Eventually(func() corev1.PodPhase {
		_ = m.get(&pod, "default", "recycler-for-again")
		return pod.Status.Phase
	}).Should(Equal(corev1.PodRunning))
	m.Expect(phase()).To(Equal(corev1.VolumeReleased))
	was := pod.DeepCopy()
	pod.Status.Phase = corev1.PodSucceeded
	m.Expect(m.Client.Status().Patch(t.Context(), &pod, client.MergeFrom(was))).To(Succeed())
	m.Eventually(phase).Should(Equal(corev1.VolumeAvailable))
	m.Expect(pv.Spec.ClaimRef).To(BeNil())
	m.gone(&pod, "default", "recycler-for-again")
	m.expectEvent("again", "VolumeRecycled", "Volume recycled")
}

// TestAttachedVolume plays the driver's attacher: a volume for one node is
// attached where its pod is, not where another one is, and moves when the first
// one goes. An attachment that a user made stays.
func TestAttachedVolume(t *testing.T) {
	m := start(t, 2)
	handMade := &storagev1.VolumeAttachment{ObjectMeta: metav1.ObjectMeta{Name: "by-hand"}, Spec: storagev1.VolumeAttachmentSpec{
		Attacher: "csi.example", NodeName: "simulated-0", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("disk")}}}
	m.Expect(m.Client.Create(t.Context(), handMade)).To(Succeed())
	pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "disk"}, Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "csi.example", VolumeHandle: "h"}}}}
	m.Expect(m.Client.Create(t.Context(), pv)).To(Succeed())
	m.Expect(m.Client.Create(t.Context(), claim("disk", ptr.To("")))).To(Succeed())
	attachment := func(node string) *storagev1.VolumeAttachment {
		var list storagev1.VolumeAttachmentList
		m.Expect(m.Client.List(t.Context(), &list)).To(Succeed())
		for i := range list.Items {
			if a := &list.Items[i]; a.Spec.NodeName == node && a.Name != "by-hand" {
				return a
			}
		}
		return nil
	}
	attached := func(node string) func() []corev1.AttachedVolume {
		return func() []corev1.AttachedVolume {
			var n corev1.Node
			m.Expect(m.get(&n, "", node)).To(Succeed())
			return n.Status.VolumesAttached
		}
	}
	pod := func(name, node string) *corev1.Pod {
		p := podWith(name, corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "disk"}})
		p.Spec.NodeName = node
		m.Expect(m.Client.Create(t.Context(), p)).To(Succeed())
		return p
	}
	first := pod("first", "simulated-0")
	m.Eventually(func() any { return attachment("simulated-0") }).ShouldNot(BeNil())
	a := attachment("simulated-0")
	m.Expect(a.Name).To(Equal("csi-" + fmt.Sprintf("%x", sha256.Sum256([]byte("h"+"csi.example"+"simulated-0")))))
	m.Expect(a.Spec.Attacher).To(Equal("csi.example"))
	a.Status.Attached = true
	m.Expect(m.Client.Status().Update(t.Context(), a)).To(Succeed())
	m.Eventually(attached("simulated-0")).Should(HaveLen(1))
	m.Expect(attached("simulated-0")()[0].Name).To(BeEquivalentTo("kubernetes.io/csi/csi.example^h"))
	m.expectEvent("first", "SuccessfulAttachVolume", `AttachVolume.Attach succeeded for volume "disk" `)

	pod("second", "simulated-1")
	m.expectEvent("second", "FailedAttachVolume", `Waiting for detach for volume "disk" Volume is already used by pod(s) first`)
	m.Expect(attachment("simulated-1")).To(BeNil())
	m.Expect(m.Client.Delete(t.Context(), first)).To(Succeed())
	m.Eventually(func() any { return attachment("simulated-1") }).ShouldNot(BeNil())
	m.Expect(attachment("simulated-0")).To(BeNil())
	m.Eventually(attached("simulated-0")).Should(BeEmpty())
	m.Expect(m.get(handMade, "", "by-hand")).To(Succeed())
}

// TestClaimAndPodSayWhatTheyWaitFor follows a pod whose volume an external driver makes.
func TestClaimAndPodSayWhatTheyWaitFor(t *testing.T) {
	m := start(t, 1)
	m.Expect(m.Client.Create(t.Context(), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "late"}, Provisioner: "csi.example",
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)})).To(Succeed())
	c := claim("late", ptr.To("late"))
	m.Expect(m.Client.Create(t.Context(), c)).To(Succeed())
	m.expectEvent("late", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	p := podWith("late", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "late"}})
	m.Expect(m.Client.Create(t.Context(), p)).To(Succeed())
	m.Eventually(func() string {
		m.Expect(m.get(c, "default", "late")).To(Succeed())
		return c.Annotations["volume.kubernetes.io/storage-provisioner"]
	}).Should(Equal("csi.example"))
	m.Expect(c.Annotations).To(HaveKeyWithValue("volume.kubernetes.io/selected-node", "simulated-0"))
	m.expectEvent("late", "ExternalProvisioning", "Waiting for a volume to be created either by the external provisioner 'csi.example' "+
		"or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.")
	m.Expect(m.get(p, "default", "late")).To(Succeed())
	m.Expect(p.Spec.NodeName).To(BeEmpty())
	m.Expect(m.Client.Create(t.Context(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "made"}, Spec: corev1.PersistentVolumeSpec{
		StorageClassName: "late", Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: "default", Name: "late", UID: c.UID},
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/tmp/made"}}}})).To(Succeed())
	m.Eventually(func() string {
		m.Expect(m.get(p, "default", "late")).To(Succeed())
		return p.Spec.NodeName
	}).Should(Equal("simulated-0"))
}

// TestSystemObjects finds what every cluster has, and that a deleted address is restored.
func TestSystemObjects(t *testing.T) {
	m := start(t, 0)
	for name, value := range map[string]int32{"system-node-critical": 2000001000, "system-cluster-critical": 2000000000} {
		var class schedulingv1.PriorityClass
		m.Eventually(func() error { return m.get(&class, "", name) }).Should(Succeed())
		m.Expect(class.Value).To(Equal(value))
		m.Expect(apierrors.IsForbidden(m.Client.Delete(t.Context(), &class))).To(BeTrue())
	}
	var cidr networkingv1.ServiceCIDR
	m.Eventually(func() bool {
		_ = m.get(&cidr, "", "kubernetes")
		return meta.IsStatusConditionTrue(cidr.Status.Conditions, networkingv1.ServiceCIDRConditionReady)
	}).Should(BeTrue())
	var service corev1.Service
	m.Expect(m.get(&service, "default", "kubernetes")).To(Succeed())
	var ip networkingv1.IPAddress
	m.Expect(m.get(&ip, "", service.Spec.ClusterIP)).To(Succeed())
	m.Expect(ip.Spec.ParentRef.Name).To(Equal("kubernetes"))
	uid := ip.UID
	m.Expect(m.Client.Delete(t.Context(), &ip)).To(Succeed())
	m.Eventually(func() bool { return m.get(&ip, "", service.Spec.ClusterIP) == nil && ip.UID != uid }).Should(BeTrue())
	m.Eventually(func() []string {
		var all eventsv1.EventList
		m.Expect(m.Client.List(t.Context(), &all)).To(Succeed())
		var words []string
		for i := range all.Items {
			words = append(words, all.Items[i].ReportingController+" "+all.Items[i].Action+" "+all.Items[i].Reason)
		}
		return words
	}).Should(ContainElement("ipallocator-repair-controller ClusterIPAllocation ClusterIPNotAllocated"))
}

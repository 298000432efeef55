package scheduler

import (
	"testing"

	. "github.com/onsi/gomega"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func claim(name, class string) *v1.PersistentVolumeClaim {
	return &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name)},
		Spec: v1.PersistentVolumeClaimSpec{StorageClassName: &class, AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce},
			Resources: v1.VolumeResourceRequirements{Requests: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}}},
		Status: v1.PersistentVolumeClaimStatus{Phase: v1.ClaimPending}}
}

func class(name string, mode storagev1.VolumeBindingMode) *storagev1.StorageClass {
	return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Provisioner: "csi.example", VolumeBindingMode: &mode}
}

func volume(name, class, node string) *v1.PersistentVolume {
	return &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PersistentVolumeSpec{
		StorageClassName: class, AccessModes: []v1.PersistentVolumeAccessMode{v1.ReadWriteOnce}, Capacity: v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")},
		NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
			MatchExpressions: []v1.NodeSelectorRequirement{{Key: v1.LabelHostname, Operator: v1.NodeSelectorOpIn, Values: []string{node}}}}}}},
	}, Status: v1.PersistentVolumeStatus{Phase: v1.VolumeAvailable}}
}

func using(p *v1.Pod, claims ...string) *v1.Pod {
	for _, c := range claims {
		p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: c, VolumeSource: v1.VolumeSource{
			PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: c}}})
	}
	return p
}

func (w *world) claim(name string) *v1.PersistentVolumeClaim {
	var c v1.PersistentVolumeClaim
	w.Expect(w.client.Get(w.ctx, types.NamespacedName{Namespace: "default", Name: name}, &c)).To(Succeed())
	return &c
}

// bindClaim does what the binder does.
func (w *world) bindClaim(name, volume string) {
	c := w.claim(name)
	c.Spec.VolumeName = volume
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, helpers.AnnBindCompleted, "yes")
	w.Expect(w.client.Update(w.ctx, c)).To(Succeed())
}

func (w *world) eventuallySelected(claim, node string) {
	w.Eventually(func() string { return w.claim(claim).Annotations[helpers.AnnSelectedNode] }).Should(Equal(node))
}

const noVictim = " preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."

const notHelpful = " preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."

func TestPodsWaitForTheirClaims(t *testing.T) {
	w := start(t, node("a", "4"), node("b", "4"), class("now", storagev1.VolumeBindingImmediate))
	w.create(using(pod("p", "1"), "data"))
	w.eventuallyPending("p", "Unschedulable", `0/2 nodes are available: persistentvolumeclaim "data" not found.`+notHelpful)
	w.create(claim("data", "now"))
	w.eventuallyPending("p", "Unschedulable", "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."+notHelpful)
	pv := volume("v", "now", "b")
	w.create(pv)
	w.bindClaim("data", "v")
	w.eventuallyOn("p", "b")

	// From where the only node with room is, the volume cannot be reached.
	w.create(using(pod("q", "4"), "data"))
	w.eventuallyPending("q", "Unschedulable", "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match PersistentVolume's node affinity."+
		" preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.")
}

func TestVolumesAreMadeWhereThePodGoes(t *testing.T) {
	w := start(t, node("a", "1"), node("b", "4"), class("late", storagev1.VolumeBindingWaitForFirstConsumer))
	w.create(claim("data", "late"), using(pod("p", "2"), "data"), pod("other", "2"))
	w.eventuallySelected("data", "b")
	w.eventuallyOn("other", "b") // it does not wait for p
	w.Expect(w.pod("p").Spec.NodeName).To(BeEmpty())
	w.bindClaim("data", "made") // which may be seen before its volume
	made := volume("made", "late", "b")
	made.Spec.ClaimRef = &v1.ObjectReference{Namespace: "default", Name: "data", UID: "uid-data"}
	w.create(made)
	w.eventuallyOn("p", "b")
	w.Eventually(w.scheduler.Idle).Should(BeTrue())
}

func TestProvisioningFails(t *testing.T) {
	w := start(t, node("a", "4"), class("late", storagev1.VolumeBindingWaitForFirstConsumer))
	w.create(claim("data", "late"), using(pod("p", "2"), "data"))
	w.eventuallySelected("data", "a")
	c := w.claim("data")
	c.Annotations = map[string]string{"x": "y"}
	w.Expect(w.client.Update(w.ctx, c)).To(Succeed())
	w.Eventually(w.events.list).Should(ContainElement(
		`Warning FailedScheduling Scheduling p: running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "data"`))
	w.Eventually(func() string { return w.claim("data").Annotations[helpers.AnnSelectedNode] }, "5s").Should(Equal("a")) // after a backoff
}

func TestVolumesThatAreThereAreTaken(t *testing.T) {
	w := start(t, node("a", "4"), node("b", "4"), class("late", storagev1.VolumeBindingWaitForFirstConsumer), volume("v1", "late", "a"), volume("v2", "late", "b"))
	w.create(claim("c1", "late"), claim("c2", "late"), using(pod("p1", "1"), "c1"), using(pod("p2", "1"), "c2"))
	of := map[string]string{}
	w.Eventually(func() int {
		for _, name := range []string{"v1", "v2"} {
			var pv v1.PersistentVolume
			w.Expect(w.client.Get(w.ctx, client.ObjectKey{Name: name}, &pv)).To(Succeed())
			if pv.Spec.ClaimRef != nil {
				of[pv.Spec.ClaimRef.Name] = name
			}
		}
		return len(of)
	}).Should(Equal(2))
	on := map[string]string{"v1": "a", "v2": "b"}
	for pod, claim := range map[string]string{"p1": "c1", "p2": "c2"} {
		w.bindClaim(claim, of[claim])
		w.eventuallyOn(pod, on[of[claim]])
	}
}

func TestAPodDeletedWhileItWaitsForVolumes(t *testing.T) {
	w := start(t, node("a", "2"), class("late", storagev1.VolumeBindingWaitForFirstConsumer))
	w.create(claim("data", "late"), using(pod("p", "2"), "data"))
	w.eventuallySelected("data", "a")
	// The pod may have been seen before its claim.
	before := len(w.events.list())
	w.create(pod("q", "2"))
	w.eventuallyPending("q", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu."+noVictim)
	w.Expect(w.client.Delete(w.ctx, w.pod("p"))).To(Succeed())
	w.eventuallyOn("q", "a")
	w.Expect(w.events.list()[before:]).NotTo(ContainElement(ContainSubstring(" p: ")))
}

func TestOnePodOnly(t *testing.T) {
	w := start(t, node("a", "4"), node("b", "4"), volume("v", "", "a"))
	c := claim("data", "")
	c.Spec.AccessModes = []v1.PersistentVolumeAccessMode{v1.ReadWriteOncePod}
	c.Spec.VolumeName = "v"
	c.Annotations = map[string]string{helpers.AnnBindCompleted: "yes"}
	w.create(c, using(pod("p", "1"), "data"))
	w.eventuallyOn("p", "a")
	w.create(using(pod("q", "1"), "data"))
	w.eventuallyPending("q", "Unschedulable", "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod."+
		" preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod.")
	w.Expect(w.client.Delete(w.ctx, w.pod("p"))).To(Succeed())
	w.eventuallyOn("q", "a")
}

func TestVolumeLimits(t *testing.T) {
	w := start(t, node("a", "4"),
		&storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: "csi.example", NodeID: "a", Allocatable: &storagev1.VolumeNodeResources{Count: ptr.To[int32](1)}}}}})
	for _, name := range []string{"one", "two"} {
		pv := volume(name, "", "a")
		pv.Spec.CSI = &v1.CSIPersistentVolumeSource{Driver: "csi.example", VolumeHandle: name}
		c := claim(name, "")
		c.Spec.VolumeName = name
		c.Annotations = map[string]string{helpers.AnnBindCompleted: "yes"}
		w.create(pv, c)
	}
	w.create(using(pod("p", "1"), "one"))
	w.eventuallyOn("p", "a")
	w.create(using(pod("q", "1"), "two"), using(pod("same", "1"), "one"))
	w.eventuallyOn("same", "a")
	w.eventuallyPending("q", "Unschedulable", "0/1 nodes are available: 1 node(s) exceed max volume count."+noVictim)
	var n storagev1.CSINode
	w.Expect(w.client.Get(w.ctx, client.ObjectKey{Name: "a"}, &n)).To(Succeed())
	n.Spec.Drivers[0].Allocatable.Count = ptr.To[int32](2)
	w.Expect(w.client.Update(w.ctx, &n)).To(Succeed())
	w.eventuallyOn("q", "a")
}

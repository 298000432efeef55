package localpath

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	volumes "k8s.io/component-helpers/storage/volume"
)

func size(s string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(s)}
}

// TestGrowth carries out plans up to every point where a crash may end them, and
// expects the next plan to go on from there to the same end.
func TestGrowth(t *testing.T) {
	now := metav1.Unix(1_700_000_000, 0)
	for crash := range 4 {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{UID: "u"},
			Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: size("2Gi")}},
			Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size("1Gi"),
				Conditions: []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimVolumeModifyingVolume}}}}
		pv := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{volumes.AnnDynamicallyProvisioned: Provisioner}},
			Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{UID: "u"}, Capacity: size("1Gi")}}
		do := func(steps int) {
			g := planGrowth(claim, pv, defaultClass(), now)
			if g == nil {
				return
			}
			if g.begin != nil && steps > 0 {
				claim = g.begin
			}
			if g.volume != nil && steps > 1 {
				pv = g.volume
			}
			if steps > 2 {
				claim = g.finish
			}
		}
		do(crash)
		if c := claim.Status.Conditions; crash == 1 && (len(c) != 2 || c[1].Type != corev1.PersistentVolumeClaimResizing || c[1].LastTransitionTime != now) {
			t.Error("conditions while it grows:", c)
		}
		do(3)
		s := claim.Status
		if s.Capacity.Storage().String() != "2Gi" || s.AllocatedResources.Storage().String() != "2Gi" || len(s.AllocatedResourceStatuses) != 0 ||
			len(s.Conditions) != 1 || pv.Spec.Capacity.Storage().String() != "2Gi" {
			t.Errorf("after a crash at %d: %+v", crash, s)
		}
		if g := planGrowth(claim, pv, defaultClass(), now); g != nil {
			t.Error("there is more to do:", g)
		}
	}
}

func TestWhatDoesNotGrow(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: size("2Gi")}},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size("1Gi")}}
	ours := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{volumes.AnnDynamicallyProvisioned: Provisioner}},
		Spec: corev1.PersistentVolumeSpec{ClaimRef: &corev1.ObjectReference{}, Capacity: size("1Gi")}}
	theirs := ours.DeepCopy()
	theirs.Annotations = nil
	if planGrowth(claim, theirs, defaultClass(), metav1.Time{}) != nil || planGrowth(claim, ours, &storagev1.StorageClass{}, metav1.Time{}) != nil {
		t.Error("grows")
	}
}

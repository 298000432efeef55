package volumeexpansion

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	volumes "k8s.io/component-helpers/storage/volume"
)

func size(s string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(s)}
}

func TestPlanClaim(t *testing.T) {
	claim := func(wants, has string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{UID: "u"},
			Spec:   corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: size(wants)}},
			Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: size(has)}}
	}
	volume := func(s corev1.PersistentVolumeSource, provisioner string) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{volumes.AnnDynamicallyProvisioned: provisioner}},
			Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: s, ClaimRef: &corev1.ObjectReference{UID: "u"}}}
	}
	csi := corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d"}}
	other := volume(csi, "d")
	other.Spec.ClaimRef.UID = "v"
	for name, tc := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		pv    *corev1.PersistentVolume
		want  plan
	}{
		"has enough":    {claim("1Gi", "1Gi"), volume(csi, "d"), plan{}},
		"a driver's":    {claim("2Gi", "1Gi"), volume(csi, "d"), plan{message: "waiting for an external controller to expand this PVC"}},
		"somebody's":    {claim("2Gi", "1Gi"), other, plan{}},
		"the built-in":  {claim("2Gi", "1Gi"), volume(corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{}}, "here"), plan{}},
		"of a kind old": {claim("2Gi", "1Gi"), volume(corev1.PersistentVolumeSource{AWSElasticBlockStore: &corev1.AWSElasticBlockStoreVolumeSource{}}, ""), plan{"CSI migration enabled for kubernetes.io/aws-ebs; waiting for external resizer to expand the pvc", "ebs.csi.aws.com"}},
	} {
		if got := planClaim(tc.claim, tc.pv, "here"); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

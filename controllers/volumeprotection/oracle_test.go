package volumeprotection

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// claimUsed agrees, for random pods, with a look at each of their volumes.
func TestClaimUsedAgainstEveryVolume(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p0-v1"}}
		if rng.IntN(2) == 0 {
			claim.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p0", UID: "u0", Controller: ptr.To(true)}}
		}
		var pods []corev1.Pod
		want := false
		for i := range rng.IntN(3) {
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("p", i)}}
			pod.UID = []metav1.OwnerReference{{UID: "u0"}, {UID: "u1"}, {UID: "u2"}}[i].UID
			pod.Spec.NodeName = []string{"", "n"}[rng.IntN(2)]
			over := rng.IntN(3) == 0
			if over {
				pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{}, ptr.To(int64(0))
			}
			for v := range rng.IntN(3) {
				volume := corev1.Volume{Name: fmt.Sprint("v", v)}
				keeps := false
				switch rng.IntN(3) {
				case 0:
					volume.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: []string{"p0-v1", "other"}[rng.IntN(2)]}
					keeps = volume.PersistentVolumeClaim.ClaimName == claim.Name
				case 1:
					volume.Ephemeral = &corev1.EphemeralVolumeSource{}
					keeps = i == 0 && v == 1 && len(claim.OwnerReferences) > 0 && !over
				}
				pod.Spec.Volumes = append(pod.Spec.Volumes, volume)
				keeps = keeps && pod.Spec.NodeName != ""
				want = want || keeps
			}
			pods = append(pods, pod)
		}
		if got := claimUsed(claim, pods, usesClaim); got != want {
			t.Fatalf("seed %d: used: %t, want %t", seed, got, want)
		}
	}
}

// A finalizer comes unless the object goes, and leaves only what goes.
func TestPlan(t *testing.T) {
	for i := range 8 {
		obj := &corev1.PersistentVolume{}
		has, going := i&1 > 0, i&2 > 0
		if has {
			obj.Finalizers = append(obj.Finalizers, volumeFinalizer)
		}
		if i&4 > 0 {
			obj.Finalizers = append([]string{"other"}, obj.Finalizers...)
		}
		if going {
			obj.DeletionTimestamp = &metav1.Time{}
		}
		want := leave
		if !has && !going {
			want = add
		} else if has && going {
			want = removeUnlessUsed
		}
		if got := plan(obj, volumeFinalizer); got != want {
			t.Errorf("has %t going %t: %v", has, going, got)
		}
	}
}

package ephemeralvolume

import (
	"flag"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/ephemeral"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// The claims of random pods; each is the pod's by the rule that others go by.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for n := range 15 {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("p", n), UID: "u"}}
		line := pod.Name
		if r.Chance(6) {
			pod.DeletionTimestamp = &metav1.Time{}
			line += " going"
		}
		for i := range r.IntN(4) {
			v := corev1.Volume{Name: fmt.Sprint("v", i)}
			kind := golden.Pick(r, "ephemeral", "ephemeral", "claim", "directory", "ephemeral without template")
			switch kind {
			case "ephemeral":
				v.Ephemeral = &corev1.EphemeralVolumeSource{VolumeClaimTemplate: &corev1.PersistentVolumeClaimTemplate{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"of": v.Name}}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: fmt.Sprint("pv", i)}}}
			case "ephemeral without template":
				v.Ephemeral = &corev1.EphemeralVolumeSource{}
			case "claim":
				v.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}
			}
			pod.Spec.Volumes = append(pod.Spec.Volumes, v)
			line += ", " + v.Name + " " + kind
		}
		r.Say("%s", line)
		for _, c := range claims(pod) {
			r.Say("  claim %s/%s %v %s", c.Namespace, c.Name, c.Labels, c.Spec.VolumeName)
			if err := ephemeral.VolumeIsForPod(pod, c); err != nil {
				t.Error(err)
			}
		}
	}
	golden.Check(t, *rewrite, "claims", r.String())
}

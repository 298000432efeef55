package localpath

import (
	"flag"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// The plans for random claims, and the reasons of refusals.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	other := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Provisioner: "example.com/x"}
	for n := range 30 {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("c", n), UID: types.UID(fmt.Sprint("u", n))}}
		class := golden.Pick(r, defaultClass(), defaultClass(), other, nil)
		line := c.Name
		if class != nil {
			line += " of " + class.Name
		}
		if r.Chance(6) {
			c.Spec.VolumeName = "pv"
			line += " bound"
		}
		if r.Chance(6) {
			c.DeletionTimestamp = &metav1.Time{}
			line += " going"
		}
		if r.Chance(6) {
			c.Spec.VolumeMode = golden.Pick(r, new(corev1.PersistentVolumeMode), nil)
			if c.Spec.VolumeMode != nil {
				*c.Spec.VolumeMode = corev1.PersistentVolumeBlock
				line += " block"
			}
		}
		if r.Chance(6) {
			c.Spec.Selector = &metav1.LabelSelector{}
			line += " with a selector"
		}
		pod := corev1.Pod{}
		pod.Spec.NodeName = golden.Pick(r, "", "n1", "n1")
		r.Say("%s, a pod on %q uses it", line, pod.Spec.NodeName)
		if !mine(c, class) {
			r.Say("  not mine")
			continue
		}
		if why := refusal(c); why != "" {
			r.Say("  refused: %s", why)
			continue
		}
		node := consumer([]corev1.Pod{pod})
		if node == "" {
			r.Say("  waits for a pod")
			continue
		}
		host := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node, Labels: golden.Pick(r, nil, map[string]string{corev1.LabelHostname: "host"})}}
		pv := volume(c, class, host, "/data")
		r.Say("  %s at %s on %s for %s/%s, %s", pv.Name, pv.Spec.HostPath.Path,
			pv.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values[0], pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name, pv.Spec.PersistentVolumeReclaimPolicy)
	}
	golden.Check(t, *rewrite, "claims", r.String())
}

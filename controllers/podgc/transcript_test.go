package podgc

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// Scans of a cluster whose pods and nodes come, go and end at random.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	o := Observed{Nodes: map[string]*corev1.Node{"ok": node("ok", true, false), "out": node("out", false, true)}, Threshold: 2}
	at := now
	for scan := range 25 {
		for range r.IntN(3) {
			p := pod(fmt.Sprintf("p%d", len(o.Pods)+scan*10), golden.Pick(r, "ok", "ok", "out", "gone", ""), golden.Pick(r, corev1.PodRunning, corev1.PodPending, corev1.PodFailed, corev1.PodSucceeded), r.Chance(4))
			p.CreationTimestamp = metav1.NewTime(at)
			if p.Status.Phase == corev1.PodFailed && r.Chance(2) {
				p.Status.Reason = "Evicted"
			}
			o.Pods = append(o.Pods, p)
			r.Say("%s on %q %s%s%s", p.Name, p.Spec.NodeName, p.Status.Phase, p.Status.Reason, map[bool]string{true: " going"}[p.DeletionTimestamp != nil])
		}
		if r.Chance(6) {
			ready := r.Chance(2)
			o.Nodes["out"] = node("out", ready, true)
			r.Say("node out is ready: %t", ready)
		}
		p := plan(o, at)
		for _, v := range p.Victims {
			r.Say("  %v: remove %s: %s", at.Sub(now), v.Pod.Name, v.Reason)
			o.Pods = slices.DeleteFunc(o.Pods, func(p *corev1.Pod) bool { return p == v.Pod })
		}
		if len(p.Missing) > 0 {
			r.Say("  %v: missing %v, again in %v", at.Sub(now), slices.Sorted(maps.Keys(p.Missing)), p.RequeueAfter)
		}
		o.Missing = p.Missing
		at = at.Add(time.Duration(1+r.IntN(20)) * time.Second)
	}
	golden.Check(t, *rewrite, "scans", r.String())
}

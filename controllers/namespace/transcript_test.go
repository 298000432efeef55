package namespace

import (
	"errors"
	"flag"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// The conditions of a namespace while random things hold it up.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	var conditions []corev1.NamespaceCondition
	at := now
	for range 20 {
		report := &Report{}
		if r.Chance(6) {
			report.DiscoveryError = errors.New("not all groups are known")
		}
		for range r.IntN(2) {
			report.DeleteErrors = append(report.DeleteErrors, golden.Pick(r, errors.New("deleting all pods: no"), errors.New("listing secrets: no")))
		}
		for range r.IntN(3) {
			gvr := golden.Pick(r, pods, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"})
			report.add(gvr, r.IntN(3), golden.Pick(r, nil, map[string]int{"example.com/hold": 1}, map[string]int{"foregroundDeletion": 2}))
		}
		var change ConditionChange
		conditions, change = Conditions(conditions, report, at)
		r.Say("after %v: done %t, %s", at.Sub(now), report.Done(), []string{"the same", "reworded", "different"}[change])
		for _, c := range conditions {
			if c.Status == corev1.ConditionTrue || c.LastTransitionTime.Time.Equal(at) {
				r.Say("  %s=%s since %v %s: %s", c.Type, c.Status, c.LastTransitionTime.Sub(now), c.Reason, c.Message)
			}
		}
		at = at.Add(time.Second)
	}
	golden.Check(t, *rewrite, "conditions", r.String())
}

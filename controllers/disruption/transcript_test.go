package disruption

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for range 40 {
		amount := golden.Pick(r, fmt.Sprint(r.IntN(6)), fmt.Sprintf("%d%%", r.IntN(101)))
		b, what := budget(amount, ""), "min available "
		if r.Chance(2) {
			b, what = budget("", amount), "max unavailable "
		}
		scales := map[types.UID]Scale{"x": {"x", int32(r.IntN(6))}, "y": {"d", 4}, "z": {"d", 4}}
		b.Status.DisruptedPods = map[string]metav1.Time{}
		var pods []*corev1.Pod
		var words []string
		for i := range r.IntN(6) {
			p := pod(fmt.Sprintf("p%d", i), golden.Pick(r, types.UID("x"), "x", "y", "z", "y", ""), !r.Chance(3))
			word := p.Name
			if ref := metav1.GetControllerOf(p); ref != nil {
				word += " of " + string(ref.UID)
			}
			if len(p.Status.Conditions) > 0 {
				word += " ready"
			}
			if r.Chance(5) {
				p.DeletionTimestamp = ptr.To(metav1.NewTime(now))
				word += " going"
			}
			if r.Chance(4) {
				since := time.Duration(r.IntN(150)) * time.Second
				b.Status.DisruptedPods[p.Name] = metav1.NewTime(now.Add(-since))
				word += fmt.Sprintf(" evicted %v ago", since)
			}
			pods, words = append(pods, p), append(words, word)
		}
		p := plan(Observed{Budget: b, Pods: pods, Scales: scales}, now)
		r.Say("%s%s of %d: %s", what, amount, scales["x"].Replicas, strings.Join(words, ", "))
		s := p.Status
		line := fmt.Sprintf("  %d expected, %d desired, %d healthy: %d allowed", s.ExpectedPods, s.DesiredHealthy, s.CurrentHealthy, s.DisruptionsAllowed)
		for _, c := range s.Conditions {
			line += fmt.Sprintf("; %s %s", c.Status, c.Reason)
		}
		if len(s.DisruptedPods) > 0 {
			line += fmt.Sprintf("; waits for %d, again in %v", len(s.DisruptedPods), p.RequeueAfter)
		}
		for _, o := range p.Overdue {
			line += "; overdue " + o.Name
		}
		for _, e := range p.Events {
			line += "; " + e.Reason
		}
		r.Say("%s", line)
	}
	golden.Check(t, *rewrite, "budgets", r.String())
}

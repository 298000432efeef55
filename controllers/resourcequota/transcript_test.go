package resourcequota

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// A quota whose limits and use change at random: status follows, and is not written twice.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	q := &corev1.ResourceQuota{}
	some := func() corev1.ResourceList {
		list := corev1.ResourceList{}
		for _, name := range []corev1.ResourceName{"pods", "requests.cpu", "count/jobs.batch"} {
			if !r.Chance(3) {
				list[name] = *resource.NewQuantity(int64(r.IntN(4)), resource.DecimalSI)
			}
		}
		return list
	}
	for range 25 {
		if r.Chance(3) || q.Spec.Hard == nil {
			q.Spec.Hard = some()
		}
		measured := some()
		status, changed := NewStatus(q, measured)
		r.Say("hard %s measured %s", show(q.Spec.Hard), show(measured))
		r.Say("  changed %t: hard %s used %s", changed, show(status.Hard), show(status.Used))
		q.Status = status
		if _, again := NewStatus(q, measured); again {
			t.Errorf("the same use changes %s", show(status.Used))
		}
	}
	golden.Check(t, *rewrite, "quota", r.String())
}

func show(list corev1.ResourceList) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(list)) {
		q := list[name]
		words = append(words, fmt.Sprintf("%s=%s", name, q.String()))
	}
	return "{" + strings.Join(words, " ") + "}"
}

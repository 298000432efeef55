package serviceaccount

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A namespace that lives lacks none of the accounts afterwards, and gets no
// other; one that goes gets none.
func TestPlanAgainstASet(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}
		ns.Status.Phase = []corev1.NamespacePhase{"", corev1.NamespaceActive, corev1.NamespaceTerminating}[rng.IntN(3)]
		if rng.IntN(4) == 0 {
			ns.DeletionTimestamp = &metav1.Time{}
			ns.DeletionTimestamp.Time = metav1.Now().Time
		}
		var wanted []string
		exists := map[string]bool{}
		for i := range rng.IntN(5) {
			wanted = append(wanted, fmt.Sprint("sa", i))
			exists[fmt.Sprint("sa", rng.IntN(6))] = true
		}
		has := map[string]int{}
		for name := range exists {
			has[name]++
		}
		created := plan(ns, wanted, exists)
		for _, sa := range created {
			has[sa.Name]++
			if sa.Namespace != "ns" {
				t.Fatalf("seed %d: in %q", seed, sa.Namespace)
			}
		}
		lives := ns.DeletionTimestamp == nil && ns.Status.Phase != corev1.NamespaceTerminating
		if !lives && len(created) > 0 {
			t.Fatalf("seed %d: created in a namespace that goes", seed)
		}
		for _, name := range wanted {
			if lives && has[name] != 1 {
				t.Fatalf("seed %d: %d of %s", seed, has[name], name)
			}
		}
		if len(has) > len(wanted)+len(exists) {
			t.Fatalf("seed %d: %v of %v", seed, has, wanted)
		}
	}
}

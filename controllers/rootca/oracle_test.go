package rootca

import (
	"fmt"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Whatever a user made of it, the ConfigMap is as published after one write,
// which leaves labels and other annotations. There is no second write.
func TestPlanRepairsAnything(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var existing *corev1.ConfigMap
		if rng.IntN(5) > 0 {
			existing = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: ConfigMapName, Labels: map[string]string{"l": "m"}}, Data: map[string]string{}}
			for _, k := range []string{"ca.crt", "other"} {
				if rng.IntN(2) == 0 {
					existing.Data[k] = fmt.Sprint("pem", rng.IntN(2))
				}
			}
			if rng.IntN(4) == 0 {
				existing.BinaryData = map[string][]byte{"ca.crt": {1}}
			}
			if rng.IntN(2) == 0 {
				existing.Annotations = map[string]string{"a": "b", descriptionAnnotation: []string{description, "mine"}[rng.IntN(2)]}
			}
		}
		was := existing.DeepCopy()
		create, update := plan("ns", "pem1", existing)
		if !apiequality.Semantic.DeepEqual(was, existing) || existing == nil != (create != nil) || create != nil && update != nil {
			t.Fatalf("seed %d: create %v update %v", seed, create, update)
		}
		got := existing
		for _, w := range []*corev1.ConfigMap{create, update} {
			if w != nil {
				got = w
			}
		}
		if len(got.Data) != 1 || got.Data["ca.crt"] != "pem1" || len(got.BinaryData) != 0 || got.Annotations[descriptionAnnotation] != description || got.Name != ConfigMapName || got.Namespace != "ns" {
			t.Fatalf("seed %d: %+v", seed, got)
		}
		if was != nil && (got.Labels["l"] != "m" || got.Annotations["a"] != was.Annotations["a"]) {
			t.Fatalf("seed %d: others' metadata: %+v", seed, got.ObjectMeta)
		}
		if create, update := plan("ns", "pem1", got); create != nil || update != nil {
			t.Fatalf("seed %d: written again", seed)
		}
	}
}

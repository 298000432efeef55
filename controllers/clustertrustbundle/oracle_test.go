package clustertrustbundle

import (
	"fmt"
	"math/rand/v2"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
)

// Carried out, a plan leaves the signer's one bundle and all others as they were.
func TestPlansLeadToOneBundle(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		have := map[string]*certificatesv1.ClusterTrustBundle{}
		for i := range rng.IntN(5) {
			b := bundle(fmt.Sprint("b", i), []string{"example.com/mine", "example.com/other"}[rng.IntN(2)], fmt.Sprint("pem", rng.IntN(2)))
			have[b.Name] = b
		}
		for step := range 4 {
			pem := fmt.Sprint("pem", rng.IntN(2))
			list := make([]certificatesv1.ClusterTrustBundle, 0, len(have))
			others := 0
			for _, b := range have {
				list = append(list, *b)
				if b.Spec.SignerName != "example.com/mine" {
					others++
				}
			}
			apply(have, plan("example.com/mine", pem, list))
			mine := 0
			for _, b := range have {
				switch {
				case b.Spec.SignerName != "example.com/mine":
					others--
				case b.Spec.TrustBundle != pem:
					t.Fatalf("seed %d step %d: %q, want %q", seed, step, b.Spec.TrustBundle, pem)
				default:
					mine++
				}
			}
			if mine != 1 || others != 0 {
				t.Fatalf("seed %d step %d: %d bundles, %d others lost", seed, step, mine, others)
			}
		}
	}
}

func apply(have map[string]*certificatesv1.ClusterTrustBundle, a actions) {
	for _, b := range []*certificatesv1.ClusterTrustBundle{a.create, a.update} {
		if b != nil {
			have[b.Name] = b
		}
	}
	for _, b := range a.remove {
		delete(have, b.Name)
	}
}

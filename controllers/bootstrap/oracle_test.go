package bootstrap

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cluster-bootstrap/token/jws"
)

// Whatever cluster-info had before, it has a valid signature of each token that
// may sign, and of none other, and its other contents stay.
func TestSignAgainstVerification(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		data := map[string]string{"kubeconfig": fmt.Sprint("content", rng.IntN(3)), "x": "y"}
		var tokens []corev1.Secret
		may := map[string]bool{}
		for i := range rng.IntN(5) {
			id, valid := fmt.Sprintf("aaaaa%d", i), true
			s := token(id, func(d map[string][]byte) {
				switch rng.IntN(6) {
				case 0:
					d["usage-bootstrap-signing"], valid = []byte("false"), false
				case 1:
					expires(-time.Second)(d)
					valid = false
				case 2:
					expires(time.Second)(d)
				case 3:
					d["token-id"], valid = []byte("bbbbbb"), false
				}
			})
			if rng.IntN(6) == 0 {
				s.Type, valid = corev1.SecretTypeOpaque, false
			}
			if rng.IntN(2) == 0 {
				data["jws-kubeconfig-"+id] = "stale"
			}
			tokens = append(tokens, *s)
			may[id] = valid
		}
		before := maps.Clone(data)
		got, changed, err := Sign(data, tokens, now)
		if err != nil || changed == maps.Equal(got, before) || !maps.Equal(data, before) {
			t.Fatalf("seed %d: changed %t, %v: %v of %v", seed, changed, err, got, before)
		}
		signatures := 0
		for id, valid := range may {
			signature, ok := got["jws-kubeconfig-"+id]
			if ok != valid || ok && !jws.DetachedTokenIsValid(signature, data["kubeconfig"], id, "0123456789abcdef") {
				t.Fatalf("seed %d: %s signs: %t, want %t", seed, id, ok, valid)
			}
			if ok {
				signatures++
			}
		}
		if len(got) != 2+signatures || got["x"] != "y" || got["kubeconfig"] != data["kubeconfig"] {
			t.Fatalf("seed %d: %v", seed, got)
		}
	}
}

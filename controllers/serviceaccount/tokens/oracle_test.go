package tokens

import (
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Secret is complete after one write and stays; a token that it had is kept.
func TestPlanCompletesAnything(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		pick := func(of ...string) string { return of[rng.IntN(len(of))] }
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "robot", UID: "u1"}}
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", Annotations: map[string]string{corev1.ServiceAccountNameKey: "robot"}}, Type: corev1.SecretTypeServiceAccountToken}
		if rng.IntN(2) == 0 {
			secret.Annotations[corev1.ServiceAccountUIDKey] = "u1"
		}
		if rng.IntN(3) > 0 {
			secret.Data = map[string][]byte{"token": []byte(pick("", "old")), "ca.crt": []byte(pick("", "PEM", "before")), "namespace": []byte(pick("ns", "other")), "x": []byte("y")}
		}
		ca := []byte(pick("PEM", ""))
		was := secret.DeepCopy()
		got := plan(secret, sa, ca, "new")
		if !apiequality.Semantic.DeepEqual(was, secret) {
			t.Fatalf("seed %d: the shared object was changed", seed)
		}
		if got == nil {
			got = secret
		}
		token, authority := string(was.Data["token"]), string(was.Data["ca.crt"])
		if token == "" {
			token = "new"
		}
		if len(ca) > 0 {
			authority = string(ca)
		}
		if string(got.Data["token"]) != token || string(got.Data["ca.crt"]) != authority || string(got.Data["namespace"]) != "ns" ||
			got.Annotations[corev1.ServiceAccountUIDKey] != "u1" || string(got.Data["x"]) != string(was.Data["x"]) {
			t.Fatalf("seed %d: %s %v of %v", seed, got.Annotations, got.Data, was.Data)
		}
		if again := plan(got, sa, ca, "newer"); again != nil {
			t.Fatalf("seed %d: written again: %v after %v", seed, again.Data, got.Data)
		}
	}
}

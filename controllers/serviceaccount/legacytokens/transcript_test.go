package legacytokens

import (
	"flag"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// The lives of tokens that are used at random, looked at every day.
func TestTranscript(t *testing.T) {
	const period = 5 * day
	r := golden.NewRandom(1)
	for n := range 8 {
		secret := &corev1.Secret{Type: corev1.SecretTypeServiceAccountToken}
		secret.CreationTimestamp = metav1.NewTime(today.Add(-time.Duration(r.IntN(8)) * day))
		tracked := today.Add(-time.Duration(r.IntN(8)) * day)
		r.Say("%d: made on %s, uses noted since %s", n, secret.CreationTimestamp.Format("01-02"), tracked.Format("01-02"))
		for i := range 20 {
			at := today.AddDate(0, 0, i)
			if r.Chance(8) && secret.Labels[InvalidSinceLabel] == "" {
				secret.Labels = map[string]string{LastUsedLabel: at.Format(time.DateOnly)}
				r.Say("  %s: used", at.Format("01-02"))
			}
			if !unused(secret, tracked, at, period) {
				continue
			}
			step := end(secret, at, period)
			if step == remove {
				r.Say("  %s: removed", at.Format("01-02"))
				break
			}
			if step == mark {
				r.Say("  %s: marked", at.Format("01-02"))
				labels := map[string]string{InvalidSinceLabel: at.Format(time.DateOnly)}
				if used := secret.Labels[LastUsedLabel]; used != "" {
					labels[LastUsedLabel] = used
				}
				secret.Labels = labels
			}
		}
	}
	golden.Check(t, *rewrite, "lives", r.String())
}

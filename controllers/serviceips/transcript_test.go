package serviceips

import (
	"flag"
	"fmt"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// Repairs of random Services and addresses; carried out, they leave nothing to
// repair but what a user must.
func TestTranscript(t *testing.T) {
	r := golden.NewRandom(1)
	for range 40 {
		web := service("web", golden.Pick(r, "10.0.0.5", "10.0.0.5", "10.9.0.5", "None", "nonsense"))
		web.Spec.ClusterIPs = []string{web.Spec.ClusterIP}
		other := service("other", golden.Pick(r, "10.0.0.5", "10.0.0.6"))
		other.Spec.ClusterIPs = []string{other.Spec.ClusterIP}
		var found *networkingv1.IPAddress
		words := "none"
		if !r.Chance(4) {
			found = address(golden.Pick(r, "web", "other", "gone"), "10.0.0.5")
			words = "of " + found.Spec.ParentRef.Name
			switch r.IntN(6) {
			case 0:
				found.Labels = nil
				words += " without labels"
			case 1:
				found.Spec.ParentRef.Resource = "pods"
				words += ", a pod"
			case 2:
				found.Spec.ParentRef = nil
				words = "of nobody"
			}
			found.CreationTimestamp = metav1.NewTime(time.Unix(1000, 0))
		}
		o := observed{
			address: func(name string) *networkingv1.IPAddress {
				if found != nil && name == found.Name {
					return found
				}
				return nil
			},
			service: func(_, name string) *corev1.Service {
				return map[string]*corev1.Service{"web": web, "other": other}[name]
			},
			inRange: func(ip netip.Addr) bool { return netip.MustParsePrefix("10.0.0.0/24").Contains(ip) },
		}
		r.Say("web has %s, other %s; address 10.0.0.5 %s", web.Spec.ClusterIP, other.Spec.ClusterIP, words)
		for _, fix := range planService(web, o) {
			line := fmt.Sprintf("  remove %t create %t", fix.remove != nil, fix.create != nil)
			if fix.note != nil {
				line += " " + fix.note.reason + ": " + fix.note.message
			}
			r.Say("%s", line)
			if fix.create == nil {
				continue
			}
			found = fix.create
			if again := planService(web, o); len(again) > 0 {
				t.Errorf("repaired again: %+v", again[0].note)
			}
		}
		if found == nil || found.Spec.ParentRef == nil {
			continue
		}
		for _, age := range []time.Duration{time.Second, 10 * time.Second, 2 * time.Minute} {
			remove, again := planIP(found, o.service("", found.Spec.ParentRef.Name), found.CreationTimestamp.Add(age))
			if remove != nil {
				r.Say("  address of %v: %s: %s", age, remove.reason, remove.message)
				break
			}
			if again > 0 {
				r.Say("  address of %v: again in %v", age, again)
			}
		}
	}
	golden.Check(t, *rewrite, "repairs", r.String())
}

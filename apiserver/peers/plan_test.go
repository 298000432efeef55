package peers

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis"
)

// Servers die at random. A server that looks at its pace, or at the time that look
// returned, removes each dead one within the duration of its Lease after its last
// renewal, and none that renews at its pace.
func TestLook(t *testing.T) {
	const duration, step = 15 * time.Second, 100 * time.Millisecond
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		type server struct {
			lease          coordinationv1.Lease
			renewed, phase time.Duration
			dies           time.Duration
		}
		var all []*server
		for i := range 5 {
			s := &server{phase: time.Duration(r.IntN(30)) * step, dies: time.Duration(r.IntN(1200)) * step}
			s.lease.Name, s.lease.Spec.LeaseDurationSeconds = fmt.Sprint("s", i), ptr.To(int32(duration/time.Second))
			all = append(all, s)
		}
		all[0].dies = time.Hour // the server that looks
		start := time.Now()
		seen, gone, looks := map[string]sight(nil), map[string]bool{}, time.Duration(0)
		for now := time.Duration(0); now < 2*time.Minute; now += step {
			for _, s := range all {
				if now < s.dies && now%pace(duration) == s.phase%pace(duration) {
					s.renewed, s.lease.ResourceVersion = now, fmt.Sprint(now)
				}
			}
			if now < looks && now%pace(duration) != all[0].phase {
				continue
			}
			var there []coordinationv1.Lease
			for _, s := range all {
				if s.lease.ResourceVersion != "" && !gone[s.lease.Name] {
					there = append(there, s.lease)
				}
			}
			after, live, dead, next := look(seen, there, "s0", start.Add(now))
			seen, looks = after, next.Sub(start)
			if next.IsZero() {
				looks = time.Hour
			}
			if len(live)+len(dead) != len(there) {
				t.Fatalf("seed %d: %d live and %d dead of %d", seed, len(live), len(dead), len(there))
			}
			for _, l := range dead {
				gone[l.Name] = true
				if i := slices.IndexFunc(all, func(s *server) bool { return s.lease.Name == l.Name }); now < all[i].dies {
					t.Errorf("seed %d: %s is taken for dead at %s and dies at %s", seed, l.Name, now, all[i].dies)
				}
			}
			for _, s := range all {
				if s.lease.ResourceVersion != "" && now >= s.dies && now-s.renewed > duration && !gone[s.lease.Name] {
					t.Errorf("seed %d: %s renewed last at %s and is there at %s", seed, s.lease.Name, s.renewed, now)
				}
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	lease := func(at string) coordinationv1.Lease {
		return coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{apis.AnnotationAdvertise: at}}}
	}
	all := addresses([]coordinationv1.Lease{lease("10.0.0.2:7443"), lease("[fd00::1]:6443"), lease("10.0.0.10:6443"), {}, lease("nonsense"), lease("10.0.0.9:6443"), lease("10.0.0.9:6443")})
	if got, want := fmt.Sprint(byPort(all)), "[[10.0.0.9:6443 10.0.0.10:6443] [10.0.0.2:7443] [[fd00::1]:6443]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var names []string
	for _, s := range endpointSlices(all) {
		names = append(names, s.Name)
	}
	if want := []string{"kubernetes", "kubernetes-ipv4-7443", "kubernetes-ipv6-6443"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if got := subsets([]netip.AddrPort{}); got != nil {
		t.Errorf("got %v of nothing", got)
	}
}

package deployment

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/controllers/internal/golden"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

func TestTranscripts(t *testing.T) {
	for name, play := range scenarios() {
		t.Run(name, func(t *testing.T) {
			golden.Check(t, *rewrite, name, play().log.String())
		})
	}
}

// TestRandomRollouts checks invariant 4 at every step of random rollouts, and
// that they all end complete.
func TestRandomRollouts(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		percent := func() string { return fmt.Sprintf("%d%%", rng.IntN(60)) }
		w := newWorld(int32(rng.IntN(20)), percent(), percent())
		w.settle("")
		for step := range 60 {
			if rng.IntN(12) == 0 {
				w.image(fmt.Sprintf("v%d", rng.IntN(4)))
			}
			before := sum(w.sets, availableOf)
			sizes := sum(w.sets, size)
			w.reconcile()
			surge, unavailable := fenceposts(w.d)
			want := *w.d.Spec.Replicas
			if total := sum(w.sets, size); total > max(sizes, want+surge) {
				t.Fatalf("seed %d step %d: %d pods asked for, at most %d allowed\n%s", seed, step, total, want+surge, &w.log)
			}
			if left := survivors(w.sets); left < min(before, want-unavailable) {
				t.Fatalf("seed %d step %d: %d available pods left, at least %d wanted\n%s", seed, step, left, want-unavailable, &w.log)
			}
			for i, s := range w.sets {
				s = s.DeepCopy()
				w.run(s, int32(rng.IntN(4)), false)
				w.sets[i] = s
			}
			w.now = w.now.Add(time.Second)
		}
		w.settle("")
		if !complete(w.d, w.d.Status) {
			t.Fatalf("seed %d did not complete: %s\n%s", seed, w.state(), &w.log)
		}
		if n := len(w.sets); n > 3 {
			t.Fatalf("seed %d: %d sets left, history has room for 2", seed, n)
		}
	}
}

// survivors counts the pods that stay available if every set takes available
// pods last.
func survivors(sets []*appsv1.ReplicaSet) int32 {
	n := int32(0)
	for _, s := range sets {
		n += min(s.Status.AvailableReplicas, size(s))
	}
	return n
}

func TestPlanIsStable(t *testing.T) {
	w := newWorld(5, "1", "1")
	w.settle("")
	p := plan(Observed{Deployment: w.d, Sets: w.sets}, w.now)
	if p.Create != nil || len(p.Change)+len(p.Delete)+len(p.Events) > 0 || p.Revision != "" || p.RequeueAfter != 0 {
		t.Errorf("a complete Deployment still has a plan: %+v", p)
	}
	if diff := cmp.Diff(w.d.Status, p.Status); diff != "" {
		t.Errorf("status changes without a reason:\n%s", diff)
	}
}

func TestPlanDoesNotChangeItsInput(t *testing.T) {
	w := newWorld(5, "1", "1")
	w.settle("")
	w.image("v2")
	w.scale(8)
	d, set := w.d.DeepCopy(), w.sets[0].DeepCopy()
	plan(Observed{Deployment: w.d, Sets: w.sets}, w.now)
	if diff := cmp.Diff(d, w.d) + cmp.Diff(set, w.sets[0]); diff != "" {
		t.Errorf("cached objects were changed:\n%s", diff)
	}
}

func TestFenceposts(t *testing.T) {
	for _, tc := range []struct {
		replicas           int32
		surge, unavailable string
		wantS, wantU       int32
	}{
		{10, "25%", "25%", 3, 2},
		{1, "25%", "25%", 1, 0},
		{10, "0", "0", 0, 1},
		{10, "0%", "5%", 0, 1},
		{3, "1", "10", 1, 3},
		{0, "25%", "25%", 0, 0},
	} {
		w := newWorld(tc.replicas, tc.surge, tc.unavailable)
		if s, u := fenceposts(w.d); s != tc.wantS || u != tc.wantU {
			t.Errorf("%d replicas, %s, %s: got %d, %d; want %d, %d", tc.replicas, tc.surge, tc.unavailable, s, u, tc.wantS, tc.wantU)
		}
	}
}

func TestTemplateHash(t *testing.T) {
	w := newWorld(1, "1", "1")
	a := templateHash(&w.d.Spec.Template, nil)
	if b := templateHash(w.d.Spec.Template.DeepCopy(), nil); a != b {
		t.Errorf("equal templates have hashes %s and %s", a, b)
	}
	if b := templateHash(&w.d.Spec.Template, ptr.To[int32](1)); a == b {
		t.Errorf("a collision changes nothing about hash %s", a)
	}
	// Changing how it is computed would start a rollout of every Deployment.
	if a != "b7d8f54bd" {
		t.Errorf("hash of a fixed template is %s", a)
	}
	long := strings.Repeat("a", 253)
	if n := setName(long, a); len(n) > 253 || !strings.HasSuffix(n, "-"+a) {
		t.Errorf("name %q of %d characters", n, len(n))
	}
}

func TestAppendHistory(t *testing.T) {
	if got := appendHistory("", "1"); got != "1" {
		t.Errorf("got %q", got)
	}
	if got := appendHistory("1,3", "5"); got != "1,3,5" {
		t.Errorf("got %q", got)
	}
	full := strings.TrimSuffix(strings.Repeat("123456789,", 200), ",")
	got := appendHistory(full, "1000000000")
	if len(got) > historyLength || !strings.HasSuffix(got, ",1000000000") {
		t.Errorf("history of %d characters", len(got))
	}
}

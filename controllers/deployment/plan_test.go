package deployment

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// world plays API server, ReplicaSet controller and nodes for one Deployment.
type world struct {
	now  time.Time
	d    *appsv1.Deployment
	sets []*appsv1.ReplicaSet
	next int
	log  strings.Builder
	// names gives sets short names in transcripts, in the order of creation.
	names map[string]string
}

func newWorld(replicas int32, surge, unavailable string) *world {
	parse := intstr.Parse
	s, u := parse(surge), parse(unavailable)
	return &world{
		now:   time.Unix(1_700_000_000, 0).UTC(),
		names: map[string]string{},
		d: &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "d", Generation: 1},
			Spec: appsv1.DeploymentSpec{
				Replicas:                &replicas,
				Selector:                &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				RevisionHistoryLimit:    ptr.To[int32](2),
				ProgressDeadlineSeconds: ptr.To[int32](600),
				Strategy: appsv1.DeploymentStrategy{
					Type:          appsv1.RollingUpdateDeploymentStrategyType,
					RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &s, MaxUnavailable: &u},
				},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}},
				},
			},
		},
	}
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(&w.log, format+"\n", args...) }

func (w *world) edit(what string, f func(*appsv1.Deployment)) {
	f(w.d)
	w.d.Generation++
	w.say("user: %s", what)
}

func (w *world) image(v string) {
	w.edit("image "+v, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = v })
}

func (w *world) scale(n int32) {
	w.edit(fmt.Sprintf("replicas %d", n), func(d *appsv1.Deployment) { d.Spec.Replicas = &n })
}

// reconcile makes and carries out one plan, and reports whether it did anything.
func (w *world) reconcile() bool {
	p := MakePlan(Observed{Deployment: w.d, Sets: w.sets}, w.now)
	did := p.Create != nil || len(p.Change) > 0 || len(p.Delete) > 0
	if p.Create != nil {
		s := p.Create.DeepCopy()
		w.next++
		s.UID, s.Generation = types.UID(fmt.Sprint(w.next)), 1
		s.CreationTimestamp = metav1.NewTime(w.now)
		w.names[s.Name] = fmt.Sprintf("set%d", w.next)
		w.sets = append(w.sets, s)
		w.say("  create %s (%s) with %d", w.names[s.Name], s.Spec.Template.Spec.Containers[0].Image, size(s))
	}
	for _, c := range p.Change {
		for i, s := range w.sets {
			if s.UID == c.Set.UID {
				w.sets[i] = w.patched(s, c)
			}
		}
	}
	for _, gone := range p.Delete {
		w.say("  delete %s", w.names[gone.Name])
		for i, s := range w.sets {
			if s.UID == gone.UID {
				w.sets = append(w.sets[:i:i], w.sets[i+1:]...)
				break
			}
		}
	}
	if p.Revision != "" {
		w.d.Annotations = map[string]string{annotationRevision: p.Revision}
		w.say("  revision %s", p.Revision)
	}
	w.d.Status = p.Status
	return did
}

func (w *world) patched(s *appsv1.ReplicaSet, c Change) *appsv1.ReplicaSet {
	out := s.DeepCopy()
	for k, v := range c.Annotations {
		annotate(out, map[string]string{k: v})
	}
	if c.Replicas != nil {
		w.say("  scale %s %d -> %d", w.names[s.Name], size(s), *c.Replicas)
		out.Spec.Replicas = c.Replicas
		out.Generation++
	}
	if c.MinReadySeconds != nil {
		out.Spec.MinReadySeconds = *c.MinReadySeconds
	}
	return out
}

// run lets the pods of a set appear, become ready or end, at most n of them.
func (w *world) run(s *appsv1.ReplicaSet, n int32, broken bool) {
	st := &s.Status
	st.ObservedGeneration = s.Generation
	if st.Replicas < size(s) {
		st.Replicas = min(size(s), st.Replicas+n)
	} else if st.Replicas > size(s) {
		gone := min(n, st.Replicas-size(s))
		st.Replicas -= gone
		unready := st.Replicas + gone - st.AvailableReplicas
		st.AvailableReplicas -= max(0, gone-unready)
		st.TerminatingReplicas = ptr.To(terminatingOf(s) + gone)
	} else if t := terminatingOf(s); t > 0 {
		st.TerminatingReplicas = ptr.To(max(0, t-n))
	}
	if !broken {
		st.AvailableReplicas = min(st.Replicas, st.AvailableReplicas+n)
	}
	st.ReadyReplicas = st.AvailableReplicas
}

func (w *world) settle(broken string) {
	for range 200 {
		did := w.reconcile()
		before := w.snapshot()
		for i, s := range w.sets {
			s = s.DeepCopy()
			w.run(s, 2, s.Spec.Template.Spec.Containers[0].Image == broken)
			w.sets[i] = s
		}
		w.now = w.now.Add(time.Second)
		if !did && before == w.snapshot() && !w.reconcile() {
			break
		}
	}
	w.say("  = %s", w.state())
}

func (w *world) snapshot() string {
	var b strings.Builder
	for _, s := range w.sets {
		fmt.Fprintf(&b, "%s %d/%d/%d/%d ", s.Name, size(s), s.Status.Replicas, s.Status.AvailableReplicas, terminatingOf(s))
	}
	return b.String()
}

func (w *world) state() string {
	st := w.d.Status
	out := fmt.Sprintf("replicas %d updated %d available %d unavailable %d", st.Replicas, st.UpdatedReplicas, st.AvailableReplicas, st.UnavailableReplicas)
	for _, t := range []appsv1.DeploymentConditionType{appsv1.DeploymentAvailable, appsv1.DeploymentProgressing} {
		for _, c := range st.Conditions {
			if c.Type == t {
				out += fmt.Sprintf("; %s=%s %s", c.Type, c.Status, c.Reason)
			}
		}
	}
	return out
}

func TestTranscripts(t *testing.T) {
	for name, play := range map[string]func() *world{
		"rolling-update": func() *world {
			w := newWorld(10, "25%", "25%")
			w.settle("")
			w.image("v2")
			w.settle("")
			return w
		},
		"rollover": func() *world {
			w := newWorld(6, "1", "1")
			w.settle("")
			w.image("v2")
			w.reconcile()
			w.reconcile()
			w.image("v3")
			w.settle("")
			return w
		},
		"scale-during-rollout": func() *world {
			w := newWorld(10, "3", "2")
			w.settle("")
			w.image("broken")
			w.settle("broken")
			w.scale(15)
			w.settle("broken")
			w.scale(5)
			w.settle("broken")
			w.scale(0)
			w.settle("broken")
			return w
		},
		"rollback-and-history": func() *world {
			w := newWorld(2, "1", "0")
			w.settle("")
			for _, v := range []string{"v2", "v3", "v1", "v4", "v5", "v6"} {
				w.image(v)
				w.settle("")
				if v == "v1" {
					w.say("set1 revision %s history %q", w.sets[0].Annotations[annotationRevision], w.sets[0].Annotations[annotationRevisionHistory])
				}
			}
			for _, s := range w.sets {
				w.say("%s revision %s history %q", w.names[s.Name], s.Annotations[annotationRevision], s.Annotations[annotationRevisionHistory])
			}
			return w
		},
		"recreate": func() *world {
			w := newWorld(4, "0", "0")
			w.d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
			w.settle("")
			w.image("v2")
			w.settle("")
			w.scale(6)
			w.settle("")
			return w
		},
		"pause": func() *world {
			w := newWorld(3, "1", "1")
			w.settle("")
			w.edit("pause", func(d *appsv1.Deployment) { d.Spec.Paused = true })
			w.image("v2")
			w.settle("")
			w.scale(5)
			w.settle("")
			w.edit("resume", func(d *appsv1.Deployment) { d.Spec.Paused = false })
			w.settle("")
			return w
		},
		"deadline": func() *world {
			w := newWorld(3, "1", "1")
			w.settle("")
			w.image("broken")
			w.settle("broken")
			w.now = w.now.Add(601 * time.Second)
			w.settle("broken")
			w.image("v3")
			w.settle("broken")
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := play().log.String()
			file := filepath.Join("testdata", name+".golden")
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("transcript differs (-want +got); after a review run with -rewrite:\n%s", diff)
			}
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
	p := MakePlan(Observed{Deployment: w.d, Sets: w.sets}, w.now)
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
	MakePlan(Observed{Deployment: w.d, Sets: w.sets}, w.now)
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

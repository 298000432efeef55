package daemonset

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
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

// TestRandomLives checks invariants 3 and 4 at every step of random lives, and
// that they all end with one current pod on every node that fits.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		surge, unavailable := "0", fmt.Sprint(1+rng.IntN(3))
		if rng.IntN(2) == 0 {
			surge, unavailable = fmt.Sprint(1+rng.IntN(3)), "0"
		}
		w := newWorld(1+rng.IntN(6), surge, unavailable)
		w.settle()
		for step := range 60 {
			if rng.IntN(10) == 0 {
				w.image(fmt.Sprintf("v%d", rng.IntN(3)))
			}
			if rng.IntN(20) == 0 {
				w.taint(rng.IntN(len(w.nodes)), []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute, corev1.TaintEffectPreferNoSchedule}[rng.IntN(3)])
			}
			checkUpdate(t, w, seed, step)
			w.reconcile()
			if rng.IntN(3) > 0 {
				w.run()
			}
			w.now = w.now.Add(time.Second)
		}
		w.settle()
		s := w.set.Status
		if s.UpdatedNumberScheduled != s.DesiredNumberScheduled || s.NumberAvailable != s.DesiredNumberScheduled || len(w.pods) != int(s.DesiredNumberScheduled+s.NumberMisscheduled) {
			t.Fatalf("seed %d did not complete:\n%s", seed, &w.log)
		}
		if limit := 1 + min(1, len(surge)*int(surge[0]-'0')); w.most > limit {
			t.Fatalf("seed %d: %d pods on a node:\n%s", seed, w.most, &w.log)
		}
	}
}

func checkUpdate(t *testing.T, w *world, seed uint64, step int) {
	t.Helper()
	p := newPlanner(w.observed(), w.now)
	fit := map[string]bool{}
	for _, pl := range p.places {
		fit[pl.name] = pl.Run
	}
	surge, unavailable := p.limits(p.wanted)
	available, taken := 0, 0
	for _, pod := range w.pods {
		if pod.DeletionTimestamp == nil && fit[nodeOf(pod)] && podapi.IsReady(pod) {
			available++
		}
	}
	next := plan(w.observed(), w.now)
	for _, pod := range next.Delete {
		if fit[nodeOf(pod)] && podapi.IsReady(pod) {
			taken++
		}
	}
	if surge == 0 && taken > 0 && available-taken < p.wanted-unavailable {
		t.Fatalf("seed %d step %d: %d of %d available, %d taken away\n%s", seed, step, available, p.wanted, taken, &w.log)
	}
}

func TestJudge(t *testing.T) {
	node := func(taints ...corev1.Taint) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"disk": "ssd"}}, Spec: corev1.NodeSpec{Taints: taints}}
	}
	taint := func(key string, e corev1.TaintEffect) corev1.Taint { return corev1.Taint{Key: key, Effect: e} }
	run, stay, no := Verdict{true, true}, Verdict{false, true}, Verdict{}
	for _, tc := range []struct {
		name string
		spec corev1.PodSpec
		node *corev1.Node
		want Verdict
	}{
		{"any", corev1.PodSpec{}, node(), run},
		{"its name", corev1.PodSpec{NodeName: "n"}, node(), run},
		{"another's name", corev1.PodSpec{NodeName: "m"}, node(), no},
		{"selected", corev1.PodSpec{NodeSelector: map[string]string{"disk": "ssd"}}, node(), run},
		{"not selected", corev1.PodSpec{NodeSelector: map[string]string{"disk": "hdd"}}, node(), no},
		{"NoSchedule", corev1.PodSpec{}, node(taint("k", corev1.TaintEffectNoSchedule)), stay},
		{"NoExecute", corev1.PodSpec{}, node(taint("k", corev1.TaintEffectNoExecute)), no},
		{"PreferNoSchedule", corev1.PodSpec{}, node(taint("k", corev1.TaintEffectPreferNoSchedule)), run},
		{"tolerated", corev1.PodSpec{Tolerations: []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}}}, node(taint("k", corev1.TaintEffectNoExecute)), run},
		{"not ready", corev1.PodSpec{}, node(taint(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute)), run},
		{"not ready, NoSchedule", corev1.PodSpec{}, node(taint(corev1.TaintNodeNotReady, corev1.TaintEffectNoSchedule)), stay},
		{"cordoned", corev1.PodSpec{}, node(taint(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule)), run},
		{"without network", corev1.PodSpec{}, node(taint(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)), stay},
		{"without network, but on the host's", corev1.PodSpec{HostNetwork: true}, node(taint(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule)), run},
	} {
		set := &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: tc.spec}}}
		if got := newJudge(set).judge(tc.node); got != tc.want {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

func TestNewPodIsPinnedToItsNode(t *testing.T) {
	w := newWorld(1, "0", "1")
	preferred := []corev1.PreferredSchedulingTerm{{Weight: 1}}
	w.set.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: preferred,
		RequiredDuringSchedulingIgnoredDuringExecution:  &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}, {}}},
	}}
	seconds := int64(5)
	w.set.Spec.Template.Spec.Tolerations = []corev1.Toleration{{Key: corev1.TaintNodeNotReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds}}
	p := newPod(w.set, "h", "n7")
	if nodeOf(p) != "n7" || !cmp.Equal(p.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution, preferred) {
		t.Errorf("affinity %+v", p.Spec.Affinity)
	}
	if len(p.Spec.Tolerations) != 6 || p.Spec.Tolerations[0].TolerationSeconds != nil {
		t.Errorf("tolerations %+v", p.Spec.Tolerations)
	}
	if p.GenerateName != "agent-" || p.Labels["controller-revision-hash"] != "h" || !metav1.IsControlledBy(p, w.set) {
		t.Errorf("metadata %+v", p.ObjectMeta)
	}
	if len(w.set.Spec.Template.Labels) != 1 || *w.set.Spec.Template.Spec.Tolerations[0].TolerationSeconds != 5 {
		t.Error("the template was changed")
	}
}

func TestTemplateGeneration(t *testing.T) {
	w := newWorld(1, "0", "1")
	w.set.Annotations = map[string]string{appsv1.DeprecatedTemplateGeneration: "7"}
	p := newPod(w.set, "h", "n1")
	if got := p.Labels["pod-template-generation"]; got != "7" {
		t.Errorf("generation %q", got)
	}
	for name, want := range map[string]bool{"7": true, "6": false} {
		p.Labels["pod-template-generation"] = name
		if got := newPlanner(Observed{Set: w.set, Hash: "another"}, w.now).current(p); got != want {
			t.Errorf("a pod of generation %s is current: %t", name, got)
		}
	}
	w.set.Annotations[appsv1.DeprecatedTemplateGeneration] = "many"
	if _, ok := newPod(w.set, "h", "n1").Labels["pod-template-generation"]; ok {
		t.Error("a generation that is no number became a label")
	}
}

func TestAnUnsettledSetOnlyReports(t *testing.T) {
	o := newWorld(3, "0", "1").observed()
	o.Settled = false
	p := plan(o, time.Unix(1, 0))
	if len(p.Create) != 0 || p.Status.DesiredNumberScheduled != 3 || p.Status.ObservedGeneration != 0 {
		t.Errorf("%+v", p)
	}
	o.Settled = true
	if p = plan(o, time.Unix(1, 0)); len(p.Create) != 3 || p.Status.ObservedGeneration != 1 {
		t.Errorf("%+v", p)
	}
	o.Set.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(1, 0)))
	if p = plan(o, time.Unix(1, 0)); len(p.Create) != 0 {
		t.Errorf("%+v", p)
	}
}

// BenchmarkPlan is a look at 5,000 nodes with a pod each.
func BenchmarkPlan(b *testing.B) {
	w := newWorld(5000, "0", "10%")
	for range 25 {
		w.reconcile()
		w.run()
		w.run()
		w.run()
	}
	o := w.observed()
	for b.Loop() {
		plan(o, w.now)
	}
}

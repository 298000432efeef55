package replicas

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var now = time.Unix(1_700_000_000, 0)

type podOption func(*corev1.Pod)

func pod(name string, opts ...podOption) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{"app": "a"}, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Spec:       corev1.PodSpec{NodeName: "n"},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	ready(time.Hour)(p)
	for _, o := range opts {
		o(p)
	}
	return p
}

func ready(ago time.Duration) podOption {
	return func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-ago))}}
	}
}
func unready(p *corev1.Pod)              { p.Status.Conditions = nil }
func phase(ph corev1.PodPhase) podOption { return func(p *corev1.Pod) { p.Status.Phase = ph } }
func on(node string) podOption           { return func(p *corev1.Pod) { p.Spec.NodeName = node } }
func deleted(p *corev1.Pod)              { p.DeletionTimestamp = ptr.To(metav1.NewTime(now)) }
func label(k, v string) podOption {
	return func(p *corev1.Pod) { p.Labels = map[string]string{"app": "a", k: v} }
}
func age(d time.Duration) podOption {
	return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(now.Add(-d)) }
}
func cost(c string) podOption {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.PodDeletionCost: c} }
}
func restarts(n int32) podOption {
	return func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: n}} }
}

func set(replicas int32) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "u", Generation: 3},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a", "tier": "t"}, Annotations: map[string]string{"x": "y"}, Finalizers: []string{"f/f"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
			},
		},
	}
}

func TestPlan(t *testing.T) {
	gone := set(5)
	gone.DeletionTimestamp = ptr.To(metav1.NewTime(now))
	for _, tc := range []struct {
		name   string
		o      Observed
		create int
		delete []string
	}{
		{"enough", Observed{Set: set(1), Pods: []*corev1.Pod{pod("a")}, Settled: true}, 0, nil},
		{"too few", Observed{Set: set(3), Pods: []*corev1.Pod{pod("a")}, Settled: true}, 2, nil},
		{"finished and terminating ones do not count", Observed{Set: set(3), Pods: []*corev1.Pod{pod("a"), pod("b", deleted), pod("c", phase(corev1.PodFailed))}, Settled: true}, 2, nil},
		{"too many", Observed{Set: set(1), Pods: []*corev1.Pod{pod("a"), pod("b", unready)}, Settled: true}, 0, []string{"b"}},
		{"the cache is behind", Observed{Set: set(3)}, 0, nil},
		{"it is being deleted", Observed{Set: gone, Settled: true}, 0, nil},
		{"very many", Observed{Set: set(5000), Settled: true}, Burst, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := plan(tc.o, now)
			var names []string
			for _, v := range p.Delete {
				names = append(names, v.Name)
			}
			if p.Create != tc.create || !cmp.Equal(names, tc.delete) {
				t.Errorf("create %d, delete %v; want %d, %v", p.Create, names, tc.create, tc.delete)
			}
		})
	}
}

// TestVictimOrder has for each rule a pod that goes and one that only a later
// rule would take first.
func TestVictimOrder(t *testing.T) {
	for _, tc := range []struct {
		name          string
		goes, stays   *corev1.Pod
		neighbourhood []*corev1.Pod
	}{
		{"without a node", pod("z", on(""), age(time.Hour)), pod("a", phase(corev1.PodPending), unready, age(time.Second)), nil},
		{"pending before unknown", pod("z", phase(corev1.PodPending)), pod("a", phase(corev1.PodUnknown), unready), nil},
		{"unknown before running", pod("z", phase(corev1.PodUnknown)), pod("a", unready), nil},
		{"not ready", pod("z", unready, cost("10")), pod("a", cost("-10")), nil},
		{"cheaper", pod("z", cost("-1")), pod("a", restarts(5), ready(time.Second)), nil},
		{"doubled up", pod("z", on("m")), pod("a", ready(time.Second)), []*corev1.Pod{pod("x", on("m")), pod("y", on("m")), pod("w", on("n"))}},
		{"ready for a shorter time", pod("z", ready(time.Minute)), pod("a", restarts(5)), nil},
		{"restarted more", pod("z", restarts(3)), pod("a", restarts(2), age(time.Second)), nil},
		{"younger", pod("z", age(time.Minute)), pod("a"), nil},
		{"of about the same age: by UID", pod("a", age(time.Hour)), pod("z", age(time.Hour-time.Second)), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, pods := range [][]*corev1.Pod{{tc.goes, tc.stays}, {tc.stays, tc.goes}} {
				if got := Victims(pods, tc.neighbourhood, 1, now); got[0] != tc.goes {
					t.Errorf("victim is %s", got[0].Name)
				}
			}
		})
	}
}

// TestVictimsAgainstOracle compares the sort with picking, n times over, the
// pod before which no other has to go.
func TestVictimsAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		var pods []*corev1.Pod
		for i := range 1 + rng.IntN(12) {
			pods = append(pods, randomPod(rng, fmt.Sprintf("p%02d", i)))
		}
		n := rng.IntN(len(pods))
		got := Victims(pods, pods, n, now)
		left := append([]*corev1.Pod(nil), pods...)
		for i := range n {
			best := 0
			for j := range left {
				if oracleBefore(left[j], left[best], pods) {
					best = j
				}
			}
			if got[i] != left[best] {
				t.Fatalf("victim %d is %s, the oracle takes %s", i, got[i].Name, left[best].Name)
			}
			left = append(left[:best], left[best+1:]...)
		}
	}
}

func randomPod(rng *rand.Rand, name string) *corev1.Pod {
	p := pod(name, on(fmt.Sprint(rng.IntN(4))), restarts(int32(rng.IntN(2))), age(time.Duration(1+rng.IntN(5000))*time.Second), cost(fmt.Sprint(rng.IntN(2))))
	if rng.IntN(5) == 0 {
		on("")(p)
	}
	p.Status.Phase = []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodRunning, corev1.PodUnknown}[rng.IntN(4)]
	if ready(time.Duration(1+rng.IntN(5000)) * time.Second)(p); rng.IntN(3) == 0 {
		unready(p)
	}
	return p
}

// oracleBefore applies the documented rules one by one.
func oracleBefore(a, b *corev1.Pod, all []*corev1.Pod) bool {
	rank := func(p *corev1.Pod) []int {
		bool2int := func(v bool) int {
			if v {
				return 0
			}
			return 1
		}
		bits := func(d time.Duration) int {
			n := 0
			for ; d > 1; d /= 2 {
				n++
			}
			return n
		}
		neighbours, isReady, readyFor := 0, len(p.Status.Conditions) > 0, 0
		for _, q := range all {
			if p.Spec.NodeName != "" && q.Spec.NodeName == p.Spec.NodeName {
				neighbours++
			}
		}
		if isReady {
			readyFor = bits(now.Sub(p.Status.Conditions[0].LastTransitionTime.Time))
		}
		var c int
		_, _ = fmt.Sscan(p.Annotations[corev1.PodDeletionCost], &c)
		phases := map[corev1.PodPhase]int{corev1.PodPending: 0, corev1.PodUnknown: 1, corev1.PodRunning: 2}
		return []int{
			bool2int(p.Spec.NodeName == ""), phases[p.Status.Phase], bool2int(!isReady), c, -neighbours,
			readyFor, -int(p.Status.ContainerStatuses[0].RestartCount), bits(now.Sub(p.CreationTimestamp.Time)),
		}
	}
	ra, rb := rank(a), rank(b)
	for i := range ra {
		if ra[i] != rb[i] {
			return ra[i] < rb[i]
		}
	}
	return a.UID < b.UID
}

func TestMakeStatus(t *testing.T) {
	s := set(4)
	s.Spec.MinReadySeconds = 30
	got, again := MakeStatus(Observed{Set: s, Pods: []*corev1.Pod{
		pod("ready"),
		pod("full", label("tier", "t"), ready(10*time.Second)),
		pod("unready", unready),
		pod("terminating", deleted),
		pod("failed", phase(corev1.PodFailed)),
	}}, nil, now)
	want := appsv1.ReplicaSetStatus{
		Replicas: 3, FullyLabeledReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 1,
		TerminatingReplicas: ptr.To[int32](1), ObservedGeneration: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again != 20*time.Second {
		t.Errorf("look again after %v, want 20s", again)
	}
}

func TestFailureConditionComesAndGoes(t *testing.T) {
	s := set(2)
	o := Observed{Set: s, Pods: nil}
	s.Status, _ = MakeStatus(o, errors.New("quota exceeded"), now)
	want := []appsv1.ReplicaSetCondition{{
		Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate",
		Message: "quota exceeded", LastTransitionTime: metav1.NewTime(now),
	}}
	if diff := cmp.Diff(want, s.Status.Conditions); diff != "" {
		t.Error(diff)
	}
	again, _ := MakeStatus(o, errors.New("quota exceeded, again"), now.Add(time.Hour))
	if StatusChanged(s, again) {
		t.Errorf("a repeated failure changes the status: %v", again)
	}
	fine, _ := MakeStatus(o, nil, now)
	if len(fine.Conditions) != 0 {
		t.Errorf("the condition stays: %v", fine.Conditions)
	}
	s = set(0)
	surplus, _ := MakeStatus(Observed{Set: s, Pods: []*corev1.Pod{pod("a")}}, errors.New("no"), now)
	if surplus.Conditions[0].Reason != "FailedDelete" {
		t.Errorf("reason %s", surplus.Conditions[0].Reason)
	}
}

package defaultpreemption

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/cache"
)

// scale is a node that holds so much, and pods that weigh something.
type scale struct {
	free    int
	need    int
	weights map[string]int
}

func (s *scale) add(p fwk.PodInfo) error    { s.free -= s.weights[p.GetPod().Name]; return nil }
func (s *scale) remove(p fwk.PodInfo) error { s.free += s.weights[p.GetPod().Name]; return nil }
func (s *scale) fits() *fwk.Status {
	if s.need <= s.free {
		return nil
	}
	return fwk.NewStatus(fwk.Unschedulable, "Insufficient cpu")
}

func pod(name string, priority int32, started int) *v1.Pod {
	at := metav1.NewTime(time.Unix(int64(started), 0))
	return &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PodSpec{Priority: &priority}, Status: v1.PodStatus{StartTime: &at}}
}

// TestSelectVictimsAgainstOracle: the right set keeps the lexicographically
// best set of pods: keep the most important if any way to fit has it kept, then
// the next, and so on. The oracle tries all subsets.
func TestSelectVictimsAgainstOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	outcomes := map[string]int{}
	for range 3000 {
		s := &scale{free: r.IntN(3), need: 1 + r.IntN(12), weights: map[string]int{}}
		var pods []fwk.PodInfo
		var lower []*v1.Pod
		for i := range r.IntN(7) {
			p := pod(fmt.Sprint(i), int32(r.IntN(4)), r.IntN(5))
			s.weights[p.Name] = 1 + r.IntN(5)
			pi, _ := cache.NewPodInfo(p)
			pods = append(pods, pi)
			if *p.Spec.Priority < 3 {
				lower = append(lower, p)
			}
		}
		slices.SortStableFunc(lower, byImportance)
		want, possible := oracle(lower, s)
		got, _, status := selectVictims(3, pods, nil, func() trial { return s })
		switch {
		case len(lower) == 0:
			outcomes["none"]++
			if status.Message() != ErrNoVictims {
				t.Fatalf("no victims: got %v", status)
			}
		case !possible:
			outcomes["impossible"]++
			if status.Message() != "Insufficient cpu" {
				t.Fatalf("impossible: got %v", status)
			}
		default:
			outcomes["possible"]++
			if !status.IsSuccess() || !slices.Equal(names(got), names(want)) {
				t.Fatalf("got %v %v, want %v", names(got), status, names(want))
			}
		}
	}
	if len(outcomes) != 3 {
		t.Errorf("not all outcomes were tested: %v", outcomes)
	}
}

func oracle(lower []*v1.Pod, s *scale) (victims []*v1.Pod, possible bool) {
	best := -1
	for kept := range 1 << len(lower) {
		free := s.free
		rank := 0 // the first pod is the highest bit
		for i, p := range lower {
			if kept&(1<<i) != 0 {
				rank |= 1 << (len(lower) - i)
			} else {
				free += s.weights[p.Name]
			}
		}
		if s.need > free || rank <= best {
			continue
		}
		best, victims = rank, nil
		for i, p := range lower {
			if kept&(1<<i) == 0 {
				victims = append(victims, p)
			}
		}
	}
	return victims, best >= 0
}

func names(pods []*v1.Pod) []string {
	out := []string{}
	for _, p := range pods {
		out = append(out, p.Name)
	}
	return out
}

func TestPick(t *testing.T) {
	for name, c := range map[string]struct{ better, worse []*v1.Pod }{
		"lowest highest priority": {[]*v1.Pod{pod("a", 5, 0), pod("b", 5, 0), pod("c", 5, 0)}, []*v1.Pod{pod("d", 6, 9)}},
		"lowest sum":              {[]*v1.Pod{pod("a", 5, 0), pod("b", 1, 0)}, []*v1.Pod{pod("c", 5, 0), pod("d", 2, 0)}},
		"fewest":                  {[]*v1.Pod{pod("a", 5, 0)}, []*v1.Pod{pod("b", 5, 0), pod("c", -2147483648, 0)}},
		"started last":            {[]*v1.Pod{pod("a", 5, 9)}, []*v1.Pod{pod("b", 5, 3)}},
	} {
		better, worse := candidate{"better", c.better, 0}, candidate{"worse", c.worse, 0}
		if got := pick([]candidate{better, worse}).node; got != "better" {
			t.Errorf("%s: picked %s", name, got)
		}
		if got := pick([]candidate{worse, better}).node; got != "better" {
			t.Errorf("%s: picked %s when it came last", name, got)
		}
	}
}

// TestBudgetsAreSpared: of four pods of which one has to go, it is the least
// important that its budget does not protect; and a node without violations is
// the better one whatever its victims.
func TestBudgetsAreSpared(t *testing.T) {
	s := &scale{free: 0, need: 1, weights: map[string]int{}}
	var pods []fwk.PodInfo
	for i := range 4 {
		p := pod(fmt.Sprint(i), int32(i), 0)
		p.Namespace, p.Labels = "ns", map[string]string{"app": "a"}
		s.weights[p.Name] = 1
		pi, _ := cache.NewPodInfo(p)
		pods = append(pods, pi)
	}
	protect := func(allowed int32, granted ...string) []budget {
		b := policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "ns"}}
		b.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "a"}}
		b.Status.DisruptionsAllowed, b.Status.DisruptedPods = allowed, map[string]metav1.Time{}
		for _, g := range granted {
			b.Status.DisruptedPods[g] = metav1.Time{}
		}
		out, err := budgetsOf([]policyv1.PodDisruptionBudget{b, {Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{}}}})
		if err != nil || len(out) != 1 {
			t.Fatal(out, err)
		}
		return out
	}
	for _, tc := range []struct {
		name       string
		budgets    []budget
		victim     string
		violations int
	}{
		{"no budget", nil, "0", 0},
		{"none may go", protect(0), "0", 1},
		{"the two most important may go", protect(2), "2", 0},
		{"one may go anyway", protect(0, "3"), "3", 0},
	} {
		got, violations, status := selectVictims(9, pods, tc.budgets, func() trial { return s })
		if !status.IsSuccess() || !slices.Equal(names(got), []string{tc.victim}) || violations != tc.violations {
			t.Errorf("%s: %v, %d violations, %v", tc.name, names(got), violations, status)
		}
		s.free = 0
	}
	violating, fine := candidate{"violating", []*v1.Pod{pod("a", 0, 0)}, 1}, candidate{"fine", []*v1.Pod{pod("b", 8, 0)}, 0}
	if got := pick([]candidate{violating, fine}); got.node != "fine" {
		t.Errorf("picked %s", got.node)
	}
}

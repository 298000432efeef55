package replicas

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// candidate is a pod with everything its rank depends on, computed once: a
// comparison is then a handful of integers.
type candidate struct {
	pod          *corev1.Pod
	unassigned   bool
	phase        int
	ready        bool
	cost         int32
	neighbours   int
	readyFor     int64
	restarts     int32
	initRestarts int32
	age          int64
}

// Victims returns n of the pods, the least missed first: pods without a node,
// not yet running, not ready, of low pod-deletion-cost, doubled up on a node
// with related pods, ready for a shorter time, restarted more often, younger.
// Times count by their order of magnitude, so that among pods of about the
// same age the choice falls on any of them (by UID) and not always on the
// newest, which may all be on the nodes that were added last.
//
// Documented at https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-down-a-replicaset.
func Victims(pods, related []*corev1.Pod, n int, now time.Time) []*corev1.Pod {
	if n >= len(pods) {
		return pods
	}
	perNode := map[string]int{}
	for _, p := range related {
		if podapi.IsActive(p) && p.Spec.NodeName != "" {
			perNode[p.Spec.NodeName]++
		}
	}
	candidates := make([]candidate, len(pods))
	for i, p := range pods {
		candidates[i] = newCandidate(p, perNode, now)
	}
	slices.SortFunc(candidates, compareCandidates)
	victims := make([]*corev1.Pod, n)
	for i := range victims {
		victims[i] = candidates[i].pod
	}
	return victims
}

func newCandidate(p *corev1.Pod, perNode map[string]int, now time.Time) candidate {
	c := candidate{
		pod:        p,
		unassigned: p.Spec.NodeName == "",
		ready:      podapi.IsReady(p),
		cost:       deletionCost(p),
		neighbours: perNode[p.Spec.NodeName],
		age:        magnitude(p.CreationTimestamp.Time, now),
	}
	switch p.Status.Phase {
	case corev1.PodUnknown:
		c.phase = 1
	case corev1.PodRunning:
		c.phase = 2
	}
	if since, ok := podapi.ReadySince(p); ok {
		c.readyFor = magnitude(since, now)
	}
	for i := range p.Status.ContainerStatuses {
		c.restarts = max(c.restarts, p.Status.ContainerStatuses[i].RestartCount)
	}
	for i := range p.Status.InitContainerStatuses {
		c.initRestarts = max(c.initRestarts, p.Status.InitContainerStatuses[i].RestartCount)
	}
	return c
}

// compareCandidates returns a negative number when a should go before b.
func compareCandidates(a, b candidate) int {
	return cmp.Or(
		first(a.unassigned, b.unassigned),
		cmp.Compare(a.phase, b.phase),
		first(!a.ready, !b.ready),
		cmp.Compare(a.cost, b.cost),
		-cmp.Compare(a.neighbours, b.neighbours),
		cmp.Compare(a.readyFor, b.readyFor),
		-cmp.Compare(a.restarts, b.restarts),
		-cmp.Compare(a.initRestarts, b.initRestarts),
		cmp.Compare(a.age, b.age),
		cmp.Compare(a.pod.UID, b.pod.UID),
	)
}

func first(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	default:
		return 0
	}
}

// magnitude returns the binary order of magnitude of the time since t, -1 when
// it is unknown or not in the past.
func magnitude(t, now time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	d := now.Sub(t)
	if d <= 0 {
		return -1
	}
	return int64(math.Log2(float64(d)))
}

// deletionCost reads the pod-deletion-cost annotation; one that does not parse
// counts as 0 (the API server rejects them, but old objects may have them).
func deletionCost(p *corev1.Pod) int32 {
	v, ok := p.Annotations[corev1.PodDeletionCost]
	if !ok {
		return 0
	}
	cost, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return 0
	}
	return int32(cost)
}

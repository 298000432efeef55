package admission

import (
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// Ledger keeps what the pods of a node hold of its resources. It is safe for concurrent use, and
// its zero value is ready for use.
type Ledger struct {
	mu     sync.Mutex
	shares map[*Share]struct{}
}

// Share is the part of the node's resources that one pod holds. It begins empty. A pod has one
// from its first appearance on the node to its end.
type Share struct {
	ledger *Ledger
	// pod has what is held; nil if nothing is.
	pod *corev1.Pod
	// released is set for good by Release.
	released bool
}

// Pods returns the pods that hold something, in no order.
func (l *Ledger) Pods() []*corev1.Pod {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]*corev1.Pod, 0, len(l.shares))
	for s := range l.shares {
		out = append(out, s.pod)
	}
	return out
}

// NewShare returns a share that holds nothing.
func (l *Ledger) NewShare() *Share { return &Share{ledger: l} }

// others returns the pods of all other shares; l.mu is held.
func (s *Share) others() []*corev1.Pod {
	var out []*corev1.Pod
	for other := range s.ledger.shares {
		if other != s {
			out = append(out, other.pod)
		}
	}
	return out
}

// hold makes the share that of a pod; l.mu is held.
func (s *Share) hold(pod *corev1.Pod) {
	if s.released {
		return
	}
	s.pod = pod
	if s.ledger.shares == nil {
		s.ledger.shares = map[*Share]struct{}{}
	}
	s.ledger.shares[s] = struct{}{}
}

// Take holds what a pod requests if the node takes the pod. Otherwise it returns the reason. A
// share that was released takes nothing, and there is no reason.
func (s *Share) Take(pod *corev1.Pod, node Node) *pods.Failure {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	if s.released {
		return nil
	}
	r := request{Node: node, pod: pod, others: s.others()}
	if f := r.reject(); f != nil {
		return f
	}
	s.hold(pod)
	return nil
}

// Hold holds what a pod that the node took before requests, whatever else is held.
func (s *Share) Hold(pod *corev1.Pod) {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.hold(pod)
}

// Resize holds what a pod with changed requests asks for if it fits. Otherwise the share stays as it
// is, and Resize returns the reason, without the words of a rejection, and whether the pod would
// not even fit alone.
func (s *Share) Resize(pod *corev1.Pod, node Node) (why string, infeasible bool) {
	spec := *pod
	spec.Status = corev1.PodStatus{} // its spec alone counts
	alone := request{Node: node}
	if f := alone.insufficient(&spec); f != nil {
		return Reason(f), true
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	beside := request{Node: node, others: s.others()}
	if f := beside.insufficient(&spec); f != nil {
		return Reason(f), false
	}
	s.hold(pod)
	return "", false
}

// Release gives the share back for good, and reports whether it held anything.
func (s *Share) Release() bool {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.released = true
	held := s.pod != nil
	s.pod = nil
	delete(s.ledger.shares, s)
	return held
}

// Reason returns the reason of a rejection without the words that begin each.
func Reason(f *pods.Failure) string { return strings.TrimPrefix(f.Message, "Pod was rejected: ") }

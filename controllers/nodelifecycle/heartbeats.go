package nodelifecycle

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	nodetopology "k8s.io/component-helpers/node/topology"

	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
)

// watch holds the controller's state between reconciles: when each node was
// heard of, and the health of its zone. It is safe for concurrent use.
type watch struct {
	mu     sync.Mutex
	nodes  map[string]*nodeState
	zones  *zones
	primed bool
	// enqueue wakes a node; nil until the controller runs.
	enqueue func(node string)
}

type nodeState struct {
	uid types.UID
	// heard is when the last sign of life was seen, by this controller's own clock.
	heard time.Time
	// renewed and beat are the last signs: compared with, never read as times.
	renewed, beat time.Time
	// reported is set once the node has posted a Ready condition.
	reported, registered bool
	// granted is set if the node may be given its NoExecute taint.
	granted bool
	// silent is set if its pods are to be marked not ready.
	silent bool
}

func newWatch(r rates) *watch {
	return &watch{nodes: map[string]*nodeState{}, zones: newZones(r)}
}

func (w *watch) start(enqueue func(string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enqueue = enqueue
}

func (w *watch) isPrimed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.primed
}

func (w *watch) prime(nodes []corev1.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.primed {
		return
	}
	for i := range nodes {
		n := &nodes[i]
		w.zones.put(n.Name, nodetopology.GetZoneKey(n), standingOf(n), readiness(n) == corev1.ConditionTrue)
	}
	w.primed = true
}

func (w *watch) state(name string) *nodeState {
	s := w.nodes[name]
	if s == nil {
		s = &nodeState{}
		w.nodes[name] = s
	}
	return s
}

// see records the heartbeat of a node's own status and returns when the node
// was last heard of, how long it may be silent, and whether it is new here.
func (w *watch) see(node *corev1.Node, now time.Time, c Config) (heard time.Time, grace time.Duration, first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state(node.Name)
	if s.uid != node.UID {
		*s = nodeState{uid: node.UID, renewed: s.renewed}
	}
	first = !s.registered
	s.registered = true
	ready := nodeapi.GetCondition(&node.Status, corev1.NodeReady)
	switch {
	case ready == nil && first:
		s.heard = node.CreationTimestamp.Time
	case ready != nil && first:
		// The controller was not running before: the node's silence counts from
		// now. Pods of a node that fell silent meanwhile are marked once.
		s.heard, s.beat, s.reported = now, ready.LastHeartbeatTime.Time, true
		s.silent = ready.Status == corev1.ConditionUnknown
	case ready != nil && !ready.LastHeartbeatTime.Time.Equal(s.beat):
		s.heard, s.beat, s.reported = now, ready.LastHeartbeatTime.Time, true
	}
	if ready != nil && ready.Status == corev1.ConditionTrue {
		s.silent = false
	}
	if !s.reported {
		return s.heard, c.StartupGracePeriod, first
	}
	return s.heard, c.GracePeriod, first
}

// renew notes a Lease's renewal.
func (w *watch) renew(node string, renewed, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.state(node)
	if !renewed.Equal(s.renewed) {
		s.renewed, s.heard = renewed, now
	}
}

// renewal returns the Lease's renewTime that was last noted.
func (w *watch) renewal(node string) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state(node).renewed
}

// fare returns how each zone fares.
func (w *watch) fare() []fare {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.zones.fare()
}

// zoneOf returns the zone a node is in.
func (w *watch) zoneOf(node string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.zones.of[node]
}

// expire drops the Lease's state of a node that does not exist.
func (w *watch) expire(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.nodes[node]; s != nil && !s.registered {
		delete(w.nodes, node)
	}
}

// place records the zone and health of a node, and reports whether every node
// has to be looked at again because evictions stopped or may go on. When they go
// on, every node's silence counts from now: the fault was the control plane's.
func (w *watch) place(node *corev1.Node, now time.Time) (flipped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	isReady := readiness(node) == corev1.ConditionTrue
	if isReady {
		w.state(node.Name).granted = false
	}
	return w.settle(w.zones.put(node.Name, nodetopology.GetZoneKey(node), standingOf(node), isReady), now)
}

func (w *watch) settle(flipped bool, now time.Time) bool {
	if flipped && !w.zones.allDown() {
		for _, s := range w.nodes {
			s.heard = now
		}
	}
	return flipped
}

func (w *watch) forget(node string, now time.Time) (uid types.UID, known, flipped bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.nodes[node]; s != nil {
		uid, known = s.uid, s.registered
		delete(w.nodes, node)
	}
	return uid, known, w.settle(w.zones.remove(node), now)
}

func (w *watch) mayEvict(node string) (granted, anybody bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state(node).granted, !w.zones.allDown()
}

func (w *watch) ask(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.zones.ask(node)
}

// grant gives out tokens, wakes their nodes, and returns when the next is due.
func (w *watch) grant(now time.Time) time.Time {
	w.mu.Lock()
	nodes, next := w.zones.grant(now)
	for _, n := range nodes {
		w.state(n).granted = true
	}
	w.mu.Unlock()
	for _, n := range nodes {
		w.wake(n)
	}
	return next
}

func (w *watch) silent(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state(node).silent = true
}

func (w *watch) isSilent(node string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state(node).silent
}

func (w *watch) marked(node string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state(node).silent = false
}

func (w *watch) wake(node string) {
	w.mu.Lock()
	enqueue := w.enqueue
	w.mu.Unlock()
	if enqueue != nil {
		enqueue(node)
	}
}

func (w *watch) wakeAll() {
	w.mu.Lock()
	names := make([]string, 0, len(w.nodes))
	for name := range w.nodes {
		names = append(names, name)
	}
	w.mu.Unlock()
	for _, name := range names {
		w.wake(name)
	}
}

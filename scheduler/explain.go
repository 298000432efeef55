package scheduler

import (
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/queue"
)

// maxNodesNamed bounds the nodes that a Reason names.
const maxNodesNamed = 100

// Diagnosis is a structured answer to "why is this pod pending".
type Diagnosis struct {
	Pod types.NamespacedName
	UID types.UID
	// Place is the pod's place in the queue now.
	Place queue.Place
	// Gate is the reason that keeps the pod out of the queue, "" if there is none.
	Gate string
	// Message is that of the last FailedScheduling event; "" before the first attempt.
	Message string
	// Nodes is the number of nodes at the last attempt.
	Nodes int
	// Reasons are sorted as in Message.
	Reasons []Reason
	// Plugins refused the pod; it is retried when an event concerns one of them.
	Plugins []string
	// NominatedNode is being cleared for the pod by preemption.
	NominatedNode string
	Attempts      int
	LastAttempt   time.Time
	// RetryAt is the end of the backoff, zero if the pod waits for an event.
	RetryAt time.Time
}

// Reason is the reason for which some nodes were refused. The same text appears
// twice where preemption may help on some nodes and not on others.
type Reason struct {
	Plugin string
	Text   string
	// Nodes counts them, Names names at most 100.
	Nodes int
	Names []string
	// Preemptible is set if evicting pods could help.
	Preemptible bool
}

// diagnoses keeps the last failure of each pod.
type diagnoses struct {
	mu    *sync.Mutex
	byUID map[types.UID]*Diagnosis
	byKey map[types.NamespacedName]types.UID
}

func newDiagnoses() diagnoses {
	return diagnoses{mu: &sync.Mutex{}, byUID: map[types.UID]*Diagnosis{}, byKey: map[types.NamespacedName]types.UID{}}
}

// Explain returns why a pod is not scheduled; false if the pod is not pending
// in the scheduler.
func (s *Scheduler) Explain(pod types.NamespacedName) (Diagnosis, bool) {
	s.diagnoses.mu.Lock()
	uid, ok := s.diagnoses.byKey[pod]
	d := Diagnosis{Pod: pod, UID: uid}
	if last := s.diagnoses.byUID[uid]; last != nil {
		d = *last
	}
	s.diagnoses.mu.Unlock()
	if !ok {
		return Diagnosis{}, false
	}
	st := s.queue.Find(uid)
	d.Place, d.Gate, d.RetryAt = st.Place, st.Gate, st.RetryAt
	d.NominatedNode = s.nominator.NodeFor(uid)
	return d, st.Place != queue.Unknown
}

// known makes a pending pod explainable before its first attempt.
func (d *diagnoses) known(pod *v1.Pod) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byKey[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}] = pod.UID
}

func (d *diagnoses) forget(uid types.UID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byUID, uid)
}

func (d *diagnoses) gone(pod *v1.Pod) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byUID, pod.UID)
	key := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	if d.byKey[key] == pod.UID {
		delete(d.byKey, key)
	}
}

func (d *diagnoses) record(p *queue.Pod, f failure, now time.Time) {
	pod := p.GetPod()
	out := &Diagnosis{
		Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}, UID: pod.UID,
		Message: f.err.Error(), Plugins: sets.List(f.plugins.Union(f.pending)),
		Attempts: p.Attempts, LastAttempt: now,
	}
	if f.fit != nil {
		out.Nodes = f.fit.NumAllNodes
		out.Reasons = reasons(f)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byUID[pod.UID] = out
}

func reasons(f failure) []Reason {
	type key struct {
		plugin, text string
		code         fwk.Code
	}
	index := map[key]int{}
	var out []Reason
	add := func(node string, count int, st *fwk.Status) {
		for _, text := range st.Reasons() {
			k := key{st.Plugin(), text, st.Code()}
			i, ok := index[k]
			if !ok {
				i = len(out)
				index[k] = i
				out = append(out, Reason{Plugin: k.plugin, Text: text, Preemptible: st.Code() == fwk.Unschedulable})
			}
			out[i].Nodes += count
			if node != "" && len(out[i].Names) < maxNodesNamed {
				out[i].Names = append(out[i].Names, node)
			}
		}
	}
	statuses := f.fit.Diagnosis.NodeToStatus
	statuses.All(func(node string, st *fwk.Status) { add(node, 1, st) })
	if rest := f.fit.NumAllNodes - statuses.Len(); rest > 0 {
		add("", rest, statuses.Absent())
	}
	return out
}

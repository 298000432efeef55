package queue

import (
	"container/list"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
)

// occurrence is an event with the objects it is about.
type occurrence struct {
	event          fwk.ClusterEvent
	oldObj, newObj any
}

// inFlight remembers popped pods and the events since the oldest of them. log
// is numbered from base; each pod knows the number at which it was popped.
type inFlight struct {
	pods  map[types.UID]*list.Element
	order *list.List // of flight, oldest first
	log   []occurrence
	base  int
}

type flight struct {
	uid   types.UID
	start int
	// latest is the newest version seen since the pod was popped, nil if none.
	latest  *v1.Pod
	deleted bool
}

func newInFlight() inFlight {
	return inFlight{pods: map[types.UID]*list.Element{}, order: list.New()}
}

func (f *inFlight) begin(uid types.UID) {
	if _, ok := f.pods[uid]; !ok {
		f.pods[uid] = f.order.PushBack(&flight{uid: uid, start: f.base + len(f.log)})
	}
}

func (f *inFlight) has(uid types.UID) bool { _, ok := f.pods[uid]; return ok }

func (f *inFlight) update(pod *v1.Pod) {
	if e, ok := f.pods[pod.UID]; ok {
		e.Value.(*flight).latest = pod
	}
}

func (f *inFlight) delete(uid types.UID) {
	if e, ok := f.pods[uid]; ok {
		e.Value.(*flight).deleted = true
	}
}

// latest returns the newest version of the pod, nil if it did not change, and
// whether it is gone.
func (f *inFlight) latest(uid types.UID) (*v1.Pod, bool) {
	e, ok := f.pods[uid]
	if !ok {
		return nil, false
	}
	fl := e.Value.(*flight)
	return fl.latest, fl.deleted
}

func (f *inFlight) record(o occurrence) {
	if len(f.pods) > 0 {
		f.log = append(f.log, o)
	}
}

// since returns what happened while the pod was in flight.
func (f *inFlight) since(uid types.UID) []occurrence {
	e, ok := f.pods[uid]
	if !ok {
		return nil
	}
	return f.log[e.Value.(*flight).start-f.base:]
}

// end forgets the pod and the events that only it waited for.
func (f *inFlight) end(uid types.UID) {
	e, ok := f.pods[uid]
	if !ok {
		return
	}
	delete(f.pods, uid)
	f.order.Remove(e)
	next := f.base + len(f.log)
	if first := f.order.Front(); first != nil {
		next = first.Value.(*flight).start
	}
	if done := next - f.base; done > 0 {
		clear(f.log[:done]) // let the objects go
		f.log = f.log[done:]
		f.base = next
	}
	if len(f.log) == 0 {
		f.log = nil
	}
}

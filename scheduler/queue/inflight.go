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
// is numbered from base; each pod has the number at which it was popped.
type inFlight struct {
	pods  map[types.UID]*flight
	order *list.List // of *flight, oldest first, without those that are settled
	log   []occurrence
	base  int
}

type flight struct {
	start int
	// element is the flight's in order, nil once it is settled.
	element *list.Element
	// latest is the newest version seen since the pod was popped, nil if none.
	latest  *v1.Pod
	deleted bool
}

func newInFlight() inFlight {
	return inFlight{pods: map[types.UID]*flight{}, order: list.New()}
}

func (f *inFlight) begin(uid types.UID) {
	if _, ok := f.pods[uid]; !ok {
		fl := &flight{start: f.base + len(f.log)}
		fl.element = f.order.PushBack(fl)
		f.pods[uid] = fl
	}
}

func (f *inFlight) has(uid types.UID) bool { _, ok := f.pods[uid]; return ok }

func (f *inFlight) update(pod *v1.Pod) {
	if fl, ok := f.pods[pod.UID]; ok {
		fl.latest = pod
	}
}

func (f *inFlight) delete(uid types.UID) {
	if fl, ok := f.pods[uid]; ok {
		fl.deleted = true
	}
}

// latest returns the newest version of the pod, nil if it did not change, and
// whether it is gone.
func (f *inFlight) latest(uid types.UID) (*v1.Pod, bool) {
	fl, ok := f.pods[uid]
	if !ok {
		return nil, false
	}
	return fl.latest, fl.deleted
}

func (f *inFlight) record(o occurrence) {
	if f.order.Len() > 0 {
		f.log = append(f.log, o)
	}
}

// since returns what happened while the pod was in flight; nothing once it is
// settled.
func (f *inFlight) since(uid types.UID) []occurrence {
	fl, ok := f.pods[uid]
	if !ok || fl.element == nil {
		return nil
	}
	return f.log[fl.start-f.base:]
}

// end forgets the pod.
func (f *inFlight) end(uid types.UID) {
	f.settle(uid)
	delete(f.pods, uid)
}

// settle forgets the events that only this pod waited for.
func (f *inFlight) settle(uid types.UID) {
	fl, ok := f.pods[uid]
	if !ok || fl.element == nil {
		return
	}
	f.order.Remove(fl.element)
	fl.element = nil
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

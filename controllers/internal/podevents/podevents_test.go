package podevents

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/coracle-k8s/coracle/controllers/internal/expect"
)

var kind = corev1.SchemeGroupVersion.WithKind("ReplicationController")

func pod(changes ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "p", ResourceVersion: "1", Labels: map[string]string{"a": "b"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: kind.Kind, Name: "rc", UID: "rc", Controller: ptr.To(true)}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	for _, c := range changes {
		c(p)
	}
	return p
}

func newer(p *corev1.Pod)    { p.ResourceVersion = "2" }
func deleted(p *corev1.Pod)  { p.DeletionTimestamp = ptr.To(metav1.NewTime(time.Unix(1, 0))) }
func orphaned(p *corev1.Pod) { p.OwnerReferences = nil }
func unready(p *corev1.Pod)  { p.Status.Conditions = nil }
func replaced(p *corev1.Pod) { p.UID = "q" }
func moved(p *corev1.Pod) {
	p.OwnerReferences[0].Name, p.OwnerReferences[0].UID = "other", "other"
}

func TestChangeMatters(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*corev1.Pod)
		want   bool
	}{
		{"nothing", func(*corev1.Pod) {}, false},
		{"an IP", func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.1" }, false},
		{"a node", func(p *corev1.Pod) { p.Spec.NodeName = "other" }, false},
		{"readiness", unready, true},
		{"the phase", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, true},
		{"a label", func(p *corev1.Pod) { p.Labels = map[string]string{"x": "y"} }, true},
		{"deletion", deleted, true},
		{"the owner", moved, true},
	} {
		if got := ChangeMatters(pod(), pod(tc.change)); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestHandlerWakesOwnersAndMeetsExpectations(t *testing.T) {
	const owner, other, adopter = "ns/rc", "ns/other", "ns/adopter"
	for _, tc := range []struct {
		name     string
		old, new *corev1.Pod
		woken    []string
		// created is set if the expected creation is seen, gone if the deletion of p is.
		created, gone bool
	}{
		{"created", nil, pod(), []string{owner}, true, false},
		{"created while it goes", nil, pod(deleted), []string{owner}, false, true},
		{"orphan created", nil, pod(orphaned), []string{adopter}, false, false},
		{"resync", pod(), pod(), nil, false, false},
		{"irrelevant", pod(), pod(newer), nil, false, false},
		{"unready", pod(), pod(newer, unready), []string{owner}, false, false},
		{"goes", pod(), pod(newer, deleted), []string{owner}, false, true},
		{"changes hands", pod(), pod(newer, moved), []string{other, owner}, false, false},
		{"released", pod(), pod(newer, orphaned), []string{adopter, owner}, false, false},
		{"replaced unseen", pod(), pod(newer, replaced), []string{owner}, true, true},
		{"gone", pod(), nil, []string{owner}, false, true},
		{"orphan gone", pod(orphaned), nil, nil, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			creations, deletions := expect.New(testingclock.NewFakePassiveClock(time.Unix(0, 0))), expect.New(testingclock.NewFakePassiveClock(time.Unix(0, 0)))
			creations.ExpectCreations("rc", 1)
			deletions.ExpectDeletions("rc", "p")
			for _, tracker := range []*expect.Tracker{creations, deletions} {
				woken := wokenBy(t, tracker, tc.old, tc.new)
				for _, w := range tc.woken {
					if !woken[w] {
						t.Errorf("%s was not woken", w)
					}
				}
				if len(woken) != len(tc.woken) {
					t.Errorf("woken: %v", woken)
				}
			}
			if creations.Satisfied("rc") != tc.created || deletions.Satisfied("rc") != tc.gone {
				t.Errorf("creation seen: %v, deletion seen: %v", creations.Satisfied("rc"), deletions.Satisfied("rc"))
			}
		})
	}
}

func wokenBy(t *testing.T, tracker *expect.Tracker, old, new *corev1.Pod) map[string]bool {
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	h := (&Handler{
		GVK: kind, Expected: tracker,
		Wake: func(q Queue, r reconcile.Request) { q.Add(r) },
		Adopters: func(context.Context, *corev1.Pod) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: "ns", Name: "adopter"}}}
		},
	}).EventHandler()
	switch {
	case old == nil:
		h.Create(t.Context(), event.CreateEvent{Object: new}, q)
	case new == nil:
		h.Delete(t.Context(), event.DeleteEvent{Object: old}, q)
	default:
		h.Update(t.Context(), event.UpdateEvent{ObjectOld: old, ObjectNew: new}, q)
	}
	woken := map[string]bool{}
	for q.Len() > 0 {
		req, _ := q.Get()
		woken[req.String()] = true
		q.Done(req)
	}
	return woken
}

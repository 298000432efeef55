package statefulset

import (
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// world plays API server, garbage collector and nodes for one set.
type world struct {
	now       time.Time
	set       *appsv1.StatefulSet
	revisions []Revision
	pods      []*corev1.Pod
	claims    map[string]*corev1.PersistentVolumeClaim
	uid       int
	log       strings.Builder
	// broken is the image whose pods never get ready.
	broken string
}

func newWorld(replicas int32) *world {
	w := &world{now: time.Unix(1_700_000_000, 0).UTC(), claims: map[string]*corev1.PersistentVolumeClaim{}, broken: "broken"}
	w.set = &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "set"},
		Spec: appsv1.StatefulSetSpec{
			Replicas:    &replicas,
			ServiceName: "svc",
			Selector:    &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}},
			},
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
				Type:          appsv1.RollingUpdateStatefulSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To[int32](0)},
			},
		},
	}
	w.image("v1")
	return w
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(&w.log, format+"\n", args...) }

func (w *world) image(v string) {
	w.set.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: v}}
	w.set.Generation++
	w.say("user: image %s", v)
	if !slices.ContainsFunc(w.revisions, func(r Revision) bool { return r.Name == v }) {
		w.revisions = append(w.revisions, Revision{v, w.set.Spec.Template.DeepCopy()})
	}
}

func (w *world) edit(what string, f func(*appsv1.StatefulSetSpec)) {
	f(&w.set.Spec)
	w.set.Generation++
	w.say("user: %s", what)
}

func (w *world) scale(n int32) {
	w.edit(fmt.Sprintf("replicas %d", n), func(s *appsv1.StatefulSetSpec) { s.Replicas = &n })
}

func (w *world) observed() Observed {
	o := Observed{Set: w.set.DeepCopy(), Pods: w.pods, Claims: w.claims, Settled: true}
	for _, r := range w.revisions {
		if r.Name == w.set.Spec.Template.Spec.Containers[0].Image {
			o.Update = r
		}
	}
	o.Current = o.Update
	for _, r := range w.revisions {
		if r.Name == w.set.Status.CurrentRevision {
			o.Current = r
		}
	}
	return o
}

// reconcile makes and carries out one plan, and reports whether it did anything.
func (w *world) reconcile() bool {
	p := plan(w.observed(), w.now)
	for _, c := range p.Claims {
		var names []string
		for _, r := range c.Owners {
			names = append(names, r.Kind+" "+r.Name)
		}
		w.say("  claim %s belongs to %v, conflicting %v", c.Claim.Name, names, c.Conflicting)
		changed := c.Claim.DeepCopy()
		changed.OwnerReferences = c.Owners
		w.claims[changed.Name] = changed
	}
	for _, c := range p.Provide {
		w.say("  create claim %s for %s", c.Claim.Name, c.Pod)
		w.uid++
		c.Claim.UID = types.UID(fmt.Sprint(w.uid))
		w.claims[c.Claim.Name] = c.Claim
	}
	for _, b := range p.Blocked {
		w.say("  blocked %s: %v", b.Pod, b.Err)
	}
	for _, pod := range p.Create {
		if w.pod(pod.Name) != nil {
			panic("there are two pods " + pod.Name)
		}
		w.uid++
		pod.UID, pod.Status.Phase = types.UID(fmt.Sprint(w.uid)), corev1.PodPending
		w.pods = append(w.pods, pod)
		w.say("  create %s at %s", pod.Name, revisionOf(pod))
	}
	for _, pod := range p.Update {
		w.say("  update %s", pod.Name)
		w.pods[slices.Index(w.pods, w.pod(pod.Name))] = pod
	}
	for _, pod := range p.Delete {
		w.say("  delete %s of %s", pod.Name, revisionOf(pod))
		w.change(pod.Name, func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
	}
	w.set.Status = p.Status
	return len(p.Claims)+len(p.Provide)+len(p.Create)+len(p.Update)+len(p.Delete) > 0
}

func (w *world) pod(name string) *corev1.Pod {
	for _, p := range w.pods {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (w *world) change(name string, f func(*corev1.Pod)) {
	p := w.pod(name).DeepCopy()
	f(p)
	w.pods[slices.Index(w.pods, w.pod(name))] = p
}

// run lets every pod take its next step: begin to run, become ready, or end.
func (w *world) run() bool {
	did := false
	for _, p := range slices.Clone(w.pods) {
		did = w.runPod(p) || did
	}
	for name, c := range w.claims {
		for _, r := range c.OwnerReferences {
			if r.Kind == "Pod" && (w.pod(r.Name) == nil || w.pod(r.Name).UID != r.UID) {
				w.say("  claim %s is collected", name)
				delete(w.claims, name)
			}
		}
	}
	return did
}

func (w *world) runPod(p *corev1.Pod) bool {
	switch {
	case p.DeletionTimestamp != nil:
		w.pods = slices.DeleteFunc(slices.Clone(w.pods), func(o *corev1.Pod) bool { return o == p })
	case p.Status.Phase == corev1.PodPending:
		w.change(p.Name, func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
	case p.Status.Phase == corev1.PodRunning && len(p.Status.Conditions) == 0 && p.Spec.Containers[0].Image != w.broken:
		w.ready(p.Name, corev1.ConditionTrue)
	default:
		return false
	}
	return true
}

func (w *world) ready(name string, is corev1.ConditionStatus) {
	w.change(name, func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: is, LastTransitionTime: metav1.NewTime(w.now)}}
	})
}

func (w *world) settle() {
	for range 300 {
		did := w.reconcile()
		moved, waiting := w.run(), w.waiting()
		w.now = w.now.Add(time.Second)
		if !did && !moved && !waiting {
			break
		}
	}
	s := w.set.Status
	w.say("  = %d pods, %d ready, %d available, %d at %s, %d at %s", s.Replicas, s.ReadyReplicas, s.AvailableReplicas,
		s.CurrentReplicas, s.CurrentRevision, s.UpdatedReplicas, s.UpdateRevision)
}

func (w *world) waiting() bool { return plan(w.observed(), w.now).RequeueAfter > 0 }

// scenarios returns sequences of changes to a set, each with a transcript in testdata.
func scenarios() map[string]func() *world {
	return map[string]func() *world{
		"ordered":         ordered,
		"parallel":        parallel,
		"partition":       partitioned,
		"on-delete":       onDelete,
		"unhealthy":       unhealthy,
		"max-unavailable": maxUnavailable,
		"forced-rollback": forcedRollback,
		"claims":          claims,
		"min-ready":       minReady,
		"failed-pod":      failedPod,
	}
}

func ordered() *world {
	w := newWorld(3)
	w.settle()
	w.scale(5)
	w.settle()
	w.image("v2")
	w.settle()
	w.image("v1")
	w.settle()
	w.edit("start at 3", func(s *appsv1.StatefulSetSpec) { s.Ordinals = &appsv1.StatefulSetOrdinals{Start: 3} })
	w.settle()
	w.scale(0)
	w.settle()
	return w
}

func parallel() *world {
	w := newWorld(4)
	w.set.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	w.settle()
	w.image("broken")
	w.settle()
	w.image("v3")
	w.settle()
	w.scale(1)
	w.settle()
	return w
}

func partitioned() *world {
	w := newWorld(4)
	w.settle()
	canary := func(n int32) {
		w.edit(fmt.Sprintf("partition %d", n), func(s *appsv1.StatefulSetSpec) { s.UpdateStrategy.RollingUpdate.Partition = &n })
	}
	canary(3)
	w.image("v2")
	w.settle()
	for _, name := range []string{"web-0", "web-3"} {
		w.say("user: deletes %s", name)
		w.change(name, func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
		w.settle()
	}
	canary(1)
	w.settle()
	canary(0)
	w.settle()
	return w
}

func onDelete() *world {
	w := newWorld(2)
	w.set.Spec.UpdateStrategy = appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType}
	w.settle()
	w.image("v2")
	w.settle()
	for _, name := range []string{"web-0", "web-1"} {
		w.say("user: deletes %s", name)
		w.change(name, func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
		w.settle()
	}
	return w
}

func unhealthy() *world {
	w := newWorld(3)
	w.settle()
	w.say("node: web-1 is not ready")
	w.ready("web-1", corev1.ConditionFalse)
	w.scale(5)
	w.settle()
	w.say("node: web-0 is not ready")
	w.ready("web-0", corev1.ConditionFalse)
	w.scale(0)
	w.settle()
	w.say("node: web-1 is ready")
	w.ready("web-1", corev1.ConditionTrue)
	w.settle()
	return w
}

func maxUnavailable() *world {
	w := newWorld(5)
	w.set.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = ptr.To(intstr.FromString("50%"))
	w.settle()
	w.image("v2")
	w.settle()
	w.edit("parallel", func(s *appsv1.StatefulSetSpec) { s.PodManagementPolicy = appsv1.ParallelPodManagement })
	w.image("v3")
	w.settle()
	return w
}

// forcedRollback shows that a broken pod of an ordered set has to be deleted by
// hand after the template was reverted, as documented.
func forcedRollback() *world {
	w := newWorld(2)
	w.settle()
	w.image("broken")
	w.settle()
	w.image("v1")
	w.settle()
	w.say("user: deletes web-1")
	w.change("web-1", func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
	w.settle()
	return w
}

func claims() *world {
	w := newWorld(2)
	w.set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	w.settle()
	policy := func(deleted, scaled appsv1.PersistentVolumeClaimRetentionPolicyType) {
		w.edit(fmt.Sprintf("when deleted %s, when scaled %s", deleted, scaled), func(s *appsv1.StatefulSetSpec) {
			s.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: deleted, WhenScaled: scaled}
		})
	}
	w.scale(1)
	w.settle()
	w.scale(2)
	w.settle()
	policy(remove, remove)
	w.settle()
	w.scale(1)
	w.settle()
	policy(retain, remove)
	w.scale(2)
	w.settle()
	w.say("user: deletes the claim of web-1 and the pod")
	delete(w.claims, "data-web-1")
	w.change("web-1", func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
	w.settle()
	w.say("user: gives data-web-0 another controller")
	other := w.claims["data-web-0"].DeepCopy()
	other.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Other", Name: "o", UID: "o", Controller: ptr.To(true)}}
	w.claims["data-web-0"] = other
	policy(remove, remove)
	w.settle()
	return w
}

func minReady() *world {
	w := newWorld(2)
	w.set.Spec.MinReadySeconds = 10
	w.settle()
	w.image("v2")
	w.settle()
	w.say("%s have passed", w.now.Sub(time.Unix(1_700_000_000, 0)))
	return w
}

func failedPod() *world {
	w := newWorld(2)
	w.settle()
	for _, phase := range []corev1.PodPhase{corev1.PodFailed, corev1.PodSucceeded} {
		w.say("node: web-0 is %s", phase)
		w.change("web-0", func(p *corev1.Pod) { p.Status.Phase = phase })
		w.settle()
	}
	w.say("user: takes the labels of web-1")
	w.change("web-1", func(p *corev1.Pod) { delete(p.Labels, appsv1.StatefulSetPodNameLabel) })
	w.settle()
	return w
}

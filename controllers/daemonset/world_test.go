package daemonset

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

// world plays API server, scheduler and nodes for one set.
type world struct {
	now     time.Time
	set     *appsv1.DaemonSet
	nodes   []*corev1.Node
	pods    []*corev1.Pod
	backoff *backoff
	next    int
	log     strings.Builder
	// broken is the image whose pods never get ready, failing that whose pods fail.
	broken, failing string
	// most is the most pods that lived on one node at a time.
	most int
}

func newWorld(nodes int, surge, unavailable string) *world {
	s, u := intstr.Parse(surge), intstr.Parse(unavailable)
	w := &world{now: time.Unix(1_700_000_000, 0).UTC(), backoff: newBackoff(), broken: "broken", failing: "failing"}
	w.set = &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "agent", Namespace: "ns", UID: "set"},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "agent"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "agent"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}},
			},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
				Type:          appsv1.RollingUpdateDaemonSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: &s, MaxUnavailable: &u},
			},
		},
	}
	for range nodes {
		w.join()
	}
	w.image("v1")
	return w
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(&w.log, format+"\n", args...) }

func (w *world) join() {
	name := fmt.Sprintf("n%d", len(w.nodes))
	w.nodes = append(w.nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"name": name}}})
}

func (w *world) image(v string) {
	w.set.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c", Image: v}}
	w.set.Generation++
	w.say("user: image %s", v)
}

func (w *world) taint(node int, effect corev1.TaintEffect) {
	w.say("node: n%d gets %s", node, effect)
	n := w.nodes[node].DeepCopy()
	n.Spec.Taints = []corev1.Taint{{Key: "k", Effect: effect}}
	w.nodes[node] = n
}

func (w *world) observed() Observed {
	return Observed{
		Set: w.set, Hash: w.set.Spec.Template.Spec.Containers[0].Image, Nodes: w.nodes, Pods: w.pods, Settled: true,
		NotBefore: w.backoff.notBefore(w.set.UID, w.set.Generation, w.now),
	}
}

func (w *world) reconcile() bool {
	p := plan(w.observed(), w.now)
	for _, e := range p.Events {
		w.say("  event %s: %s", e.Reason, e.Message)
	}
	for _, n := range p.Failed {
		w.backoff.failed(w.set.UID, w.set.Generation, n, w.now)
	}
	for _, node := range p.Create {
		w.next++
		pod := newPod(w.set, p.hash, node)
		pod.Name, pod.UID = fmt.Sprintf("agent-%d", w.next), types.UID(fmt.Sprint(w.next))
		pod.CreationTimestamp = metav1.NewTime(w.now)
		pod.Status.Phase = corev1.PodPending
		w.pods = append(w.pods, pod)
		w.say("  create %s of %s on %s", pod.Name, p.hash, node)
	}
	for _, pod := range p.Delete {
		w.say("  delete %s of %s on %s", pod.Name, pod.Labels["controller-revision-hash"], nodeOf(pod))
		w.change(pod, func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
	}
	w.set.Status = p.Status
	live := map[string]int{}
	for _, pod := range w.pods {
		if pod.DeletionTimestamp == nil {
			live[nodeOf(pod)]++
			w.most = max(w.most, live[nodeOf(pod)])
		}
	}
	return len(p.Create)+len(p.Delete) > 0
}

func (w *world) change(pod *corev1.Pod, f func(*corev1.Pod)) {
	changed := pod.DeepCopy()
	f(changed)
	w.pods[slices.IndexFunc(w.pods, func(p *corev1.Pod) bool { return p.UID == pod.UID })] = changed
}

func (w *world) ready(pod *corev1.Pod, is corev1.ConditionStatus) {
	w.change(pod, func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: is, LastTransitionTime: metav1.NewTime(w.now)}}
	})
}

// run lets every pod take its next step.
func (w *world) run() bool {
	did := false
	for _, p := range slices.Clone(w.pods) {
		image := p.Spec.Containers[0].Image
		switch {
		case p.DeletionTimestamp != nil:
			w.pods = slices.DeleteFunc(slices.Clone(w.pods), func(o *corev1.Pod) bool { return o.UID == p.UID })
		case p.Spec.NodeName == "":
			w.change(p, func(p *corev1.Pod) { p.Spec.NodeName = nodeOf(p) })
		case p.Status.Phase == corev1.PodPending && image == w.failing:
			w.change(p, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })
		case p.Status.Phase == corev1.PodPending:
			w.change(p, func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning })
		case p.Status.Phase == corev1.PodRunning && image != w.broken && len(p.Status.Conditions) == 0:
			w.ready(p, corev1.ConditionTrue)
		default:
			continue
		}
		did = true
	}
	return did
}

func (w *world) settle() { w.settleFor(time.Hour) }

func (w *world) settleFor(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		did := w.reconcile()
		moved := w.run()
		waiting := plan(w.observed(), w.now).RequeueAfter > 0
		w.now = w.now.Add(time.Second)
		if !did && !moved && !waiting {
			break
		}
	}
	s := w.set.Status
	w.say("  = %d wanted, %d there, %d updated, %d ready, %d available, %d unavailable, %d misscheduled", s.DesiredNumberScheduled,
		s.CurrentNumberScheduled, s.UpdatedNumberScheduled, s.NumberReady, s.NumberAvailable, s.NumberUnavailable, s.NumberMisscheduled)
}

// scenarios returns sequences of changes to a set, each with a transcript in testdata.
func scenarios() map[string]func() *world {
	return map[string]func() *world{
		"rolling":   rolling,
		"surge":     surging,
		"on-delete": onDelete,
		"nodes":     nodes,
		"failing":   failing,
		"broken":    broken,
		"min-ready": minReady,
	}
}

func rolling() *world {
	w := newWorld(4, "0", "2")
	w.settle()
	w.image("v2")
	w.settle()
	w.image("v1")
	w.settle()
	return w
}

func surging() *world {
	w := newWorld(4, "50%", "0")
	w.settle()
	w.image("v2")
	w.settle()
	w.image("broken")
	w.settle()
	w.image("v3")
	w.settle()
	return w
}

func onDelete() *world {
	w := newWorld(2, "0", "1")
	w.set.Spec.UpdateStrategy = appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	w.settle()
	w.image("v2")
	w.settle()
	w.say("user: deletes %s", w.pods[0].Name)
	w.change(w.pods[0], func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
	w.settle()
	return w
}

func nodes() *world {
	w := newWorld(3, "0", "1")
	w.settle()
	w.say("node: n3 joins")
	w.join()
	w.settle()
	w.taint(0, corev1.TaintEffectNoSchedule)
	w.settle()
	w.taint(1, corev1.TaintEffectNoExecute)
	w.settle()
	w.say("user: selects name=n2")
	w.set.Spec.Template.Spec.NodeSelector = map[string]string{"name": "n2"}
	w.set.Generation++
	w.settle()
	w.say("node: n2 goes with a pod that was not bound")
	w.nodes = w.nodes[:2]
	for _, p := range w.pods {
		w.change(p, func(p *corev1.Pod) { p.Spec.NodeName = "" })
	}
	w.settle()
	return w
}

func failing() *world {
	w := newWorld(1, "0", "1")
	w.image("failing")
	w.settleFor(30 * time.Second)
	w.say("node: a pod succeeds")
	w.image("v2")
	w.settle()
	w.change(w.pods[0], func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	w.settle()
	return w
}

func broken() *world {
	w := newWorld(3, "0", "1")
	w.settle()
	w.image("broken")
	w.settle()
	w.image("v1")
	w.settle()
	return w
}

func minReady() *world {
	w := newWorld(2, "0", "1")
	w.set.Spec.MinReadySeconds = 10
	w.settle()
	w.image("v2")
	w.settle()
	w.say("%s have passed", w.now.Sub(time.Unix(1_700_000_000, 0)))
	return w
}

package deployment

import (
	"fmt"
	"maps"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// world plays API server, ReplicaSet controller and nodes for one Deployment.
type world struct {
	now  time.Time
	d    *appsv1.Deployment
	sets []*appsv1.ReplicaSet
	next int
	log  strings.Builder
	// names gives sets short names in transcripts, in the order of creation.
	names map[string]string
}

func newWorld(replicas int32, surge, unavailable string) *world {
	parse := intstr.Parse
	s, u := parse(surge), parse(unavailable)
	return &world{
		now:   time.Unix(1_700_000_000, 0).UTC(),
		names: map[string]string{},
		d: &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "ns", UID: "d", Generation: 1},
			Spec: appsv1.DeploymentSpec{
				Replicas:                &replicas,
				Selector:                &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				RevisionHistoryLimit:    ptr.To[int32](2),
				ProgressDeadlineSeconds: ptr.To[int32](600),
				Strategy: appsv1.DeploymentStrategy{
					Type:          appsv1.RollingUpdateDeploymentStrategyType,
					RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &s, MaxUnavailable: &u},
				},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v1"}}},
				},
			},
		},
	}
}

func (w *world) say(format string, args ...any) { fmt.Fprintf(&w.log, format+"\n", args...) }

func (w *world) edit(what string, f func(*appsv1.Deployment)) {
	f(w.d)
	w.d.Generation++
	w.say("user: %s", what)
}

func (w *world) image(v string) {
	w.edit("image "+v, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = v })
}

func (w *world) scale(n int32) {
	w.edit(fmt.Sprintf("replicas %d", n), func(d *appsv1.Deployment) { d.Spec.Replicas = &n })
}

// reconcile makes and carries out one plan, and reports whether it did anything.
func (w *world) reconcile() bool {
	p := plan(Observed{Deployment: w.d, Sets: w.sets}, w.now)
	for _, e := range p.Events {
		w.say("  %s %s: %s", e.Type, e.Reason, e.Message)
	}
	if p.Rewrite != nil {
		w.d = p.Rewrite
		w.d.Generation++
		w.say("  image %s", w.d.Spec.Template.Spec.Containers[0].Image)
		return true
	}
	did := p.Create != nil || len(p.Change) > 0 || len(p.Delete) > 0
	if p.Create != nil {
		s := p.Create.DeepCopy()
		w.next++
		s.UID, s.Generation = types.UID(fmt.Sprint(w.next)), 1
		s.CreationTimestamp = metav1.NewTime(w.now)
		w.names[s.Name] = fmt.Sprintf("set%d", w.next)
		w.sets = append(w.sets, s)
		w.say("  create %s (%s) with %d", w.names[s.Name], s.Spec.Template.Spec.Containers[0].Image, size(s))
	}
	for _, c := range p.Change {
		for i, s := range w.sets {
			if s.UID == c.Set.UID {
				w.sets[i] = w.patched(s, c)
			}
		}
	}
	for _, gone := range p.Delete {
		w.say("  delete %s", w.names[gone.Name])
		for i, s := range w.sets {
			if s.UID == gone.UID {
				w.sets = append(w.sets[:i:i], w.sets[i+1:]...)
				break
			}
		}
	}
	if p.Revision != "" {
		annotateDeployment(w.d, annotationRevision, p.Revision)
		w.say("  revision %s", p.Revision)
	}
	w.d.Status = p.Status
	return did
}

func (w *world) patched(s *appsv1.ReplicaSet, c Change) *appsv1.ReplicaSet {
	out := s.DeepCopy()
	for k, v := range c.Annotations {
		annotate(out, map[string]string{k: v})
	}
	if c.Replicas != nil {
		w.say("  scale %s %d -> %d", w.names[s.Name], size(s), *c.Replicas)
		out.Spec.Replicas = c.Replicas
		out.Generation++
	}
	if c.MinReadySeconds != nil {
		out.Spec.MinReadySeconds = *c.MinReadySeconds
	}
	return out
}

// run lets the pods of a set appear, become ready or end, at most n of them.
func (w *world) run(s *appsv1.ReplicaSet, n int32, broken bool) {
	st := &s.Status
	st.ObservedGeneration = s.Generation
	if st.Replicas < size(s) {
		st.Replicas = min(size(s), st.Replicas+n)
	} else if st.Replicas > size(s) {
		gone := min(n, st.Replicas-size(s))
		st.Replicas -= gone
		unready := st.Replicas + gone - st.AvailableReplicas
		st.AvailableReplicas -= max(0, gone-unready)
		st.TerminatingReplicas = ptr.To(terminatingOf(s) + gone)
	} else if t := terminatingOf(s); t > 0 {
		st.TerminatingReplicas = ptr.To(max(0, t-n))
	}
	if !broken {
		st.AvailableReplicas = min(st.Replicas, st.AvailableReplicas+n)
	}
	st.ReadyReplicas = st.AvailableReplicas
}

func (w *world) settle(broken string) {
	for range 200 {
		did := w.reconcile()
		before := w.snapshot()
		for i, s := range w.sets {
			s = s.DeepCopy()
			w.run(s, 2, s.Spec.Template.Spec.Containers[0].Image == broken)
			w.sets[i] = s
		}
		w.now = w.now.Add(time.Second)
		if !did && before == w.snapshot() && !w.reconcile() {
			break
		}
	}
	w.say("  = %s", w.state())
}

func (w *world) snapshot() string {
	var b strings.Builder
	for _, s := range w.sets {
		fmt.Fprintf(&b, "%s %d/%d/%d/%d ", s.Name, size(s), s.Status.Replicas, s.Status.AvailableReplicas, terminatingOf(s))
	}
	return b.String()
}

func (w *world) state() string {
	st := w.d.Status
	out := fmt.Sprintf("replicas %d updated %d available %d unavailable %d", st.Replicas, st.UpdatedReplicas, st.AvailableReplicas, st.UnavailableReplicas)
	for _, t := range []appsv1.DeploymentConditionType{appsv1.DeploymentAvailable, appsv1.DeploymentProgressing} {
		for _, c := range st.Conditions {
			if c.Type == t {
				out += fmt.Sprintf("; %s=%s %s", c.Type, c.Status, c.Reason)
			}
		}
	}
	return out
}

// scenarios returns sequences of changes to a Deployment, each with a transcript in testdata.
func scenarios() map[string]func() *world {
	return map[string]func() *world{
		"rolling-update":       rollingUpdate,
		"rollover":             rollover,
		"scale-during-rollout": scaleDuringRollout,
		"rollback-and-history": rollbackAndHistory,
		"recreate":             recreate,
		"pause":                pause,
		"deadline":             deadline,
		"rollback-annotation":  rollbackAnnotation,
	}
}

func rollingUpdate() *world {
	w := newWorld(10, "25%", "25%")
	w.settle("")
	w.image("v2")
	w.settle("")
	return w
}

func rollover() *world {
	w := newWorld(6, "1", "1")
	w.settle("")
	w.image("v2")
	w.reconcile()
	w.reconcile()
	w.image("v3")
	w.settle("")
	return w
}

func scaleDuringRollout() *world {
	w := newWorld(10, "3", "2")
	w.settle("")
	w.image("broken")
	w.settle("broken")
	w.scale(15)
	w.settle("broken")
	w.scale(5)
	w.settle("broken")
	w.scale(0)
	w.settle("broken")
	return w
}

func rollbackAndHistory() *world {
	w := newWorld(2, "1", "0")
	w.settle("")
	for _, v := range []string{"v2", "v3", "v1", "v4", "v5", "v6"} {
		w.image(v)
		w.settle("")
		if v == "v1" {
			w.say("set1 revision %s history %q", w.sets[0].Annotations[annotationRevision], w.sets[0].Annotations[annotationRevisionHistory])
		}
	}
	for _, s := range w.sets {
		w.say("%s revision %s history %q", w.names[s.Name], s.Annotations[annotationRevision], s.Annotations[annotationRevisionHistory])
	}
	return w
}

func recreate() *world {
	w := newWorld(4, "0", "0")
	w.d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	w.settle("")
	w.image("v2")
	w.settle("")
	w.scale(6)
	w.settle("")
	return w
}

func pause() *world {
	w := newWorld(3, "1", "1")
	w.settle("")
	w.edit("pause", func(d *appsv1.Deployment) { d.Spec.Paused = true })
	w.image("v2")
	w.settle("")
	w.scale(5)
	w.settle("")
	w.edit("resume", func(d *appsv1.Deployment) { d.Spec.Paused = false })
	w.settle("")
	return w
}

func rollbackAnnotation() *world {
	w := newWorld(2, "1", "0")
	w.settle("")
	back := func(to string) {
		w.edit("roll back to "+to, func(d *appsv1.Deployment) { annotateDeployment(d, annotationRollbackTo, to) })
		w.settle("")
	}
	back("0")
	w.image("v2")
	w.settle("")
	back("0")
	back("3")
	back("7")
	back("2")
	w.edit("pause", func(d *appsv1.Deployment) { d.Spec.Paused = true })
	back("1")
	w.edit("resume", func(d *appsv1.Deployment) { d.Spec.Paused = false })
	w.settle("")
	back("soon")
	return w
}

func annotateDeployment(d *appsv1.Deployment, key, value string) {
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[key] = value
}

func deadline() *world {
	w := newWorld(3, "1", "1")
	w.settle("")
	w.image("broken")
	w.settle("broken")
	w.now = w.now.Add(601 * time.Second)
	w.settle("broken")
	w.image("v3")
	w.settle("broken")
	return w
}

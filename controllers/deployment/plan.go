package deployment

import (
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// Observed holds what a reconcile has read.
type Observed struct {
	Deployment *appsv1.Deployment
	// Sets are the ReplicaSets that the Deployment owns.
	Sets []*appsv1.ReplicaSet
}

// Plan holds the actions of a reconcile, in the order of its fields.
type Plan struct {
	// Rewrite is the Deployment with an earlier template. It is written before
	// events are sent, and its write triggers all the rest.
	Rewrite *appsv1.Deployment
	// Create is the ReplicaSet of a new template, nil when it exists.
	Create *appsv1.ReplicaSet
	// Change are the ReplicaSets to patch.
	Change []Change
	// Delete are the ReplicaSets that history no longer has room for.
	Delete []*appsv1.ReplicaSet
	// Revision is the new value of the Deployment's revision annotation, empty
	// when it need not change.
	Revision string
	// Status is the status to report.
	Status appsv1.DeploymentStatus
	// Events are about the Deployment as a whole; those about a ReplicaSet are in
	// its Change.
	Events []Event
	// RequeueAfter is when progress has to be judged again, 0 for never.
	RequeueAfter time.Duration
}

// Change is a patch of one ReplicaSet. Fields that are nil stay.
type Change struct {
	Set             *appsv1.ReplicaSet
	Replicas        *int32
	MinReadySeconds *int32
	Annotations     map[string]string
}

// Event is an event to record.
type Event struct {
	Type, Reason, Message string
}

// plan decides the next step of a Deployment.
func plan(o Observed, now time.Time) Plan {
	r := newRollout(o, now)
	d := r.d
	switch {
	case selectsEverything(d):
		r.say(corev1.EventTypeWarning, reasonSelectingAll, selectingAllMessage)
		r.status.ObservedGeneration = max(r.status.ObservedGeneration, d.Generation)
	case d.DeletionTimestamp != nil:
		r.countStatus()
	default:
		r.notePause()
		r.step()
	}
	r.plan.Change = r.changes()
	r.plan.Status = r.status
	return r.plan
}

func (r *rollout) step() {
	revision, back := rollbackTo(r.d)
	switch {
	case back && !r.d.Spec.Paused:
		r.rollback(revision)
	case r.d.Spec.Paused || r.scaled():
		r.syncRevision()
		r.scale()
		if r.d.Spec.Paused && !back {
			r.trimHistory()
		}
		r.countStatus()
	case r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		r.recreate()
		r.finish()
	default:
		r.syncRevision()
		r.ensureNewSet()
		r.growNew()
		r.shrinkOld()
		r.finish()
	}
}

func (r *rollout) finish() {
	r.countStatus()
	r.judgeProgress()
	if complete(r.d, r.status) {
		r.trimHistory()
	}
}

func selectsEverything(d *appsv1.Deployment) bool {
	s := d.Spec.Selector
	return s != nil && len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}

// rollout is a Plan in the making. The ReplicaSets are shallow copies: a step
// replaces their fields and never writes through a shared pointer or map.
type rollout struct {
	now      time.Time
	d        *appsv1.Deployment
	original []*appsv1.ReplicaSet
	sets     []*appsv1.ReplicaSet
	// newSet is the set of the current template, nil before it exists; old are
	// all others, oldest first.
	newSet *appsv1.ReplicaSet
	old    []*appsv1.ReplicaSet

	surge, unavailable int32

	status appsv1.DeploymentStatus
	plan   Plan
}

func newRollout(o Observed, now time.Time) *rollout {
	r := &rollout{now: now, d: o.Deployment, status: *o.Deployment.Status.DeepCopy()}
	r.original = slices.SortedFunc(slices.Values(o.Sets), byAge)
	for _, s := range r.original {
		c := *s
		r.sets = append(r.sets, &c)
	}
	for _, s := range r.sets {
		// Of several that match the oldest counts, so that all reconciles agree.
		if r.newSet == nil && sameTemplate(&s.Spec.Template, &r.d.Spec.Template) {
			r.newSet = s
		} else {
			r.old = append(r.old, s)
		}
	}
	r.surge, r.unavailable = fenceposts(r.d)
	return r
}

// all returns every set, the new one last, as upstream orders them.
func (r *rollout) all() []*appsv1.ReplicaSet {
	if r.newSet == nil {
		return slices.Clone(r.old)
	}
	return append(slices.Clone(r.old), r.newSet)
}

func (r *rollout) want() int32 { return ptr.Deref(r.d.Spec.Replicas, 1) }

func (r *rollout) changes() []Change {
	var out []Change
	for i, s := range r.sets {
		was := r.original[i]
		c := Change{Set: was}
		if size(s) != size(was) {
			c.Replicas = ptr.To(size(s))
		}
		if s.Spec.MinReadySeconds != was.Spec.MinReadySeconds {
			c.MinReadySeconds = &s.Spec.MinReadySeconds
		}
		for k, v := range s.Annotations {
			if old, ok := was.Annotations[k]; !ok || old != v {
				if c.Annotations == nil {
					c.Annotations = map[string]string{}
				}
				c.Annotations[k] = v
			}
		}
		if c.Replicas != nil || c.MinReadySeconds != nil || c.Annotations != nil {
			out = append(out, c)
		}
	}
	return out
}

func (r *rollout) resize(s *appsv1.ReplicaSet, to int32) {
	s.Spec.Replicas = ptr.To(to)
	r.annotateSize(s)
}

// annotate sets annotations and reports whether any was different.
func annotate(s *appsv1.ReplicaSet, kv map[string]string) bool {
	changed := false
	for k, v := range kv {
		if old, ok := s.Annotations[k]; !ok || old != v {
			if !changed {
				s.Annotations = maps.Clone(s.Annotations)
				if s.Annotations == nil {
					s.Annotations = map[string]string{}
				}
			}
			s.Annotations[k] = v
			changed = true
		}
	}
	return changed
}

func byAge(a, b *appsv1.ReplicaSet) int {
	if c := a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time); c != 0 {
		return c
	}
	return compareNames(a, b)
}

func compareNames(a, b *appsv1.ReplicaSet) int {
	switch {
	case a.Name < b.Name:
		return -1
	case a.Name > b.Name:
		return 1
	default:
		return 0
	}
}

// sameTemplate compares templates but for the hash label, which only the
// ReplicaSet's has.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	return apiequality.Semantic.DeepEqual(withoutHash(a.ObjectMeta), withoutHash(b.ObjectMeta)) &&
		apiequality.Semantic.DeepEqual(&a.Spec, &b.Spec)
}

func withoutHash(m metav1.ObjectMeta) *metav1.ObjectMeta {
	if _, ok := m.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; ok {
		m.Labels = maps.Clone(m.Labels)
		delete(m.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	}
	return &m
}

func size(s *appsv1.ReplicaSet) int32 { return ptr.Deref(s.Spec.Replicas, 1) }

func active(sets []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	var out []*appsv1.ReplicaSet
	for _, s := range sets {
		if size(s) > 0 {
			out = append(out, s)
		}
	}
	return out
}

func sum(sets []*appsv1.ReplicaSet, of func(*appsv1.ReplicaSet) int32) int32 {
	n := int32(0)
	for _, s := range sets {
		n += of(s)
	}
	return n
}

func availableOf(s *appsv1.ReplicaSet) int32 { return s.Status.AvailableReplicas }
func actualOf(s *appsv1.ReplicaSet) int32    { return s.Status.Replicas }
func readyOf(s *appsv1.ReplicaSet) int32     { return s.Status.ReadyReplicas }
func terminatingOf(s *appsv1.ReplicaSet) int32 {
	return ptr.Deref(s.Status.TerminatingReplicas, 0)
}

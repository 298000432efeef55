package statefulset

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// Revision is a template and the name of the ControllerRevision that keeps it.
type Revision struct {
	Name     string
	Template *corev1.PodTemplateSpec
}

// Observed holds what a reconcile has read.
type Observed struct {
	Set *appsv1.StatefulSet
	// Current is the revision that an update starts from, Update the one of the
	// set's template.
	Current, Update Revision
	// Collisions is how many names of revisions were taken by others.
	Collisions int32
	// Pods are the set's pods.
	Pods []*corev1.Pod
	// Claims are the claims of the set's ordinals that exist, by name, and those
	// that the set controls and that should have gone when it shrank.
	Claims map[string]*corev1.PersistentVolumeClaim
	// Settled is set if the cache shows all earlier creations and deletions.
	Settled bool
}

// Plan holds the actions of a reconcile, in the order of its fields.
type Plan struct {
	// Claims are existing claims that need other owners.
	Claims []ClaimChange
	// Provide are claims to create for pods, which exist or are in Create.
	Provide []ClaimCreation
	// Create are pods to create.
	Create []*corev1.Pod
	// Update are existing pods with the identity that they lost, or never had.
	Update []*corev1.Pod
	// Delete are pods to delete.
	Delete []*corev1.Pod
	// Discard are claims to delete: of pods that are too much and never came, so
	// that no pod's end takes them along.
	Discard []*corev1.PersistentVolumeClaim
	// Blocked are pods that cannot be created yet, to be tried again.
	Blocked []Blocked
	// Status is the status to report.
	Status appsv1.StatefulSetStatus
	// RequeueAfter is when a pod will have become available, 0 for never.
	RequeueAfter time.Duration
}

// ClaimChange gives a claim owners.
type ClaimChange struct {
	Claim  *corev1.PersistentVolumeClaim
	Owners []metav1.OwnerReference
	// Conflicting is set if the retention policy cannot be kept, since another
	// controller manages the claim.
	Conflicting bool
}

// ClaimCreation is a claim to create for the pod of that name.
type ClaimCreation struct {
	Pod   string
	Claim *corev1.PersistentVolumeClaim
}

// Blocked is a pod that cannot be created, and why.
type Blocked struct {
	Pod string
	Err error
}

// ErrClaimGoing is returned for a pod that has to wait for its claim's end.
var ErrClaimGoing = errors.New("is being deleted")

// plan decides the next step of a set.
func plan(o Observed, now time.Time) Plan {
	p := newPlanner(o, now)
	if o.Settled && o.Set.DeletionTimestamp == nil {
		p.step()
	}
	p.plan.Status = p.makeStatus()
	return p.plan
}

// replica is the place of one pod.
type replica struct {
	ordinal int
	// pod is nil where there is none.
	pod *corev1.Pod
}

// planner is a Plan in the making.
type planner struct {
	Observed
	now time.Time
	// ordered is false for podManagementPolicy Parallel.
	ordered bool
	// replicas are the places of all pods that are wanted, in order; condemned are
	// pods that are not, highest ordinal first.
	replicas, condemned []replica
	// deleting are the pods in plan.Delete.
	deleting map[*corev1.Pod]bool
	// updating is the number of pods of the current revision that are deleted for an update.
	updating int32
	plan     Plan
}

func newPlanner(o Observed, now time.Time) *planner {
	p := &planner{Observed: o, now: now, ordered: o.Set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement, deleting: map[*corev1.Pod]bool{}}
	start := startOf(o.Set)
	p.replicas = make([]replica, sizeOf(o.Set))
	for i := range p.replicas {
		p.replicas[i].ordinal = start + i
	}
	for _, pod := range o.Pods {
		switch n := ordinalOf(pod); {
		case wanted(o.Set, n):
			p.replicas[n-start].pod = pod
		case n >= 0:
			p.condemned = append(p.condemned, replica{n, pod})
		}
	}
	slices.SortFunc(p.condemned, func(a, b replica) int { return cmp.Compare(b.ordinal, a.ordinal) })
	return p
}

// step looks at what is wanted first, then at what is too much, and updates
// only what is left in peace by both. In order, the first that has to be waited
// for ends the step.
func (p *planner) step() {
	for _, r := range p.replicas {
		if !p.keep(r) && p.ordered {
			return
		}
	}
	for _, r := range p.condemned {
		p.own(r)
	}
	p.discard()
	for _, r := range p.condemned {
		if !p.condemn(r) && p.ordered {
			return
		}
	}
	if p.Set.Spec.UpdateStrategy.Type != appsv1.OnDeleteStatefulSetStrategyType {
		p.update()
	}
}

// keep makes sure of one pod that is wanted, and reports whether those after it
// may be looked at.
func (p *planner) keep(r replica) bool {
	switch {
	case r.pod == nil:
		p.create(r)
		return false
	case podapi.IsTerminal(r.pod):
		// Also one that succeeded: the result of a container that was stopped
		// does not show whether its pod is wanted.
		p.delete(r.pod)
		return false
	}
	if r.pod.Status.Phase == corev1.PodPending {
		p.provide(r)
	}
	if p.ordered && (p.terminating(r.pod) || r.pod.Status.Phase != corev1.PodRunning || !p.available(r.pod)) {
		return false
	}
	p.identify(r)
	p.own(r)
	return true
}

func (p *planner) identify(r replica) {
	complete := mounted(p.Set, r.pod)
	if complete && identified(p.Set, r.pod) {
		return
	}
	if !complete && r.pod.Status.Phase != corev1.PodPending {
		p.provide(r)
	}
	fixed := r.pod.DeepCopy()
	identify(fixed, r.ordinal)
	mount(p.Set, fixed, r.ordinal)
	p.plan.Update = append(p.plan.Update, fixed)
}

func (p *planner) create(r replica) {
	pod := newPod(p.Set, p.revisionFor(r.ordinal), r.ordinal)
	r.pod = pod
	for _, c := range p.claimsOf(r.ordinal) {
		switch {
		case c.exists == nil:
		case retention(p.Set).WhenScaled == remove && ownedByNamesake(c.exists, pod, podKind):
			// It goes with the pod that was here before; its end wakes the set.
			return
		case c.exists.DeletionTimestamp != nil:
			p.plan.Blocked = append(p.plan.Blocked, Blocked{pod.Name, fmt.Errorf("pvc %s %w", c.exists.Name, ErrClaimGoing)})
			return
		}
	}
	p.provide(r)
	p.own(r)
	p.plan.Create = append(p.plan.Create, pod)
}

// revisionFor returns the revision of a pod that is created now: an update does
// not reach below the partition.
func (p *planner) revisionFor(ordinal int) Revision {
	s := p.Set.Spec.UpdateStrategy
	below := 0
	switch {
	case s.RollingUpdate != nil:
		below = partition(p.Set)
	case s.Type == appsv1.RollingUpdateStatefulSetStrategyType:
		below = int(p.Set.Status.CurrentReplicas)
	}
	if ordinal < startOf(p.Set)+below {
		return p.Current
	}
	return p.Update
}

type ordinalClaim struct {
	template *corev1.PersistentVolumeClaim
	exists   *corev1.PersistentVolumeClaim
}

func (p *planner) claimsOf(ordinal int) []ordinalClaim {
	var out []ordinalClaim
	for i := range p.Set.Spec.VolumeClaimTemplates {
		t := &p.Set.Spec.VolumeClaimTemplates[i]
		out = append(out, ordinalClaim{t, p.Claims[claimName(p.Set, t, ordinal)]})
	}
	return out
}

// provide creates the claims that the pod lacks.
func (p *planner) provide(r replica) {
	for _, c := range p.claimsOf(r.ordinal) {
		if c.exists == nil {
			p.plan.Provide = append(p.plan.Provide, ClaimCreation{r.pod.Name, newClaim(p.Set, c.template, r.ordinal)})
		}
	}
}

// own sets the owners of a pod's claims by the retention policy.
func (p *planner) own(r replica) {
	for _, c := range p.claimsOf(r.ordinal) {
		if c.exists == nil {
			continue
		}
		if refs, conflicting := owners(c.exists, p.Set, r.pod); ownersChanged(c.exists, refs) {
			p.plan.Claims = append(p.plan.Claims, ClaimChange{Claim: c.exists, Owners: refs, Conflicting: conflicting})
		}
	}
}

// condemn deletes a pod that is too much. In order it does so only while all
// others are healthy, but for the lowest that is not: that one may be the
// reason why the set shrinks.
func (p *planner) condemn(r replica) bool {
	if p.terminating(r.pod) {
		return false
	}
	healthy := r.pod.Status.Phase == corev1.PodRunning && p.available(r.pod)
	if p.ordered && !healthy && r.pod != p.lowestUnavailable() {
		return false
	}
	p.delete(r.pod)
	return false
}

func (p *planner) lowestUnavailable() *corev1.Pod {
	for _, r := range slices.Concat(p.replicas, reversed(p.condemned)) {
		if p.unavailable(r) {
			return r.pod
		}
	}
	return nil
}

func reversed(rs []replica) []replica {
	out := slices.Clone(rs)
	slices.Reverse(out)
	return out
}

func (p *planner) delete(pod *corev1.Pod) {
	if !p.terminating(pod) {
		p.deleting[pod] = true
		p.plan.Delete = append(p.plan.Delete, pod)
	}
}

// terminating counts what this plan deletes, too.
func (p *planner) terminating(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil || p.deleting[pod]
}

func (p *planner) available(pod *corev1.Pod) bool {
	ok, _ := podapi.Available(pod, p.Set.Spec.MinReadySeconds, p.now)
	return ok
}

func (p *planner) unavailable(r replica) bool {
	return r.pod == nil || p.terminating(r.pod) || !p.available(r.pod)
}

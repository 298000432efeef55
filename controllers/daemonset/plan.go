package daemonset

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	podapi "github.com/coracle-k8s/coracle/apis/core/pod"
)

// Burst is how many pods one reconcile creates, and deletes, at most.
const Burst = 250

// Observed holds what a reconcile has read.
type Observed struct {
	Set *appsv1.DaemonSet
	// Hash is that of the template's revision; pods that are up to date have it.
	Hash  string
	Nodes []*corev1.Node
	// Pods are the set's pods.
	Pods []*corev1.Pod
	// NotBefore is when the next failed pod on a node may be deleted, by node.
	NotBefore map[string]time.Time
	// Settled is set if the cache shows all earlier creations and deletions.
	Settled bool
}

// Plan holds the actions of a reconcile.
type Plan struct {
	// Create names the nodes to create pods for.
	Create []string
	Delete []*corev1.Pod
	// Failed names the nodes on which a failed pod is deleted.
	Failed []string
	// Events are about the set.
	Events []Event
	// Status is the status to report.
	Status appsv1.DaemonSetStatus
	// RequeueAfter is when something is due that no event announces, 0 for never.
	RequeueAfter time.Duration

	// hash is the revision hash of new pods.
	hash string
}

// Event is an event to record.
type Event struct {
	Type, Reason, Message string
}

// plan decides the next step of a set. Updates wait until every node has
// what it should have.
func plan(o Observed, now time.Time) Plan {
	p := newPlanner(o, now)
	if o.Settled && o.Set.DeletionTimestamp == nil {
		p.manage()
		if len(p.plan.Create)+len(p.plan.Delete) == 0 && o.Set.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType {
			p.update()
		}
		p.plan.Create = p.plan.Create[:min(len(p.plan.Create), Burst)]
		p.plan.Delete = p.plan.Delete[:min(len(p.plan.Delete), Burst)]
	}
	p.report()
	return p.plan
}

// place is a node, or the name of one that is gone, with the set's pods.
type place struct {
	name string
	node *corev1.Node
	Verdict
	// pods are in the order in which they count: bound before unbound, older
	// before younger. Those that finished and are going are not there.
	pods []*corev1.Pod
}

// planner is a Plan in the making.
type planner struct {
	Observed
	now    time.Time
	places []*place
	// wanted is how many nodes should have a pod.
	wanted int
	// generation is that of the template, empty if the set has none.
	generation string
	plan       Plan
}

func newPlanner(o Observed, now time.Time) *planner {
	p := &planner{Observed: o, now: now, plan: Plan{hash: o.Hash}}
	if generation, ok := templateGeneration(o.Set); ok {
		p.generation = generation
	}
	judge := newJudge(o.Set)
	at := make(map[string]*place, len(o.Nodes))
	for _, n := range o.Nodes {
		pl := &place{name: n.Name, node: n, Verdict: judge.judge(n)}
		if pl.Run {
			p.wanted++
		}
		at[n.Name] = pl
		p.places = append(p.places, pl)
	}
	for _, pod := range o.Pods {
		name := nodeOf(pod)
		if name == "" || podapi.IsTerminal(pod) && pod.DeletionTimestamp != nil {
			continue
		}
		pl := at[name]
		if pl == nil {
			pl = &place{name: name}
			at[name] = pl
			p.places = append(p.places, pl)
		}
		pl.pods = append(pl.pods, pod)
	}
	slices.SortFunc(p.places, func(a, b *place) int { return cmp.Compare(a.name, b.name) })
	for _, pl := range p.places {
		if len(pl.pods) > 1 {
			slices.SortFunc(pl.pods, bySeniority)
		}
	}
	return p
}

func bySeniority(a, b *corev1.Pod) int {
	bound := func(p *corev1.Pod) int {
		if p.Spec.NodeName != "" {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(bound(a), bound(b)), a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// manage gives every node the pods that it should have.
func (p *planner) manage() {
	for _, pl := range p.places {
		switch {
		case pl.node == nil:
			// Pods that were bound to it are the pod garbage collector's.
			for _, pod := range pl.pods {
				if pod.Spec.NodeName == "" {
					p.delete(pod)
				}
			}
		case pl.Run && len(pl.pods) == 0:
			p.plan.Create = append(p.plan.Create, pl.name)
		case pl.Stay:
			p.tidy(pl)
		default:
			for _, pod := range pl.pods {
				p.delete(pod)
			}
		}
	}
}

func (p *planner) delete(pod *corev1.Pod) {
	if pod.DeletionTimestamp == nil {
		p.plan.Delete = append(p.plan.Delete, pod)
	}
}

// tidy removes from a node finished pods and what is more than it may have.
func (p *planner) tidy(pl *place) {
	running := p.bury(pl)
	if surge, _ := p.limits(1); surge == 0 {
		for _, pod := range running[min(1, len(running)):] {
			p.delete(pod)
		}
		return
	}
	if len(running) == 0 && pl.Run {
		// The one that is going need not be waited for.
		p.plan.Create = append(p.plan.Create, pl.name)
		return
	}
	if len(running) < 2 {
		return
	}
	var fresh, old *corev1.Pod
	for _, pod := range running {
		switch {
		case p.current(pod) && fresh == nil:
			fresh = pod
		case !p.current(pod) && old == nil:
			old = pod
		default:
			p.delete(pod)
		}
	}
	if fresh != nil && old != nil && (!podapi.IsReady(old) || p.available(fresh)) {
		p.delete(old)
	}
}

// bury deletes finished pods, failed ones no sooner than NotBefore, and returns
// those that live.
func (p *planner) bury(pl *place) (running []*corev1.Pod) {
	for _, pod := range pl.pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		name := pod.Namespace + "/" + pod.Name
		switch pod.Status.Phase {
		case corev1.PodFailed:
			if due := p.NotBefore[pl.name]; due.After(p.now) {
				p.again(due.Sub(p.now))
				continue
			}
			p.say(corev1.EventTypeWarning, reasonFailed, fmt.Sprintf("Found failed daemon pod %s on node %s, will try to kill it", name, pl.name))
			p.plan.Failed = append(p.plan.Failed, pl.name)
			p.delete(pod)
		case corev1.PodSucceeded:
			p.say(corev1.EventTypeNormal, reasonSucceeded, fmt.Sprintf("Found succeeded daemon pod %s on node %s, will try to delete it", name, pl.name))
			p.delete(pod)
		default:
			running = append(running, pod)
		}
	}
	return running
}

func (p *planner) say(kind, reason, message string) {
	p.plan.Events = append(p.plan.Events, Event{kind, reason, message})
}

func (p *planner) again(in time.Duration) {
	if p.plan.RequeueAfter == 0 || in < p.plan.RequeueAfter {
		p.plan.RequeueAfter = in
	}
}

// current reports whether the pod is of the set's template: it has the hash of
// its revision or, made before there were any, the template's generation.
func (p *planner) current(pod *corev1.Pod) bool {
	return pod.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] == p.Hash ||
		p.generation != "" && pod.Labels[labelTemplateGeneration] == p.generation
}

func (p *planner) available(pod *corev1.Pod) bool {
	ok, _ := podapi.Available(pod, p.Set.Spec.MinReadySeconds, p.now)
	return ok
}

// report counts for each node the pod that counts most.
func (p *planner) report() {
	s := &p.plan.Status
	*s = appsv1.DaemonSetStatus{
		ObservedGeneration: p.Set.Status.ObservedGeneration,
		CollisionCount:     p.Set.Status.CollisionCount,
		Conditions:         p.Set.Status.Conditions,
	}
	if p.Settled {
		s.ObservedGeneration = p.Set.Generation
	}
	s.DesiredNumberScheduled = int32(p.wanted)
	for _, pl := range p.places {
		switch {
		case pl.node == nil || len(pl.pods) == 0:
		case !pl.Run:
			s.NumberMisscheduled++
		default:
			s.CurrentNumberScheduled++
			p.count(s, pl.pods[0])
		}
	}
	s.NumberUnavailable = s.DesiredNumberScheduled - s.NumberAvailable
	for _, pl := range p.places {
		for _, pod := range pl.pods {
			if _, in := podapi.Available(pod, p.Set.Spec.MinReadySeconds, p.now); in > 0 {
				p.again(in)
			}
		}
	}
}

func (p *planner) count(s *appsv1.DaemonSetStatus, pod *corev1.Pod) {
	if podapi.IsReady(pod) {
		s.NumberReady++
		if p.available(pod) {
			s.NumberAvailable++
		}
	}
	if p.current(pod) {
		s.UpdatedNumberScheduled++
	}
}

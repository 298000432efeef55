package defaultpreemption

import (
	"cmp"
	"math"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// candidate is a node that fits the pod once its victims are gone. Victims are
// in order of importance.
type candidate struct {
	node    string
	victims []*v1.Pod
	// violations is how many of them their disruption budgets would keep.
	violations int
}

// trial is a node with some pods taken off, on which a pod may be tried.
type trial interface {
	// add puts a pod back, remove takes it off; both may fail.
	add(fwk.PodInfo) error
	remove(fwk.PodInfo) error
	fits() *fwk.Status
}

// selectVictims takes all less important pods off the node and, if the pod fits
// then, puts them back one by one for as long as it still fits: first those that
// disruption budgets protect, then the others, of each the most important first.
// It returns nil victims and why if it does not fit at all, and how many victims
// violate a budget. try is called only where there is a pod to take off, for a
// trial costs a copy.
func selectVictims(priority int32, pods []fwk.PodInfo, budgets []budget, try func() trial) (victims []*v1.Pod, violations int, s *fwk.Status) {
	var lower []fwk.PodInfo
	for _, p := range pods {
		if priorityOf(p.GetPod()) < priority {
			lower = append(lower, p)
		}
	}
	if len(lower) == 0 {
		return nil, 0, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrNoVictims)
	}
	t := try()
	for _, p := range lower {
		if err := t.remove(p); err != nil {
			return nil, 0, fwk.AsStatus(err)
		}
	}
	if s := t.fits(); !s.IsSuccess() {
		return nil, 0, s
	}
	slices.SortStableFunc(lower, func(a, b fwk.PodInfo) int { return byImportance(a.GetPod(), b.GetPod()) })
	violating, fine := split(lower, budgets)
	protected, err := reprieve(t, violating)
	if err != nil {
		return nil, 0, fwk.AsStatus(err)
	}
	rest, err := reprieve(t, fine)
	if err != nil {
		return nil, 0, fwk.AsStatus(err)
	}
	victims = slices.Concat(protected, rest)
	slices.SortStableFunc(victims, byImportance)
	return victims, len(protected), nil
}

// reprieve puts back pods with which it still fits, and returns the others.
func reprieve(t trial, pods []fwk.PodInfo) (victims []*v1.Pod, err error) {
	for _, p := range pods {
		if err := t.add(p); err != nil {
			return nil, err
		}
		if t.fits().IsSuccess() {
			continue
		}
		if err := t.remove(p); err != nil {
			return nil, err
		}
		victims = append(victims, p.GetPod())
	}
	return victims, nil
}

// byImportance puts the higher priority first, then the pod that runs longer.
func byImportance(a, b *v1.Pod) int {
	if c := cmp.Compare(priorityOf(b), priorityOf(a)); c != 0 {
		return c
	}
	return startOf(a).Compare(startOf(b))
}

func priorityOf(pod *v1.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}

// startOf returns when the pod started; one that did not yet counts as the youngest.
func startOf(pod *v1.Pod) time.Time {
	if pod.Status.StartTime == nil {
		return time.Unix(math.MaxInt32, 0)
	}
	return pod.Status.StartTime.Time
}

// pick chooses the node whose victims are the least loss: the fewest violations
// of disruption budgets, then the lowest highest priority, then the lowest sum, then the fewest, then the latest start of the
// most important, then the first.
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
func pick(candidates []candidate) candidate {
	return slices.MinFunc(candidates, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.violations, b.violations),
			cmp.Compare(highest(a), highest(b)),
			cmp.Compare(sum(a), sum(b)),
			cmp.Compare(len(a.victims), len(b.victims)),
			earliestOfHighest(b).Compare(earliestOfHighest(a)),
		)
	})
}

func highest(c candidate) int64 {
	if len(c.victims) == 0 {
		return math.MinInt64
	}
	return int64(priorityOf(c.victims[0]))
}

// sum counts from the lowest priority there is, so that more victims are never
// less loss.
func sum(c candidate) int64 {
	var s int64
	for _, v := range c.victims {
		s += int64(priorityOf(v)) - math.MinInt32
	}
	return s
}

func earliestOfHighest(c candidate) time.Time {
	if len(c.victims) == 0 {
		return time.Time{}
	}
	return startOf(c.victims[0]) // sorted by importance: the earliest of the highest
}

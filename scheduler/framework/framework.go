package framework

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
)

// Weighted is a plugin and the weight of its scores; 0 means 1.
type Weighted struct {
	Plugin fwk.Plugin
	Weight int64
}

type weighted struct {
	fwk.ScorePlugin
	weight     int64
	extensions fwk.ScoreExtensions
}

// Framework is a fixed set of plugins, run in the order given.
type Framework struct {
	preEnqueue  []fwk.PreEnqueuePlugin
	queueSort   fwk.QueueSortPlugin
	preFilters  []fwk.PreFilterPlugin
	filters     []fwk.FilterPlugin
	postFilters []fwk.PostFilterPlugin
	preScores   []fwk.PreScorePlugin
	scores      []weighted
	reserves    []fwk.ReservePlugin
	preBinds    []fwk.PreBindPlugin
	binds       []fwk.BindPlugin
	enqueue     []fwk.EnqueueExtensions

	nominator fwk.PodNominator
	buffers   scoreBuffers
}

var _ fwk.PluginsRunner = &Framework{}

// New sorts plugins by the extension points they implement. PostFilter plugins
// usually need the Framework itself: add them with AddPostFilter.
func New(nominator fwk.PodNominator, plugins ...Weighted) (*Framework, error) {
	f := &Framework{nominator: nominator}
	for _, w := range plugins {
		if err := f.add(w); err != nil {
			return nil, err
		}
	}
	if f.queueSort == nil || len(f.binds) == 0 {
		return nil, fmt.Errorf("assembling scheduling plugins: a QueueSort and a Bind plugin are required")
	}
	return f, nil
}

func (f *Framework) add(w Weighted) error {
	if p, ok := w.Plugin.(fwk.QueueSortPlugin); ok {
		if f.queueSort != nil {
			return fmt.Errorf("assembling scheduling plugins: both %s and %s sort the queue", f.queueSort.Name(), p.Name())
		}
		f.queueSort = p
	}
	if p, ok := w.Plugin.(fwk.ScorePlugin); ok {
		f.scores = append(f.scores, weighted{p, max(1, w.Weight), p.ScoreExtensions()})
	}
	appendIf(&f.preEnqueue, w.Plugin)
	appendIf(&f.preFilters, w.Plugin)
	appendIf(&f.filters, w.Plugin)
	appendIf(&f.postFilters, w.Plugin)
	appendIf(&f.preScores, w.Plugin)
	appendIf(&f.reserves, w.Plugin)
	appendIf(&f.preBinds, w.Plugin)
	appendIf(&f.binds, w.Plugin)
	appendIf(&f.enqueue, w.Plugin)
	return nil
}

func appendIf[T fwk.Plugin](list *[]T, p fwk.Plugin) {
	if t, ok := p.(T); ok {
		*list = append(*list, t)
	}
}

// AddPostFilter adds a plugin that was built on the Framework. Call it before
// the first cycle.
func (f *Framework) AddPostFilter(p fwk.PostFilterPlugin) {
	f.postFilters = append(f.postFilters, p)
	appendIf(&f.enqueue, fwk.Plugin(p))
}

// Less orders the queue.
func (f *Framework) Less(a, b fwk.QueuedEntityInfo) bool { return f.queueSort.Less(a, b) }

// PreEnqueuePlugins gate pods before they enter the queue.
func (f *Framework) PreEnqueuePlugins() []fwk.PreEnqueuePlugin { return f.preEnqueue }

// QueueingHints collects what wakes pods that a plugin refused, by plugin. A
// plugin that can refuse and registers nothing is woken by every event.
func (f *Framework) QueueingHints(ctx context.Context) (map[string][]fwk.ClusterEventWithHint, error) {
	hints := map[string][]fwk.ClusterEventWithHint{}
	for _, p := range f.enqueue {
		events, err := p.EventsToRegister(ctx)
		if err != nil {
			return nil, fmt.Errorf("collecting the events that %s waits for: %w", p.Name(), err)
		}
		hints[p.Name()] = events
	}
	all := []fwk.ClusterEventWithHint{{Event: fwk.ClusterEvent{Resource: fwk.WildCard, ActionType: fwk.All}}}
	for _, p := range f.filters {
		if _, ok := hints[p.Name()]; !ok {
			hints[p.Name()] = all
		}
	}
	return hints, nil
}

// PreFilter runs PreFilter plugins. The result names the nodes to look at (nil
// means all); a non-success status refuses the pod. When plugins disagree on
// nodes, the status names all that narrowed the choice.
func (f *Framework) PreFilter(ctx context.Context, state *CycleState, pod *v1.Pod, nodes []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status, sets.Set[string]) {
	var result *fwk.PreFilterResult
	var narrowed sets.Set[string]
	var skip sets.Set[string]
	for _, p := range f.preFilters {
		r, s := p.PreFilter(ctx, state, pod, nodes)
		if s.IsSkip() {
			if skip == nil {
				skip = sets.New[string]()
			}
			skip.Insert(p.Name())
			continue
		}
		if !s.IsSuccess() {
			s.SetPlugin(p.Name())
			if !s.IsRejected() {
				s = fwk.AsStatus(fmt.Errorf("running PreFilter plugin %q: %w", p.Name(), s.AsError())).WithPlugin(p.Name())
			}
			return nil, s, narrowed
		}
		if !r.AllNodes() {
			if narrowed == nil {
				narrowed = sets.New[string]()
			}
			narrowed.Insert(p.Name())
			result = result.Merge(r)
			if len(result.NodeNames) == 0 {
				return result, noNodesLeft(p.Name(), narrowed), narrowed
			}
		}
	}
	state.skipFilter = skip
	state.filters = f.activeFilters(state, skip)
	state.prefiltered = true
	return result, nil, narrowed
}

func noNodesLeft(last string, narrowed sets.Set[string]) *fwk.Status {
	msg := fmt.Sprintf("node(s) didn't satisfy plugin(s) %v simultaneously", sets.List(narrowed))
	if narrowed.Len() == 1 {
		msg = fmt.Sprintf("node(s) didn't satisfy plugin %v", last)
	}
	return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, msg).WithPlugin(last)
}

func (f *Framework) activeFilters(state *CycleState, skip sets.Set[string]) []fwk.FilterPlugin {
	active := make([]fwk.FilterPlugin, 0, len(f.filters))
	for _, p := range f.filters {
		if !skip.Has(p.Name()) {
			active = append(active, p)
		}
	}
	return active
}

// RunFilterPlugins returns the first refusal of the node.
func (f *Framework) RunFilterPlugins(ctx context.Context, cs fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	filters := f.filters
	if state, ok := cs.(*CycleState); ok && state.prefiltered {
		filters = state.filters
	}
	for _, p := range filters {
		if s := p.Filter(ctx, cs, pod, node); !s.IsSuccess() {
			if !s.IsRejected() {
				s = fwk.AsStatus(fmt.Errorf("running %q filter plugin: %w", p.Name(), s.AsError()))
			}
			return s.WithPlugin(p.Name())
		}
	}
	return nil
}

// FilterWithNominated filters the node as it is and, if pods of the same or a
// higher priority are promised to it, also as if they were on it already: the
// pod must fit either way, for a promise is not certain to be kept.
func (f *Framework) FilterWithNominated(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status {
	nominated := f.nominator.NominatedPodsForNode(node.Node().Name)
	if len(nominated) > 0 {
		withState, withNode, added, s := f.addNominated(ctx, state, pod, node, nominated)
		if !s.IsSuccess() {
			return s
		}
		if added {
			if s := f.RunFilterPlugins(ctx, withState, pod, withNode); !s.IsSuccess() {
				return s
			}
		}
	}
	return f.RunFilterPlugins(ctx, state, pod, node)
}

func (f *Framework) addNominated(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo, nominated []fwk.PodInfo) (fwk.CycleState, fwk.NodeInfo, bool, *fwk.Status) {
	var added bool
	for _, p := range nominated {
		if priority(p.GetPod()) < priority(pod) || p.GetPod().UID == pod.UID {
			continue
		}
		if !added {
			added, state, node = true, state.Clone(), node.Snapshot()
		}
		node.AddPodInfo(p)
		if s := f.RunPreFilterExtensionAddPod(ctx, state, pod, p, node); !s.IsSuccess() {
			return nil, nil, false, s
		}
	}
	return state, node, added, nil
}

func priority(pod *v1.Pod) int32 {
	if pod.Spec.Priority != nil {
		return *pod.Spec.Priority
	}
	return 0
}

// RunPreFilterExtensionAddPod calls AddPod on the PreFilter extensions.
func (f *Framework) RunPreFilterExtensionAddPod(ctx context.Context, state fwk.CycleState, pod *v1.Pod, add fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	return f.extend(state, func(e fwk.PreFilterExtensions) *fwk.Status { return e.AddPod(ctx, state, pod, add, node) })
}

// RunPreFilterExtensionRemovePod calls RemovePod on the PreFilter extensions.
func (f *Framework) RunPreFilterExtensionRemovePod(ctx context.Context, state fwk.CycleState, pod *v1.Pod, remove fwk.PodInfo, node fwk.NodeInfo) *fwk.Status {
	return f.extend(state, func(e fwk.PreFilterExtensions) *fwk.Status { return e.RemovePod(ctx, state, pod, remove, node) })
}

func (f *Framework) extend(state fwk.CycleState, call func(fwk.PreFilterExtensions) *fwk.Status) *fwk.Status {
	for _, p := range f.preFilters {
		e := p.PreFilterExtensions()
		if e == nil || state.GetSkipFilterPlugins().Has(p.Name()) {
			continue
		}
		if s := call(e); !s.IsSuccess() {
			return fwk.AsStatus(fmt.Errorf("running PreFilter extension of plugin %q: %w", p.Name(), s.AsError()))
		}
	}
	return nil
}

// PostFilter runs PostFilter plugins until one succeeds; the message joins
// those of all of them.
func (f *Framework) PostFilter(ctx context.Context, state fwk.CycleState, pod *v1.Pod, nodes fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	var result *fwk.PostFilterResult
	var reasons []string
	code := fwk.Unschedulable
	for _, p := range f.postFilters {
		r, s := p.PostFilter(ctx, state, pod, nodes)
		if s.IsSuccess() || s.Code() == fwk.UnschedulableAndUnresolvable {
			if s != nil {
				reasons = append(reasons, s.Reasons()...)
			}
			return r, fwk.NewStatus(s.Code(), reasons...)
		}
		if !s.IsRejected() {
			return nil, fwk.AsStatus(fmt.Errorf("running PostFilter plugin %q: %w", p.Name(), s.AsError()))
		}
		if r != nil && r.Mode() != fwk.ModeNoop {
			result = r
		}
		reasons = append(reasons, s.Reasons()...)
	}
	return result, fwk.NewStatus(code, slices.DeleteFunc(reasons, func(r string) bool { return strings.TrimSpace(r) == "" })...)
}

// RunReservePluginsReserve reserves in order and stops at the first failure.
func (f *Framework) RunReservePluginsReserve(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node string) *fwk.Status {
	for _, p := range f.reserves {
		if s := p.Reserve(ctx, state, pod, node); !s.IsSuccess() {
			if s.IsRejected() {
				return s.WithPlugin(p.Name())
			}
			return fwk.AsStatus(fmt.Errorf("running Reserve plugin %q: %w", p.Name(), s.AsError()))
		}
	}
	return nil
}

// RunReservePluginsUnreserve undoes reservations, last first.
func (f *Framework) RunReservePluginsUnreserve(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node string) {
	for _, p := range slices.Backward(f.reserves) {
		p.Unreserve(ctx, state, pod, node)
	}
}

// PreBindPreFlight returns the PreBind plugins that have something to do, or to
// wait for, before the pod is bound.
func (f *Framework) PreBindPreFlight(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node string) ([]fwk.PreBindPlugin, *fwk.Status) {
	var busy []fwk.PreBindPlugin
	for _, p := range f.preBinds {
		_, s := p.PreBindPreFlight(ctx, state, pod, node)
		switch {
		case s.IsSkip():
		case s.IsSuccess():
			busy = append(busy, p)
		default:
			return nil, fwk.AsStatus(fmt.Errorf("running PreBindPreFlight %q: %w", p.Name(), s.AsError()))
		}
	}
	return busy, nil
}

// PreBind runs the plugins that PreBindPreFlight returned, one after the other.
func (f *Framework) PreBind(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node string, busy []fwk.PreBindPlugin) *fwk.Status {
	for _, p := range busy {
		if s := p.PreBind(ctx, state, pod, node); !s.IsSuccess() {
			if s.IsRejected() {
				return s.WithPlugin(p.Name())
			}
			return fwk.AsStatus(fmt.Errorf("running PreBind plugin %q: %w", p.Name(), s.AsError()))
		}
	}
	return nil
}

// Bind asks Bind plugins in order; the first that does not skip decides.
func (f *Framework) Bind(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node string) *fwk.Status {
	for _, p := range f.binds {
		s := p.Bind(ctx, state, pod, node)
		if s.IsSkip() {
			continue
		}
		if !s.IsSuccess() && !s.IsRejected() {
			return fwk.AsStatus(fmt.Errorf("running Bind plugin %q: %w", p.Name(), s.AsError()))
		}
		return s
	}
	return fwk.AsStatus(fmt.Errorf("binding pod %v to node %s: every Bind plugin skipped it", klog.KObj(pod), node))
}

package scheduler

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/scheduler/framework"
	"github.com/coracle-k8s/coracle/scheduler/plugins/nodename"
	"github.com/coracle-k8s/coracle/scheduler/queue"
)

// scheduleOne is the scheduling cycle of one pod.
func (s *Scheduler) scheduleOne(ctx context.Context, p *queue.Pod) {
	pod := p.GetPod()
	if s.skip(pod) {
		s.queue.Done(pod.UID)
		return
	}
	start := s.cfg.Clock.Now()
	state := framework.NewCycleState()
	node, err := s.findNode(ctx, state, pod)
	s.metrics.algorithm.Observe(s.since(start))
	if err != nil {
		s.refused(ctx, state, p, err, start)
		return
	}
	b := &binding{queued: p, state: state, assumed: p.Assumed(node), node: node, start: start}
	if err := s.cache.AssumePod(b.assumed); err != nil {
		s.failed(ctx, p, failure{err: err, start: start})
		return
	}
	s.nominator.DeleteNominatedPodIfExists(pod)
	if st := s.framework.RunReservePluginsReserve(ctx, state, b.assumed.GetPod(), node); !st.IsSuccess() {
		s.framework.RunReservePluginsUnreserve(ctx, state, b.assumed.GetPod(), node)
		s.cache.ForgetPod(pod.UID)
		s.failed(ctx, p, failure{err: st.AsError(), start: start})
		return
	}
	busy, st := s.framework.PreBindPreFlight(ctx, state, b.assumed.GetPod(), node)
	if !st.IsSuccess() {
		s.unbind(ctx, b, st, false)
		return
	}
	if len(busy) > 0 {
		s.prepare(ctx, b, busy)
		return
	}
	s.bindings <- b
}

// skip reports whether the popped pod needs no node: it is being deleted, or has one.
func (s *Scheduler) skip(pod *v1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		s.cfg.Recorder.Eventf(pod, nil, v1.EventTypeWarning, "FailedScheduling", "Scheduling", "skip schedule deleting pod: %v/%v", pod.Namespace, pod.Name)
		return true
	}
	_, placed := s.cache.NodeOf(pod.UID)
	return placed
}

// findNode returns the node for the pod, a *framework.FitError if none fits, or
// the error that kept it from deciding.
func (s *Scheduler) findNode(ctx context.Context, state *framework.CycleState, pod *v1.Pod) (string, error) {
	s.cache.UpdateSnapshot(s.snapshot)
	if len(s.snapshot.Nodes()) == 0 {
		return "", framework.ErrNoNodes
	}
	feasible, err := s.feasible(ctx, state, pod)
	if err != nil {
		return "", err
	}
	if len(feasible) == 1 {
		return feasible[0].Node().Name, nil
	}
	if st := s.framework.RunPreScorePlugins(ctx, state, pod, feasible); !st.IsSuccess() {
		return "", st.AsError()
	}
	scores, st := s.framework.TotalScores(ctx, state, pod, feasible)
	if !st.IsSuccess() {
		return "", st.AsError()
	}
	return s.search.best(feasible, scores).Name, nil
}

// feasible returns at least one node that passes every filter, or an error.
func (s *Scheduler) feasible(ctx context.Context, state *framework.CycleState, pod *v1.Pod) ([]fwk.NodeInfo, error) {
	all := s.snapshot.Nodes()
	d := framework.NewDiagnosis()
	fit := &framework.FitError{Pod: pod, NumAllNodes: len(all), Diagnosis: d}
	result, st, narrowed := s.framework.PreFilter(ctx, state, pod, all)
	if !st.IsSuccess() {
		if !st.IsRejected() {
			return nil, st.AsError()
		}
		d.NodeToStatus.SetAbsent(st)
		d.Blame(st)
		fit.Diagnosis.PreFilterMsg = st.Message()
		return nil, fit
	}
	judge := func(node fwk.NodeInfo) *fwk.Status { return s.framework.FilterWithNominated(ctx, state, pod, node) }
	if name := s.nominator.NodeFor(pod.UID); name != "" && (result.AllNodes() || result.NodeNames.Has(name)) {
		// A node was cleared for this pod: if it fits there, look no further.
		if node, err := s.snapshot.Get(name); err == nil && judge(node).IsSuccess() {
			return []fwk.NodeInfo{node}, nil
		}
	}
	nodes := all
	if !result.AllNodes() {
		nodes = s.named(result.NodeNames)
		d.NodeToStatus.SetAbsent(fwk.NewStatus(fwk.UnschedulableAndUnresolvable,
			fmt.Sprintf("node(s) didn't satisfy plugin(s) %v", sets.List(narrowed))))
		d.UnschedulablePlugins.Insert(narrowed.UnsortedList()...)
	}
	feasible, err := s.search.filter(ctx, nodes, &d, judge)
	if err != nil {
		return nil, err
	}
	if len(feasible) == 0 {
		return nil, fit
	}
	return feasible, nil
}

func (s *Scheduler) named(names sets.Set[string]) []fwk.NodeInfo {
	nodes := make([]fwk.NodeInfo, 0, len(names))
	for _, name := range sets.List(names) {
		if node, err := s.snapshot.Get(name); err == nil {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// refused handles a pod for which no node was found; preemption may make room.
func (s *Scheduler) refused(ctx context.Context, state *framework.CycleState, p *queue.Pod, err error, start time.Time) {
	f := failure{err: err, start: start}
	var fit *framework.FitError
	switch {
	case errors.Is(err, framework.ErrNoNodes):
		// Any new node may do; NodeName waits for new nodes.
		f.unschedulable, f.plugins, f.clearNomination = true, sets.New(nodename.Name), true
	case errors.As(err, &fit):
		f.unschedulable = true
		result, st := s.framework.PostFilter(ctx, state, p.GetPod(), fit.Diagnosis.NodeToStatus)
		if st.IsError() {
			log.FromContext(ctx).Error(st.AsError(), "Making room for a pod failed", "pod", klog.KObj(p.GetPod()))
		}
		fit.Diagnosis.PostFilterMsg = st.Message()
		if result != nil {
			f.nominating = result.NominatingInfo
		}
		f.plugins, f.pending = fit.Diagnosis.UnschedulablePlugins, fit.Diagnosis.PendingPlugins
		f.fit = fit
	}
	s.failed(ctx, p, f)
}

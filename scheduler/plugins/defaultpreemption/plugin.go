// Package defaultpreemption makes room for a pod that fits nowhere by evicting
// pods of lower priority from one node.
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
//
// The API of this package is not stable: see docs/api.md.
package defaultpreemption

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/scheduler/framework"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "DefaultPreemption"
	// ErrNoVictims is the message for a node that has no pod of lower priority.
	ErrNoVictims = "No preemption victims found for incoming pod"
	// ErrNotHelpful is the message for a node that would not fit even if empty.
	ErrNotHelpful = "Preemption is not helpful for scheduling"

	// minCandidates and minCandidatesPercentage bound how many nodes are tried.
	minCandidates           = 100
	minCandidatesPercentage = 10
)

// Runner runs the other plugins.
type Runner interface {
	FilterWithNominated(ctx context.Context, state fwk.CycleState, pod *v1.Pod, node fwk.NodeInfo) *fwk.Status
	RunPreFilterExtensionAddPod(ctx context.Context, state fwk.CycleState, pod *v1.Pod, add fwk.PodInfo, node fwk.NodeInfo) *fwk.Status
	RunPreFilterExtensionRemovePod(ctx context.Context, state fwk.CycleState, pod *v1.Pod, remove fwk.PodInfo, node fwk.NodeInfo) *fwk.Status
}

// Nominator also returns the node that a pod is promised.
type Nominator interface {
	fwk.PodNominator
	NodeFor(uid types.UID) string
}

// Config holds the dependencies of the plugin; every field is required.
type Config struct {
	Client    client.Client
	Recorder  events.EventRecorder
	Nominator Nominator
	Runner    Runner
	Nodes     fwk.NodeInfoLister
	// SchedulerName appears in the condition of victims.
	SchedulerName string
	// Now is the time of conditions.
	Now func() time.Time
	// OnPreempt is called with the number of victims of each preemption.
	OnPreempt func(victims int)
}

// DefaultPreemption is the PostFilter plugin.
type DefaultPreemption struct {
	cfg  Config
	next int // where the next search begins, so that nodes take turns
}

var _ fwk.PostFilterPlugin = &DefaultPreemption{}

// New returns the plugin.
func New(cfg Config) *DefaultPreemption { return &DefaultPreemption{cfg: cfg} }

func (*DefaultPreemption) Name() string { return Name }

// PostFilter evicts the pods of one node and nominates it, if that helps.
func (p *DefaultPreemption) PostFilter(ctx context.Context, state fwk.CycleState, pod *v1.Pod, refused fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	result, s := p.preempt(ctx, state, pod, refused)
	if msg := s.Message(); msg != "" && !s.IsError() {
		return result, fwk.NewStatus(s.Code(), "preemption: "+msg)
	}
	return result, s
}

func (p *DefaultPreemption) preempt(ctx context.Context, state fwk.CycleState, pod *v1.Pod, refused fwk.NodeToStatusReader) (*fwk.PostFilterResult, *fwk.Status) {
	if why := p.ineligible(pod, refused); why != "" {
		return nil, fwk.NewStatus(fwk.Unschedulable, why)
	}
	all, err := p.cfg.Nodes.List()
	if err != nil {
		return nil, fwk.AsStatus(fmt.Errorf("listing nodes: %w", err))
	}
	statuses := framework.NewNodeToStatus()
	statuses.SetAbsent(fwk.NewStatus(fwk.UnschedulableAndUnresolvable, ErrNotHelpful))
	candidates, err := p.candidates(ctx, state, pod, all, refused, statuses)
	if err != nil {
		return nil, fwk.AsStatus(err)
	}
	if len(candidates) == 0 {
		fit := &framework.FitError{Pod: pod, NumAllNodes: len(all), Diagnosis: framework.Diagnosis{NodeToStatus: statuses}}
		return nominate(""), fwk.NewStatus(fwk.Unschedulable, fit.Error())
	}
	best := pick(candidates)
	if err := p.evict(ctx, pod, best); err != nil {
		return nil, fwk.AsStatus(err)
	}
	p.cfg.OnPreempt(len(best.victims))
	return nominate(best.node), fwk.NewStatus(fwk.Success,
		fmt.Sprintf("found a potential placement for pod on node %v, preempting %d victims", best.node, len(best.victims)))
}

func nominate(node string) *fwk.PostFilterResult {
	return &fwk.PostFilterResult{NominatingInfo: &fwk.NominatingInfo{NominatedNodeName: node, NominatingMode: fwk.ModeOverride}}
}

// ineligible returns why the pod may not preempt now, "" if it may.
func (p *DefaultPreemption) ineligible(pod *v1.Pod, refused fwk.NodeToStatusReader) string {
	if pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy == v1.PreemptNever {
		return "not eligible due to preemptionPolicy=Never."
	}
	nominated := p.cfg.Nominator.NodeFor(pod.UID) // ahead of the pod's status
	if nominated == "" || refused.Get(nominated).Code() == fwk.UnschedulableAndUnresolvable {
		return ""
	}
	node, err := p.cfg.Nodes.Get(nominated)
	if err != nil {
		return "" // the node is gone, and with it what was going on there
	}
	for _, other := range node.GetPods() {
		if other.GetPod().DeletionTimestamp != nil && priorityOf(other.GetPod()) < priorityOf(pod) {
			return "not eligible due to a terminating pod on the nominated node."
		}
	}
	return ""
}

// candidates tries nodes that others' going may help, and notes in statuses why
// the rest would not do.
func (p *DefaultPreemption) candidates(ctx context.Context, state fwk.CycleState, pod *v1.Pod, all []fwk.NodeInfo, refused fwk.NodeToStatusReader, statuses *framework.NodeToStatus) ([]candidate, error) {
	budgets, err := readBudgets(ctx, p.cfg.Client)
	if err != nil {
		return nil, err
	}
	enough := max(minCandidates, len(all)*minCandidatesPercentage/100)
	var found []candidate
	offset := p.next
	for i := range all {
		if len(found) >= enough {
			break
		}
		p.next = (offset + i + 1) % len(all)
		node := all[(offset+i)%len(all)]
		if refused.Get(node.Node().Name).Code() != fwk.Unschedulable {
			continue
		}
		victims, violations, s := selectVictims(priorityOf(pod), node.GetPods(), budgets, func() trial {
			return &dryRun{ctx: ctx, runner: p.cfg.Runner, pod: pod, state: state.Clone(), node: node.Snapshot()}
		})
		switch {
		case s.IsError():
			return nil, fmt.Errorf("trying preemption on node %s: %w", node.Node().Name, s.AsError())
		case !s.IsSuccess():
			statuses.Set(node.Node().Name, s)
		case len(victims) > 0:
			found = append(found, candidate{node.Node().Name, victims, violations})
		}
	}
	return found, nil
}

// dryRun is a trial on copies of the node and of what plugins counted.
type dryRun struct {
	ctx    context.Context
	runner Runner
	pod    *v1.Pod
	state  fwk.CycleState
	node   fwk.NodeInfo
}

func (d *dryRun) add(p fwk.PodInfo) error {
	d.node.AddPodInfo(p)
	return d.runner.RunPreFilterExtensionAddPod(d.ctx, d.state, d.pod, p, d.node).AsError()
}

func (d *dryRun) remove(p fwk.PodInfo) error {
	if err := d.node.RemovePod(klog.Logger{}, p.GetPod()); err != nil {
		return err
	}
	return d.runner.RunPreFilterExtensionRemovePod(d.ctx, d.state, d.pod, p, d.node).AsError()
}

func (d *dryRun) fits() *fwk.Status {
	return d.runner.FilterWithNominated(d.ctx, d.state, d.pod, d.node)
}

// evict deletes the victims, with a condition that has the reason, and takes
// back promises of the node to less important pods.
func (p *DefaultPreemption) evict(ctx context.Context, pod *v1.Pod, c candidate) error {
	for _, victim := range c.victims {
		if err := p.evictOne(ctx, victim); err != nil {
			return fmt.Errorf("preempting pod %s/%s: %w", victim.Namespace, victim.Name, err)
		}
		p.cfg.Recorder.Eventf(victim, pod, v1.EventTypeNormal, "Preempted", "Preempting",
			"Preempted by pod %v on node %v", pod.UID, c.node)
	}
	for _, other := range p.cfg.Nominator.NominatedPodsForNode(c.node) {
		if priorityOf(other.GetPod()) < priorityOf(pod) {
			p.cfg.Nominator.DeleteNominatedPodIfExists(other.GetPod())
		}
	}
	return nil
}

func (p *DefaultPreemption) evictOne(ctx context.Context, victim *v1.Pod) error {
	if victim.DeletionTimestamp != nil {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": victim.UID},
		"status": map[string]any{"conditions": []v1.PodCondition{{
			Type: v1.DisruptionTarget, Status: v1.ConditionTrue, Reason: v1.PodReasonPreemptionByScheduler,
			Message:            p.cfg.SchedulerName + ": preempting to accommodate a higher priority pod",
			ObservedGeneration: victim.Generation, LastTransitionTime: metav1.NewTime(p.cfg.Now()),
		}}},
	})
	if err != nil {
		return err
	}
	target := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: victim.Namespace, Name: victim.Name}}
	if err := p.cfg.Client.Status().Patch(ctx, target, client.RawPatch(types.StrategicMergePatchType, patch)); err != nil {
		return ignoreGone(err)
	}
	return ignoreGone(p.cfg.Client.Delete(ctx, target, client.Preconditions{UID: &victim.UID}))
}

// ignoreGone passes over a victim that went by itself.
func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

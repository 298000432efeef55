// Package volumebinding finds nodes from which a pod's volumes can be reached,
// binds claims that waited for the pod to volumes of the node, or asks for
// volumes to be made there, and lets the pod be bound when they are.
// https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
//
// The API of this package is not stable: see docs/api.md.
package volumebinding

import (
	"context"
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/component-helpers/storage/ephemeral"
	helpers "k8s.io/component-helpers/storage/volume"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

const (
	// Name is the plugin's name in Kubernetes.
	Name = "VolumeBinding"
)

// The messages for refused nodes.
const (
	ErrReasonNodeConflict   = "node(s) didn't match PersistentVolume's node affinity"
	ErrReasonBindConflict   = "node(s) didn't find available persistent volumes to bind"
	ErrReasonNotEnoughSpace = "node(s) did not have enough free storage"
	ErrReasonPVNotExist     = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
)

const (
	stateKey fwk.StateKey = Name

	// bindTimeout is how long claims may take to be bound, as upstream's default.
	bindTimeout = 10 * time.Minute
)

// VolumeBinding is the plugin.
type VolumeBinding struct {
	client client.Client
	store  *volumes.Store
	clock  clock.Clock
}

var (
	_ fwk.PreFilterPlugin   = &VolumeBinding{}
	_ fwk.FilterPlugin      = &VolumeBinding{}
	_ fwk.PreScorePlugin    = &VolumeBinding{}
	_ fwk.ScorePlugin       = &VolumeBinding{}
	_ fwk.ReservePlugin     = &VolumeBinding{}
	_ fwk.PreBindPlugin     = &VolumeBinding{}
	_ fwk.EnqueueExtensions = &VolumeBinding{}
)

// New returns the plugin, which writes through c.
func New(c client.Client, store *volumes.Store, clk clock.Clock) *VolumeBinding {
	return &VolumeBinding{client: c, store: store, clock: clk}
}

func (*VolumeBinding) Name() string { return Name }

// state holds a cycle's data of a pod with claims.
type state struct {
	// reachable are the nodes from which volumes of bound claims can be reached.
	reachable []*nodeaffinity.NodeSelector
	// lost is set if a bound claim's volume does not exist.
	lost bool
	// waiting are claims that wait for the pod, and free what they may get.
	waiting []*v1.PersistentVolumeClaim
	free    map[string][]*v1.PersistentVolume // by class

	mu sync.Mutex
	// byNode holds the decision for each node where there is something to do.
	byNode map[string]*decision
	// chosen is the decision that was assumed.
	chosen *decision
}

// Clone shares the state: trying other sets of pods changes no volume.
func (s *state) Clone() fwk.StateData { return s }

func read(cs fwk.CycleState) *state {
	data, err := cs.Read(stateKey)
	if err != nil {
		return nil
	}
	s, _ := data.(*state)
	return s
}

// PreFilter skips pods without claims, and refuses those whose claims are not
// there or should have been bound without them.
func (p *VolumeBinding) PreFilter(_ context.Context, cs fwk.CycleState, pod *v1.Pod, _ []fwk.NodeInfo) (*fwk.PreFilterResult, *fwk.Status) {
	claims, err := p.claims(pod)
	if err != nil {
		return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, err.Error())
	}
	if len(claims) == 0 {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	s := &state{}
	for _, c := range claims {
		if bound(c) {
			if err := s.reach(p.store, c); err != nil {
				return nil, fwk.AsStatus(err)
			}
			continue
		}
		delayed, err := p.store.Delayed(c)
		if err != nil {
			return nil, fwk.AsStatus(err)
		}
		if !delayed || c.Spec.VolumeName != "" {
			return nil, fwk.NewStatus(fwk.UnschedulableAndUnresolvable, "pod has unbound immediate PersistentVolumeClaims")
		}
		s.waiting = append(s.waiting, c)
	}
	if len(s.waiting) > 0 {
		s.byNode, s.free = map[string]*decision{}, map[string][]*v1.PersistentVolume{}
		for _, c := range s.waiting {
			class := helpers.GetPersistentVolumeClaimClass(c)
			if _, ok := s.free[class]; !ok {
				s.free[class] = p.store.VolumesOf(class)
			}
		}
		bySize(s.waiting)
	}
	cs.Write(stateKey, s)
	return nil, nil
}

// claims returns the pod's claims, or what keeps it from having them.
func (p *VolumeBinding) claims(pod *v1.Pod) ([]*v1.PersistentVolumeClaim, error) {
	var claims []*v1.PersistentVolumeClaim
	for i := range pod.Spec.Volumes {
		name, forPod := volumes.ClaimName(pod, &pod.Spec.Volumes[i])
		if name == "" {
			continue
		}
		c, err := p.store.Claim(types.NamespacedName{Namespace: pod.Namespace, Name: name})
		switch {
		case forPod && apierrors.IsNotFound(err):
			return nil, fmt.Errorf("waiting for ephemeral volume controller to create the persistentvolumeclaim %q", name)
		case err != nil:
			return nil, err
		case c.Status.Phase == v1.ClaimLost:
			return nil, fmt.Errorf("persistentvolumeclaim %q bound to non-existent persistentvolume %q", name, c.Spec.VolumeName)
		case c.DeletionTimestamp != nil:
			return nil, fmt.Errorf("persistentvolumeclaim %q is being deleted", name)
		}
		if forPod {
			if err := ephemeral.VolumeIsForPod(pod, c); err != nil {
				return nil, err
			}
		}
		claims = append(claims, c)
	}
	return claims, nil
}

func bound(c *v1.PersistentVolumeClaim) bool {
	_, done := c.Annotations[helpers.AnnBindCompleted]
	return done && c.Spec.VolumeName != ""
}

// reach notes from where a bound claim's volume can be reached.
func (s *state) reach(store *volumes.Store, c *v1.PersistentVolumeClaim) error {
	pv, err := store.Volume(c.Spec.VolumeName)
	if err != nil {
		s.lost = true
		return nil
	}
	if pv.Spec.NodeAffinity == nil || pv.Spec.NodeAffinity.Required == nil {
		return nil
	}
	selector, err := nodeaffinity.NewNodeSelector(pv.Spec.NodeAffinity.Required)
	if err != nil {
		return fmt.Errorf("reading the node affinity of persistentvolume %q: %w", pv.Name, err)
	}
	s.reachable = append(s.reachable, selector)
	return nil
}

func (*VolumeBinding) PreFilterExtensions() fwk.PreFilterExtensions { return nil }

// Filter refuses nodes from which volumes cannot be reached, or for which there
// are none and none can be made.
func (p *VolumeBinding) Filter(_ context.Context, cs fwk.CycleState, _ *v1.Pod, info fwk.NodeInfo) *fwk.Status {
	s, node := read(cs), info.Node()
	if s == nil {
		return nil
	}
	var reasons []string
	if !s.reaches(node) {
		reasons = append(reasons, ErrReasonNodeConflict)
	}
	d, reason, err := p.decide(s, node)
	if err != nil {
		return fwk.AsStatus(err)
	}
	if reason != "" {
		reasons = append(reasons, reason)
	}
	if s.lost {
		reasons = append(reasons, ErrReasonPVNotExist)
	}
	if len(reasons) > 0 {
		return fwk.NewStatus(fwk.UnschedulableAndUnresolvable, reasons...)
	}
	if d != nil {
		s.mu.Lock()
		s.byNode[node.Name] = d
		s.mu.Unlock()
	}
	return nil
}

// reaches judges by labels alone: a volume's node affinity uses no other property of nodes.
func (s *state) reaches(node *v1.Node) bool {
	if len(s.reachable) == 0 {
		return true
	}
	labelled := &v1.Node{}
	labelled.Labels = node.Labels
	for _, r := range s.reachable {
		if !r.Match(labelled) {
			return false
		}
	}
	return true
}

package volumebinding

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	helpers "k8s.io/component-helpers/storage/volume"
	fwk "k8s.io/kube-scheduler/framework"

	"github.com/coracle-k8s/coracle/scheduler/volumes"
)

func key(c *v1.PersistentVolumeClaim) types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: c.Name}
}

// Reserve assumes what was decided for the node, so that pods after this one
// find the volumes taken and the claims' node chosen.
func (p *VolumeBinding) Reserve(_ context.Context, cs fwk.CycleState, _ *v1.Pod, node string) *fwk.Status {
	s := read(cs)
	if s == nil || s.byNode[node] == nil {
		return nil
	}
	assumed, err := p.assume(s.byNode[node])
	// Unreserve takes back what was assumed before a failure.
	s.chosen = assumed
	if err != nil {
		return fwk.AsStatus(err)
	}
	return nil
}

func (p *VolumeBinding) assume(d *decision) (*decision, error) {
	out := &decision{node: d.node}
	for _, m := range d.bind {
		pv, changed, err := helpers.GetBindVolumeToClaim(m.volume, m.claim)
		if err != nil {
			return out, fmt.Errorf("binding persistentvolume %q: %w", m.volume.Name, err)
		}
		if changed {
			if err := p.store.AssumeVolume(pv); err != nil {
				return out, err
			}
		}
		out.bind = append(out.bind, match{m.claim, pv})
	}
	for _, m := range d.make {
		c := m.claim.DeepCopy()
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[helpers.AnnSelectedNode] = d.node.Name
		if err := p.store.AssumeClaim(c); err != nil {
			return out, err
		}
		out.make = append(out.make, provision{claim: c})
	}
	return out, nil
}

// Unreserve takes back what was assumed. Writes stay: the binder goes on with
// them, and the pod's next cycle finds them.
func (p *VolumeBinding) Unreserve(_ context.Context, cs fwk.CycleState, _ *v1.Pod, _ string) {
	s := read(cs)
	if s == nil || s.chosen == nil {
		return
	}
	p.restore(s.chosen.bind, s.chosen.make)
	s.chosen = nil
}

func (p *VolumeBinding) restore(bind []match, provisions []provision) {
	for _, m := range bind {
		p.store.RestoreVolume(m.volume.Name)
	}
	for _, m := range provisions {
		p.store.RestoreClaim(key(m.claim))
	}
}

// PreBindPreFlight skips pods all of whose claims are bound.
func (*VolumeBinding) PreBindPreFlight(_ context.Context, cs fwk.CycleState, _ *v1.Pod, _ string) (*fwk.PreBindPreFlightResult, *fwk.Status) {
	if s := read(cs); s == nil || s.chosen == nil {
		return nil, fwk.NewStatus(fwk.Skip)
	}
	return &fwk.PreBindPreFlightResult{AllowParallel: true}, nil
}

// PreBind writes what was assumed and waits until the claims are bound; it fails
// when that is undone, or takes longer than ten minutes.
func (p *VolumeBinding) PreBind(ctx context.Context, cs fwk.CycleState, _ *v1.Pod, _ string) *fwk.Status {
	s := read(cs)
	if s == nil || s.chosen == nil {
		return nil
	}
	if err := p.write(ctx, s.chosen); err != nil {
		return fwk.AsStatus(err)
	}
	if err := p.wait(ctx, s.chosen); err != nil {
		return fwk.AsStatus(fmt.Errorf("binding volumes: %w", err))
	}
	return nil
}

// write leaves in d what the API made of it.
func (p *VolumeBinding) write(ctx context.Context, d *decision) error {
	for i := range d.bind {
		pv := d.bind[i].volume.DeepCopy() // the assumed one is shared
		if err := p.client.Update(ctx, pv); err != nil {
			p.restore(d.bind[i:], d.make)
			return err
		}
		d.bind[i].volume = pv
	}
	for i := range d.make {
		c := d.make[i].claim.DeepCopy()
		if err := p.client.Update(ctx, c); err != nil {
			p.restore(nil, d.make[i:])
			return err
		}
		d.make[i].claim = c
	}
	return nil
}

func (p *VolumeBinding) wait(ctx context.Context, d *decision) error {
	var claims []types.NamespacedName
	var names []string
	for _, m := range d.bind {
		claims, names = append(claims, key(m.claim)), append(names, m.volume.Name)
	}
	for _, m := range d.make {
		claims = append(claims, key(m.claim))
	}
	changed, stop := p.store.Watch(claims, names)
	defer stop()
	timeout := p.clock.NewTimer(bindTimeout)
	defer timeout.Stop()
	for {
		if done, err := p.done(d); done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-timeout.C():
			return context.DeadlineExceeded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// done looks at what the API server stores, not at what is assumed: the next
// cycle may have assumed something else.
func (p *VolumeBinding) done(d *decision) (bool, error) {
	for _, m := range d.bind {
		if done, err := p.isBound(m, d.node); !done || err != nil {
			return false, err
		}
	}
	for _, m := range d.make {
		if done, err := p.isMade(m.claim, d.node); !done || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (p *VolumeBinding) isBound(m match, node *v1.Node) (bool, error) {
	pv, err := p.store.WrittenVolume(m.volume.Name)
	if err != nil {
		return false, fmt.Errorf("failed to check binding: %w", err)
	}
	c, err := p.store.WrittenClaim(key(m.claim))
	if err != nil {
		return false, fmt.Errorf("failed to check binding: %w", err)
	}
	if volumes.Older(pv, m.volume) {
		return false, nil
	}
	if err := onNode(pv, node); err != nil {
		return false, err
	}
	if pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID == "" {
		return false, fmt.Errorf("ClaimRef got reset for pv %q", pv.Name)
	}
	return bound(c), nil
}

func (p *VolumeBinding) isMade(written *v1.PersistentVolumeClaim, node *v1.Node) (bool, error) {
	c, err := p.store.WrittenClaim(key(written))
	if err != nil {
		return false, fmt.Errorf("failed to check provisioning pvc: %w", err)
	}
	if volumes.Older(c, written) {
		return false, nil
	}
	// A provisioner that cannot make the volume there takes the node back.
	switch c.Annotations[helpers.AnnSelectedNode] {
	case node.Name:
	case "":
		if c.Annotations == nil {
			return false, fmt.Errorf("selectedNode annotation reset for PVC %q", c.Name)
		}
		fallthrough
	default:
		return false, fmt.Errorf("provisioning failed for PVC %q", c.Name)
	}
	if c.Spec.VolumeName != "" {
		pv, err := p.store.WrittenVolume(c.Spec.VolumeName)
		if apierrors.IsNotFound(err) {
			return false, nil // not known yet, or gone: then the claim will be lost
		}
		if err != nil {
			return false, fmt.Errorf("failed to get pv %q from cache: %w", c.Spec.VolumeName, err)
		}
		if err := onNode(pv, node); err != nil {
			return false, err
		}
	}
	return bound(c), nil
}

func onNode(pv *v1.PersistentVolume, node *v1.Node) error {
	if err := helpers.CheckNodeAffinity(pv, node.Labels); err != nil {
		return fmt.Errorf("pv %q node affinity doesn't match node %q: %w", pv.Name, node.Name, err)
	}
	return nil
}

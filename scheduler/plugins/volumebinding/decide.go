package volumebinding

import (
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	helpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
)

// decision is the outcome of a pod's waiting claims on one node.
type decision struct {
	node *v1.Node
	// bind are claims with volumes that are there.
	bind []match
	// make are claims for which volumes are to be made.
	make []provision
}

type match struct {
	claim  *v1.PersistentVolumeClaim
	volume *v1.PersistentVolume
}

type provision struct {
	claim *v1.PersistentVolumeClaim
	// capacity has the place where the volume may be made, nil if the driver reports none.
	capacity *storagev1.CSIStorageCapacity
}

// bySize puts small claims first, so that they leave big volumes to big ones.
func bySize(claims []*v1.PersistentVolumeClaim) {
	slices.SortStableFunc(claims, func(a, b *v1.PersistentVolumeClaim) int {
		x, y := a.Spec.Resources.Requests[v1.ResourceStorage], b.Spec.Resources.Requests[v1.ResourceStorage]
		return x.Cmp(y)
	})
}

// decide returns nil if no claim waits, and the reason if the node will not do.
func (p *VolumeBinding) decide(s *state, node *v1.Node) (*decision, string, error) {
	if len(s.waiting) == 0 {
		return nil, "", nil
	}
	d := &decision{node: node}
	var missing []*v1.PersistentVolumeClaim
	taken := map[string]*v1.PersistentVolume{}
	for _, c := range s.waiting {
		if selected, ok := c.Annotations[helpers.AnnSelectedNode]; ok && selected != node.Name {
			return nil, ErrReasonBindConflict, nil
		} else if ok {
			d.make = append(d.make, provision{claim: c})
		}
	}
	for _, c := range s.waiting {
		if _, ok := c.Annotations[helpers.AnnSelectedNode]; ok {
			continue
		}
		pv, err := helpers.FindMatchingVolume(c, s.free[helpers.GetPersistentVolumeClaimClass(c)], node, taken, true, true)
		if err != nil {
			return nil, "", err
		}
		if pv == nil {
			missing = append(missing, c)
			continue
		}
		taken[pv.Name] = pv
		d.bind = append(d.bind, match{c, pv})
	}
	for _, c := range missing {
		d.make = append(d.make, provision{claim: c})
	}
	for i := range d.make {
		reason, err := p.provisionable(&d.make[i], node)
		if err != nil || reason != "" {
			return nil, reason, err
		}
	}
	return d, "", nil
}

// provisionable returns why no volume can be made for the claim on the node, ""
// if one can, and sets where the capacity for it is.
func (p *VolumeBinding) provisionable(m *provision, node *v1.Node) (string, error) {
	name := helpers.GetPersistentVolumeClaimClass(m.claim)
	if name == "" {
		return "", fmt.Errorf("no class for claim %q", m.claim.Namespace+"/"+m.claim.Name)
	}
	class, err := p.store.Class(name)
	if err != nil {
		return "", fmt.Errorf("failed to find storage class %q", name)
	}
	if class.Provisioner == "" || class.Provisioner == helpers.NotSupportedProvisioner || !allowed(class.AllowedTopologies, node.Labels) {
		return ErrReasonBindConflict, nil
	}
	size, ok := m.claim.Spec.Resources.Requests[v1.ResourceStorage]
	driver := p.store.CSIDriver(class.Provisioner)
	if !ok || driver == nil || !ptr.Deref(driver.Spec.StorageCapacity, false) {
		return "", nil // no size to compare, or the driver reports no capacity
	}
	p.store.Capacities(name, func(c *storagev1.CSIStorageCapacity) bool {
		if limit := limit(c); limit != nil && limit.Value() >= size.Value() && accessible(c, node) {
			m.capacity = c
		}
		return m.capacity == nil
	})
	if m.capacity == nil {
		return ErrReasonNotEnoughSpace, nil
	}
	return "", nil
}

// limit returns the size of the largest volume that can be made, nil for none.
func limit(c *storagev1.CSIStorageCapacity) *resource.Quantity {
	if c.MaximumVolumeSize != nil {
		return c.MaximumVolumeSize
	}
	return c.Capacity
}

func accessible(c *storagev1.CSIStorageCapacity, node *v1.Node) bool {
	if c.NodeTopology == nil {
		return false
	}
	selector, err := metav1.LabelSelectorAsSelector(c.NodeTopology)
	return err == nil && selector.Matches(labels.Set(node.Labels))
}

// allowed reports whether a class makes volumes for a node with these labels:
// if there are no terms, or one is met. A term without expressions is not met.
func allowed(terms []v1.TopologySelectorTerm, nodeLabels map[string]string) bool {
	if len(terms) == 0 {
		return true
	}
	return slices.ContainsFunc(terms, func(t v1.TopologySelectorTerm) bool {
		return len(t.MatchLabelExpressions) > 0 && !slices.ContainsFunc(t.MatchLabelExpressions, func(r v1.TopologySelectorLabelRequirement) bool {
			value, ok := nodeLabels[r.Key]
			return !ok || !slices.Contains(r.Values, value)
		})
	})
}

package podtopologyspread

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	v1helper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// constraint is a parsed v1.TopologySpreadConstraint.
type constraint struct {
	key      string
	maxSkew  int64
	selector labels.Selector
	// minDomains is 1 if not set, which changes nothing.
	minDomains  int
	honorTaints bool
	// ignoreAffinity counts also nodes that the pod's affinity excludes.
	ignoreAffinity bool
}

// explicit parses the pod's own constraints of one kind.
func explicit(pod *v1.Pod, when v1.UnsatisfiableConstraintAction) ([]constraint, error) {
	var out []constraint
	for i := range pod.Spec.TopologySpreadConstraints {
		c := &pod.Spec.TopologySpreadConstraints[i]
		if c.WhenUnsatisfiable != when {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
		if err != nil {
			return nil, fmt.Errorf("parsing topology spread constraint %d: %w", i, err)
		}
		if selector, err = withMatchLabels(selector, c.MatchLabelKeys, pod.Labels); err != nil {
			return nil, fmt.Errorf("parsing topology spread constraint %d: %w", i, err)
		}
		parsed := constraint{key: c.TopologyKey, maxSkew: int64(c.MaxSkew), selector: selector, minDomains: 1}
		if c.MinDomains != nil {
			parsed.minDomains = int(*c.MinDomains)
		}
		parsed.ignoreAffinity = c.NodeAffinityPolicy != nil && *c.NodeAffinityPolicy == v1.NodeInclusionPolicyIgnore
		parsed.honorTaints = c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == v1.NodeInclusionPolicyHonor
		out = append(out, parsed)
	}
	return out, nil
}

// withMatchLabels adds the pod's own values of keys. The API server adds them to
// the selector of new pods; to add them twice changes nothing.
func withMatchLabels(selector labels.Selector, keys []string, own map[string]string) (labels.Selector, error) {
	for _, key := range keys {
		value, ok := own[key]
		if !ok {
			continue
		}
		r, err := labels.NewRequirement(key, selection.In, []string{value})
		if err != nil {
			return nil, err
		}
		selector = selector.Add(*r)
	}
	return selector, nil
}

// defaults returns the constraints of pods that have none themselves.
// https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/#internal-default-constraints
func defaults(selector labels.Selector) []constraint {
	return []constraint{
		{key: v1.LabelHostname, maxSkew: 3, selector: selector, minDomains: 1},
		{key: v1.LabelTopologyZone, maxSkew: 5, selector: selector, minDomains: 1},
	}
}

func hasAllKeys(node *v1.Node, constraints []constraint) bool {
	for i := range constraints {
		if _, ok := node.Labels[constraints[i].key]; !ok {
			return false
		}
	}
	return true
}

// policy decides which nodes a pod's constraints count.
type policy struct {
	pod      *v1.Pod
	affinity nodeaffinity.RequiredNodeAffinity
	// any is false for pods whose affinity excludes no node.
	any bool
}

func newPolicy(pod *v1.Pod) policy {
	p := policy{pod: pod, any: len(pod.Spec.NodeSelector) > 0 || pod.Spec.Affinity != nil && pod.Spec.Affinity.NodeAffinity != nil}
	if p.any {
		p.affinity = nodeaffinity.GetRequiredNodeAffinity(pod)
	}
	return p
}

func (p *policy) counts(c *constraint, node *v1.Node) bool {
	if p.any && !c.ignoreAffinity {
		if ok, err := p.affinity.Match(node); err != nil || !ok {
			return false
		}
	}
	if !c.honorTaints || len(node.Spec.Taints) == 0 {
		return true
	}
	_, untolerated := v1helper.FindMatchingUntoleratedTaint(klog.Logger{}, node.Spec.Taints, p.pod.Spec.Tolerations, func(t *v1.Taint) bool {
		return t.Effect == v1.TaintEffectNoSchedule || t.Effect == v1.TaintEffectNoExecute
	}, true)
	return !untolerated
}

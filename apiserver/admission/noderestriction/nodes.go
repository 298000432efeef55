package noderestriction

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
	kubeletapis "k8s.io/kubelet/pkg/apis"
)

// nodeObject refuses writes of other nodes, and of what decides which pods come
// to the agent's own.
func nodeObject(r *request) error {
	if r.GetName() != r.node {
		return r.forbid("node %q is not allowed to modify node %q", r.node, r.GetName())
	}
	switch r.GetOperation() {
	case admission.Create:
		n, ok := r.GetObject().(*corev1.Node)
		if !ok {
			return r.forbid("unexpected type %T", r.GetObject())
		}
		if n.Spec.ConfigSource != nil {
			return r.forbid("node %q is not allowed to create pods with a non-nil configSource", r.node)
		}
		if bad := forbiddenLabels(changedLabels(n.Labels, nil)); len(bad) > 0 {
			return r.forbid("node %q is not allowed to set the following labels: %s", r.node, strings.Join(bad, ", "))
		}
	case admission.Update:
		n, ok := r.GetObject().(*corev1.Node)
		old, oldOK := r.GetOldObject().(*corev1.Node)
		if !ok || !oldOK {
			return r.forbid("unexpected type %T", r.GetObject())
		}
		return nodeUpdate(r, n, old)
	}
	return nil
}

func nodeUpdate(r *request, n, old *corev1.Node) error {
	// An old agent may leave the source out.
	if n.Spec.ConfigSource != nil && !equality.Semantic.DeepEqual(n.Spec.ConfigSource, old.Spec.ConfigSource) {
		return r.forbid("node %q is not allowed to update configSource to a new non-nil configSource", r.node)
	}
	if !equality.Semantic.DeepEqual(n.Spec.Taints, old.Spec.Taints) {
		return r.forbid("node %q is not allowed to modify taints", r.node)
	}
	if !equality.Semantic.DeepEqual(n.OwnerReferences, old.OwnerReferences) {
		return r.forbid("node %q is not allowed to modify ownerReferences", r.node)
	}
	if bad := forbiddenLabels(changedLabels(n.Labels, old.Labels)); len(bad) > 0 {
		return r.forbid("is not allowed to modify labels: %s", strings.Join(bad, ", "))
	}
	return nil
}

// changedLabels returns the keys added, removed or set to another value.
func changedLabels(a, b map[string]string) []string {
	changed := sets.New[string]()
	for k, v := range a {
		if old, ok := b[k]; !ok || old != v {
			changed.Insert(k)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			changed.Insert(k)
		}
	}
	return sets.List(changed)
}

// forbiddenLabels returns those of keys that an agent may not touch: those of
// node-restriction, and of Kubernetes' own domains all but the few about the
// machine itself.
func forbiddenLabels(keys []string) []string {
	return slices.DeleteFunc(keys, func(k string) bool {
		domain, _, qualified := strings.Cut(k, "/")
		return !qualified || !within(domain, corev1.LabelNamespaceNodeRestriction) &&
			(!within(domain, "kubernetes.io") && !within(domain, "k8s.io") || kubeletapis.IsKubeletLabel(k))
	})
}

func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// claimStatus refuses all but what an agent reports of a resize.
func claimStatus(r *request) error {
	if r.GetOperation() != admission.Update {
		return r.forbid("unexpected operation %q", r.GetOperation())
	}
	old, ok := r.GetOldObject().(*corev1.PersistentVolumeClaim)
	if !ok {
		return r.forbid("unexpected type %T", r.GetOldObject())
	}
	claim, ok := r.GetObject().(*corev1.PersistentVolumeClaim)
	if !ok {
		return r.forbid("unexpected type %T", r.GetObject())
	}
	before, after := withoutResize(old), withoutResize(claim)
	if !equality.Semantic.DeepEqual(before, after) {
		return r.forbid("node %q is not allowed to update fields other than status.quantity and status.conditions: %v", r.node, diff.Diff(before, after))
	}
	return nil
}

// withoutResize returns the claim without what an agent may write, and without
// what differs between any two versions.
func withoutResize(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	c := claim.DeepCopy()
	c.ResourceVersion, c.ManagedFields = "", nil
	c.Status.Capacity, c.Status.Conditions = nil, nil
	c.Status.AllocatedResourceStatuses, c.Status.AllocatedResources = nil, nil
	return c
}

// resourceSlice refuses to create and delete slices of other nodes. The node
// authorizer sees neither the object of a create nor those of a deletion of many;
// updates it decides by the stored slice, which cannot change its node.
func resourceSlice(r *request) error {
	object := r.GetObject()
	switch r.GetOperation() {
	case admission.Create:
	case admission.Delete:
		object = r.GetOldObject()
	default:
		return nil
	}
	slice, ok := object.(*resourcev1.ResourceSlice)
	if !ok {
		return r.forbid("unexpected type %T", object)
	}
	if slice.Spec.NodeName == nil || *slice.Spec.NodeName != r.node {
		return r.forbid("can only %s ResourceSlice with the same NodeName as the requesting node", strings.ToLower(string(r.GetOperation())))
	}
	return nil
}

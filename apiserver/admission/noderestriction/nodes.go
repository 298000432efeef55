package noderestriction

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"
)

func nodeObject(r *request) error {
	name := r.GetName()
	if r.GetOperation() == admission.Create {
		n, ok := r.GetObject().(*corev1.Node)
		if !ok {
			return apierrors.NewBadRequest(fmt.Sprintf("unexpected type %T", r.GetObject()))
		}
		if bad := forbiddenLabels(changedLabels(n.Labels, nil)); len(bad) > 0 {
			return r.forbid("node %q is not allowed to set the following labels: %s", r.node, strings.Join(bad, ", "))
		}
		name = n.Name
	}
	if r.GetOperation() == admission.Update {
		n, ok := r.GetObject().(*corev1.Node)
		old, oldOK := r.GetOldObject().(*corev1.Node)
		if !ok || !oldOK {
			return apierrors.NewBadRequest(fmt.Sprintf("unexpected types %T and %T", r.GetObject(), r.GetOldObject()))
		}
		if err := nodeUpdate(r, n, old); err != nil {
			return err
		}
	}
	if name != r.node {
		return r.forbid("node %q is not allowed to modify node %q", r.node, name)
	}
	return nil
}

func nodeUpdate(r *request, n, old *corev1.Node) error {
	if !equality.Semantic.DeepEqual(n.Spec.Taints, old.Spec.Taints) {
		return r.forbid("node %q is not allowed to modify taints", r.node)
	}
	if bad := forbiddenLabels(changedLabels(n.Labels, old.Labels)); len(bad) > 0 {
		return r.forbid("is not allowed to modify labels: %s", strings.Join(bad, ", "))
	}
	if !equality.Semantic.DeepEqual(n.OwnerReferences, old.OwnerReferences) {
		return r.forbid("node %q is not allowed to modify ownerReferences", r.node)
	}
	return nil
}

// changedLabels are the keys added, removed or set to another value.
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

// forbiddenLabels are those of keys that an agent may not touch: of
// Kubernetes' own domains all but the few about the machine itself.
func forbiddenLabels(keys []string) []string {
	return slices.DeleteFunc(keys, func(k string) bool {
		domain, _, qualified := strings.Cut(k, "/")
		if !qualified {
			return true
		}
		if within(domain, corev1.LabelNamespaceNodeRestriction) {
			return false
		}
		return !(within(domain, "kubernetes.io") || within(domain, "k8s.io")) || agentLabel(k, domain)
	})
}

func agentLabel(key, domain string) bool {
	switch key {
	case corev1.LabelHostname, corev1.LabelTopologyZone, corev1.LabelTopologyRegion,
		corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
		corev1.LabelInstanceType, corev1.LabelInstanceTypeStable,
		corev1.LabelOSStable, corev1.LabelArchStable, "beta.kubernetes.io/os", "beta.kubernetes.io/arch":
		return true
	}
	return within(domain, corev1.LabelNamespaceSuffixKubelet) || within(domain, corev1.LabelNamespaceSuffixNode)
}

func within(domain, parent string) bool {
	return domain == parent || strings.HasSuffix(domain, "."+parent)
}

// claimStatus: an agent that has resized a volume says so, and nothing else.
func claimStatus(r *request) error {
	if r.GetOperation() != admission.Update {
		return r.forbid("unexpected operation %q", r.GetOperation())
	}
	claim, ok := r.GetObject().(*corev1.PersistentVolumeClaim)
	old, oldOK := r.GetOldObject().(*corev1.PersistentVolumeClaim)
	if !ok || !oldOK {
		return apierrors.NewBadRequest(fmt.Sprintf("unexpected types %T and %T", r.GetObject(), r.GetOldObject()))
	}
	a, b := claim.DeepCopy(), old.DeepCopy()
	for _, c := range []*corev1.PersistentVolumeClaim{a, b} {
		c.ResourceVersion, c.ManagedFields = "", nil
		c.Status.Capacity, c.Status.Conditions = nil, nil
		c.Status.AllocatedResourceStatuses, c.Status.AllocatedResources = nil, nil
		c.Status.ModifyVolumeStatus, c.Status.CurrentVolumeAttributesClassName = nil, nil
	}
	if !equality.Semantic.DeepEqual(a, b) {
		return r.forbid("node %q is not allowed to update fields other than status.capacity and status.conditions", r.node)
	}
	return nil
}

func resourceSlice(r *request) error {
	object := r.GetObject()
	if r.GetOperation() == admission.Delete {
		object = r.GetOldObject()
	}
	slice, ok := object.(*resourcev1.ResourceSlice)
	if !ok {
		return apierrors.NewBadRequest(fmt.Sprintf("unexpected type %T", object))
	}
	if slice.Spec.NodeName == nil || *slice.Spec.NodeName != r.node {
		return r.forbid("can only %s ResourceSlice with the same NodeName as the requesting node", strings.ToLower(string(r.GetOperation())))
	}
	return nil
}

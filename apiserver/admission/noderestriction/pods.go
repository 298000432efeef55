package noderestriction

import (
	"context"
	"fmt"
	"maps"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

// mirrorPod: it shows what the node runs on its own and may give it nothing.
func (p *Plugin) mirrorPod(ctx context.Context, r *request, pod *corev1.Pod) error {
	if _, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]; !ok {
		return r.forbid("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, r.node)
	}
	if pod.Spec.NodeName != r.node {
		return r.forbid("node %q can only create pods with spec.nodeName set to itself", r.node)
	}
	if err := p.ownedByNode(ctx, r, pod); err != nil {
		return err
	}
	if pod.Spec.ServiceAccountName != "" {
		return r.forbid("node %q can not create pods that reference a service account", r.node)
	}
	if kind := references(pod); kind != "" {
		return r.forbid("node %q can not create pods that reference %s", r.node, kind)
	}
	return nil
}

func (p *Plugin) ownedByNode(ctx context.Context, r *request, pod *corev1.Pod) error {
	switch len(pod.OwnerReferences) {
	case 0:
		return r.forbid("node %q can only create pods with an owner reference set to itself", r.node)
	case 1:
	default:
		return r.forbid("node %q can only create pods with a single owner reference set to itself", r.node)
	}
	owner := pod.OwnerReferences[0]
	if owner.APIVersion != "v1" || owner.Kind != "Node" || owner.Name != r.node {
		return r.forbid("node %q can only create pods with an owner reference set to itself", r.node)
	}
	if !ptr.Deref(owner.Controller, false) {
		return r.forbid("node %q can only create pods with a controller owner reference set to itself", r.node)
	}
	if ptr.Deref(owner.BlockOwnerDeletion, false) {
		return r.forbid("node %q must not set blockOwnerDeletion on an owner reference", r.node)
	}
	node, err := p.objects.LiveNode(ctx, r.node)
	if apierrors.IsNotFound(err) {
		return r.forbid("node %q not found", r.node)
	}
	if err != nil {
		return err
	}
	if owner.UID != node.UID {
		return r.forbid("node %s UID mismatch: expected %s got %s", owner.Name, owner.UID, node.UID)
	}
	return nil
}

// references names the kind of API object that the pod uses; empty is none.
func references(pod *corev1.Pod) string {
	if len(pod.Spec.ImagePullSecrets) > 0 {
		return "secrets"
	}
	if len(pod.Spec.ResourceClaims) > 0 {
		return "resourceclaims"
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil {
				return "secrets"
			}
			if e.ConfigMapRef != nil {
				return "configmaps"
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				return "secrets"
			}
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				return "configmaps"
			}
		}
	}
	for _, v := range pod.Spec.Volumes {
		if kind := referencedBy(v); kind != "" {
			return kind
		}
	}
	return ""
}

func referencedBy(v corev1.Volume) string {
	switch {
	case v.Secret != nil:
		return "secrets"
	case v.ConfigMap != nil:
		return "configmaps"
	case v.PersistentVolumeClaim != nil, v.Ephemeral != nil:
		return "persistentvolumeclaims"
	case v.CSI != nil && v.CSI.NodePublishSecretRef != nil, v.ISCSI != nil && v.ISCSI.SecretRef != nil,
		v.FlexVolume != nil && v.FlexVolume.SecretRef != nil, v.CephFS != nil && v.CephFS.SecretRef != nil,
		v.RBD != nil && v.RBD.SecretRef != nil, v.AzureFile != nil:
		return "secrets"
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			switch {
			case s.Secret != nil:
				return "secrets"
			case s.ConfigMap != nil:
				return "configmaps"
			case s.ServiceAccountToken != nil:
				return "a service account"
			case s.ClusterTrustBundle != nil:
				return "clustertrustbundles"
			}
		}
	}
	return ""
}

// token: only for a pod of this node, and bound to it.
func (p *Plugin) token(ctx context.Context, r *request) error {
	if r.GetOperation() != admission.Create {
		return nil
	}
	tr, ok := r.GetObject().(*authenticationv1.TokenRequest)
	if !ok {
		return apierrors.NewBadRequest(fmt.Sprintf("unexpected type %T", r.GetObject()))
	}
	ref := tr.Spec.BoundObjectRef
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return r.forbid("node requested token not bound to a pod")
	}
	if ref.UID == "" {
		return r.forbid("node requested token with a pod binding without a uid")
	}
	pod, err := p.objects.LivePod(ctx, r.GetNamespace(), ref.Name)
	if apierrors.IsNotFound(err) {
		return err
	}
	if err != nil {
		return r.forbid("%w", err)
	}
	if ref.UID != pod.UID {
		return r.forbid("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	}
	if pod.Spec.NodeName != r.node {
		return r.forbid("node requested token bound to a pod scheduled on a different node")
	}
	return p.audience(ctx, r, tr, pod)
}

func sameMap(a, b map[string]string) bool { return maps.Equal(a, b) }

func sameResourceClaims(a, b []corev1.PodResourceClaimStatus) bool {
	return equality.Semantic.DeepEqual(a, b)
}

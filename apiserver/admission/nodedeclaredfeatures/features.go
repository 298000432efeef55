// Package nodedeclaredfeatures refuses changes of a pod for which its node lacks
// a feature: those that nodes have are in their status.declaredFeatures. It is
// NodeDeclaredFeatureValidator of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
package nodedeclaredfeatures

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	features "k8s.io/component-helpers/nodedeclaredfeatures"

	"github.com/coracle-k8s/coracle/apis"
)

// Nodes reads nodes from storage.
type Nodes interface {
	LiveNode(ctx context.Context, name string) (*corev1.Node, error)
}

// Plugin is NodeDeclaredFeatureValidator.
type Plugin struct {
	*admission.Handler
	nodes    Nodes
	features *features.Framework
	version  *version.Version
}

var _ admission.ValidationInterface = Plugin{}

// New makes the plugin.
func New(nodes Nodes) Plugin {
	return Plugin{
		Handler: admission.NewHandler(admission.Update), nodes: nodes,
		features: features.DefaultFramework, version: version.MustParseSemantic(apis.KubernetesVersion),
	}
}

// Validate implements admission.ValidationInterface. A pod's generation tells
// whether its spec changed.
func (p Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" && a.GetSubresource() != "resize" {
		return nil
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	old, was := a.GetOldObject().(*corev1.Pod)
	if !ok || !was {
		return apierrors.NewBadRequest(fmt.Sprintf("expected a pod but got a %T", a.GetObject()))
	}
	if pod.Spec.NodeName == "" || pod.Generation == old.Generation {
		return nil
	}
	needs, err := p.features.InferForPodUpdate(info(old), info(pod), p.version)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("failed to infer pod capability requirements: %w", err))
	}
	if needs.IsEmpty() {
		return nil
	}
	node, err := p.nodes.LiveNode(ctx, pod.Spec.NodeName)
	switch {
	case apierrors.IsNotFound(err):
		return admission.NewForbidden(a, fmt.Errorf("node %q not found", pod.Spec.NodeName))
	case err != nil:
		return admission.NewForbidden(a, fmt.Errorf("failed to get node %q: %w", pod.Spec.NodeName, err))
	}
	found, err := p.features.MatchNode(needs, node)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("failed to match pod requirements against node %q: %w", node.Name, err))
	}
	if !found.IsMatch {
		return admission.NewForbidden(a, fmt.Errorf("pod update requires features %s which are not available on node %q", strings.Join(found.UnsatisfiedRequirements, ", "), node.Name))
	}
	return nil
}

func info(pod *corev1.Pod) *features.PodInfo {
	return &features.PodInfo{Spec: &pod.Spec, Status: &pod.Status}
}

// Package nodedeclaredfeatures refuses changes of a pod for which its node lacks
// a feature: those that nodes have are in their status.declaredFeatures. It is
// NodeDeclaredFeatureValidator of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
//
// The API of this package is not stable: see docs/api.md.
package nodedeclaredfeatures

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	features "k8s.io/component-helpers/nodedeclaredfeatures"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver/admission/boundpod"
)

// Plugin is NodeDeclaredFeatureValidator.
type Plugin struct {
	*admission.Handler
	nodes    boundpod.Nodes
	features *features.Framework
	version  *version.Version
}

var _ admission.ValidationInterface = Plugin{}

// New makes the plugin.
func New(nodes boundpod.Nodes) Plugin {
	return Plugin{
		Handler: admission.NewHandler(admission.Update), nodes: nodes,
		features: features.DefaultFramework, version: version.MustParseSemantic(apis.KubernetesVersion),
	}
}

// Validate implements admission.ValidationInterface.
func (p Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" && a.GetSubresource() != "resize" {
		return nil
	}
	pod, old, err := boundpod.Change(a)
	if err != nil || pod == nil {
		return err
	}
	needs, err := p.features.InferForPodUpdate(info(old), info(pod), p.version)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("failed to infer pod capability requirements: %w", err))
	}
	if needs.IsEmpty() {
		return nil
	}
	node, err := boundpod.NodeOf(ctx, a, p.nodes, pod)
	if err != nil {
		return err
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

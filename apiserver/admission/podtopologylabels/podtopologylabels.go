// Package podtopologylabels copies zone and region of a node to the pods bound
// to it: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podtopologylabels.
//
// The API of this package is not stable: see docs/api.md.
package podtopologylabels

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
)

// Nodes gives the labels of a node, nil if there is no such node.
type Nodes interface {
	NodeLabels(ctx context.Context, name string) (map[string]string, error)
}

// Plugin is PodTopologyLabels.
type Plugin struct {
	*admission.Handler
	nodes Nodes
}

var _ admission.MutationInterface = &Plugin{}

// New makes the plugin.
func New(nodes Nodes) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create), nodes: nodes}
}

// Admit labels a pod that is created on a node, or the Binding that puts it
// there, whose labels the pod gets.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil
	}
	switch a.GetSubresource() {
	case "":
		if pod, ok := a.GetObject().(*corev1.Pod); ok && pod.Spec.NodeName != "" {
			return p.label(ctx, pod.Spec.NodeName, pod)
		}
	case "binding":
		if b, ok := a.GetObject().(*corev1.Binding); ok && b.Target.Kind == "Node" {
			return p.label(ctx, b.Target.Name, b)
		}
	}
	return nil
}

func (p *Plugin) label(ctx context.Context, node string, to metav1.Object) error {
	labels, err := p.nodes.NodeLabels(ctx, node)
	if err != nil {
		return err
	}
	for _, key := range []string{corev1.LabelTopologyZone, corev1.LabelTopologyRegion} {
		value, ok := labels[key]
		if !ok {
			continue
		}
		now := to.GetLabels()
		if now == nil {
			now = map[string]string{}
		}
		now[key] = value
		to.SetLabels(now)
	}
	return nil
}

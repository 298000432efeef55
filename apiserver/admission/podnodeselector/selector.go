// Package podnodeselector gives pods the node selector of their namespace, an
// annotation, and holds them to what a namespace is allowed. It is
// PodNodeSelector of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podnodeselector.
//
// The API of this package is not stable: see docs/api.md.
package podnodeselector

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"sigs.k8s.io/yaml"
)

// annotation names the annotation that holds a namespace's selector.
const annotation = "scheduler.alpha.kubernetes.io/node-selector"

// clusterDefault is the key of the selector for namespaces without one.
const clusterDefault = "clusterDefaultNodeSelector"

// Namespaces looks namespaces up: in memory, else in storage.
type Namespaces interface {
	GetNamespace(ctx context.Context, name string) (*corev1.Namespace, error)
}

// Plugin is PodNodeSelector.
type Plugin struct {
	*admission.Handler
	namespaces Namespaces
	selectors  map[string]string // the default, and what each namespace is limited to
}

var (
	_ admission.MutationInterface   = Plugin{}
	_ admission.ValidationInterface = Plugin{}
)

// New makes the plugin. config, which may be nil, is YAML with a map
// podNodeSelectorPluginConfig from namespaces to what their pods may select,
// a=b,c=d, and under clusterDefaultNodeSelector the selector of namespaces
// without the annotation.
func New(namespaces Namespaces, config io.Reader) (Plugin, error) {
	p := Plugin{Handler: admission.NewHandler(admission.Create), namespaces: namespaces}
	if config == nil {
		return p, nil
	}
	data, err := io.ReadAll(config)
	if err != nil {
		return p, fmt.Errorf("reading the configuration of node selectors: %w", err)
	}
	var file struct {
		Selectors map[string]string `json:"podNodeSelectorPluginConfig"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return p, fmt.Errorf("reading the configuration of node selectors: %w", err)
	}
	p.selectors = file.Selectors
	return p, nil
}

// Admit implements admission.MutationInterface.
func (p Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(a)
	if pod == nil {
		return nil
	}
	wanted, err := p.wanted(ctx, a, pod)
	if err != nil {
		return err
	}
	pod.Spec.NodeSelector = labels.Merge(wanted, pod.Spec.NodeSelector)
	return p.limit(a, pod)
}

// Validate implements admission.ValidationInterface.
func (p Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod := podOf(a)
	if pod == nil {
		return nil
	}
	if _, err := p.wanted(ctx, a, pod); err != nil {
		return err
	}
	return p.limit(a, pod)
}

func podOf(a admission.Attributes) *corev1.Pod {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" {
		return nil
	}
	pod, _ := a.GetObject().(*corev1.Pod)
	return pod
}

// wanted returns the namespace's selector, which the pod's may not contradict.
func (p Plugin) wanted(ctx context.Context, a admission.Attributes, pod *corev1.Pod) (labels.Set, error) {
	ns, err := p.namespaces.GetNamespace(ctx, a.GetNamespace())
	if apierrors.IsNotFound(err) {
		return nil, err
	}
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	selector, ok := ns.Annotations[annotation]
	if !ok {
		selector = p.selectors[clusterDefault]
	}
	set, err := labels.ConvertSelectorToLabelsMap(selector)
	if err != nil {
		return nil, err
	}
	if labels.Conflicts(set, pod.Spec.NodeSelector) {
		return nil, apierrors.NewForbidden(corev1.Resource("pods"), pod.Name, errors.New("pod node label selector conflicts with its namespace node label selector"))
	}
	return set, nil
}

// limit holds the pod to what its namespace is allowed, if that is limited.
func (p Plugin) limit(a admission.Attributes, pod *corev1.Pod) error {
	allowed, err := labels.ConvertSelectorToLabelsMap(p.selectors[a.GetNamespace()])
	if err != nil {
		return err
	}
	if len(allowed) == 0 {
		return nil
	}
	for key, value := range pod.Spec.NodeSelector {
		if v, ok := allowed[key]; !ok || v != value {
			return apierrors.NewForbidden(corev1.Resource("pods"), pod.Name, errors.New("pod node label selector labels conflict with its namespace whitelist"))
		}
	}
	return nil
}

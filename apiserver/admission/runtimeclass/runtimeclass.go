// Package runtimeclass gives pods the overhead, node selector and tolerations
// of their RuntimeClass:
// https://kubernetes.io/docs/concepts/containers/runtime-class/.
//
// The API of this package is not stable: see docs/api.md.
package runtimeclass

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"
)

// Classes looks runtime classes up. They are not changed.
type Classes interface {
	RuntimeClass(ctx context.Context, name string) (class *nodev1.RuntimeClass, found bool, err error)
}

// Plugin is RuntimeClass.
type Plugin struct {
	*admission.Handler
	classes Classes
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New makes the plugin.
func New(classes Classes) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create), classes: classes}
}

// Admit sets overhead, node selector and tolerations of a pod that names a class.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := podOf(a)
	if !ok {
		return nil
	}
	class, err := p.classOf(ctx, a, pod)
	if err != nil || class == nil {
		return err
	}
	if o := class.Overhead; o != nil {
		if len(pod.Spec.Overhead) > 0 && !equality.Semantic.DeepEqual(o.PodFixed, pod.Spec.Overhead) {
			return admission.NewForbidden(a, errMismatch)
		}
		pod.Spec.Overhead = o.PodFixed.DeepCopy()
	}
	if s := class.Scheduling; s != nil {
		return schedule(a, pod, s)
	}
	return nil
}

var (
	errMismatch = errors.New("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
	errOverhead = errors.New("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
)

// Validate refuses overhead that is not its class's, which a webhook may have changed.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := podOf(a)
	if !ok {
		return nil
	}
	class, err := p.classOf(ctx, a, pod)
	switch {
	case err != nil:
		return err
	case class == nil || class.Overhead == nil:
		if pod.Spec.Overhead != nil {
			return admission.NewForbidden(a, errOverhead)
		}
	case !equality.Semantic.DeepEqual(class.Overhead.PodFixed, pod.Spec.Overhead):
		return admission.NewForbidden(a, errMismatch)
	}
	return nil
}

func podOf(a admission.Attributes) (*corev1.Pod, bool) {
	if a.GetSubresource() != "" || a.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil, false
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	return pod, ok
}

// classOf returns nil for pods that name no class.
func (p *Plugin) classOf(ctx context.Context, a admission.Attributes, pod *corev1.Pod) (*nodev1.RuntimeClass, error) {
	name := pod.Spec.RuntimeClassName
	if name == nil {
		return nil, nil
	}
	class, ok, err := p.classes.RuntimeClass(ctx, *name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("finding the runtime class %s: %w", *name, err)
	case !ok:
		return nil, admission.NewForbidden(a, fmt.Errorf("pod rejected: RuntimeClass %q not found", *name))
	}
	return class, nil
}

func schedule(a admission.Attributes, pod *corev1.Pod, s *nodev1.Scheduling) error {
	selector := maps.Clone(pod.Spec.NodeSelector)
	for key, value := range s.NodeSelector {
		if selector == nil {
			selector = map[string]string{}
		}
		if had, ok := selector[key]; ok && had != value {
			return admission.NewForbidden(a, fmt.Errorf("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", key, value, key, had))
		}
		selector[key] = value
	}
	pod.Spec.NodeSelector = selector
	pod.Spec.Tolerations = merge(pod.Spec.Tolerations, s.Tolerations)
	return nil
}

// merge joins tolerations without those that another one includes.
func merge(first, second []corev1.Toleration) []corev1.Toleration {
	all := append(append([]corev1.Toleration(nil), first...), second...)
	var merged []corev1.Toleration
	for i := range all {
		if !redundant(all, i, merged) {
			merged = append(merged, *all[i].DeepCopy())
		}
	}
	return merged
}

// redundant reports whether all[i] is included in what was merged, or in a
// wider one that comes later. Of equal ones the first stays.
func redundant(all []corev1.Toleration, i int, merged []corev1.Toleration) bool {
	for j := range merged {
		if includes(&merged[j], &all[i]) {
			return true
		}
	}
	for j := i + 1; j < len(all); j++ {
		if !equality.Semantic.DeepEqual(all[i], all[j]) && includes(&all[j], &all[i]) {
			return true
		}
	}
	return false
}

// includes reports whether wide tolerates every taint that t tolerates, and as long.
func includes(wide, t *corev1.Toleration) bool {
	if equality.Semantic.DeepEqual(wide, t) {
		return true
	}
	everyKey := wide.Key == "" && wide.Operator == corev1.TolerationOpExists
	if t.Key != wide.Key && !everyKey || t.Effect != wide.Effect && wide.Effect != "" {
		return false
	}
	if limit := wide.TolerationSeconds; wide.Effect == corev1.TaintEffectNoExecute && limit != nil && (t.TolerationSeconds == nil || *t.TolerationSeconds > *limit) {
		return false
	}
	switch wide.Operator {
	case corev1.TolerationOpEqual, "":
		return t.Operator == corev1.TolerationOpEqual && t.Value == wide.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}

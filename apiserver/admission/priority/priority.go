// Package priority resolves the priority class of pods:
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/.
//
// The API of this package is not stable: see docs/api.md.
package priority

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/scheduling"
)

// Classes looks priority classes up. They are not changed.
type Classes interface {
	PriorityClass(ctx context.Context, name string) (class *schedulingv1.PriorityClass, found bool, err error)
	// PriorityClasses gives all of them.
	PriorityClasses(ctx context.Context) ([]*schedulingv1.PriorityClass, error)
}

// Plugin is Priority.
type Plugin struct {
	*admission.Handler
	classes Classes
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New makes the plugin. classes may be nil: then only the built-in ones exist.
func New(classes Classes) *Plugin {
	if classes == nil {
		classes = none{}
	}
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete), classes: classes}
}

// Admit sets priority and preemption policy of pods.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" {
		return nil
	}
	switch a.GetOperation() {
	case admission.Update:
		keep(pod, a.GetOldObject())
	case admission.Create:
		return p.admitPod(ctx, a, pod)
	}
	return nil
}

// keep lets clients that do not know these fields update pods.
func keep(pod *corev1.Pod, from any) {
	old, ok := from.(*corev1.Pod)
	if !ok {
		return
	}
	if pod.Spec.Priority == nil && old.Spec.Priority != nil {
		pod.Spec.Priority = ptr.To(*old.Spec.Priority)
	}
	if pod.Spec.PreemptionPolicy == nil && old.Spec.PreemptionPolicy != nil {
		pod.Spec.PreemptionPolicy = ptr.To(*old.Spec.PreemptionPolicy)
	}
}

func (p *Plugin) admitPod(ctx context.Context, a admission.Attributes, pod *corev1.Pod) error {
	class, err := p.classOf(ctx, a, pod)
	if err != nil {
		return err
	}
	pod.Spec.PriorityClassName = class.Name
	if pod.Spec.Priority != nil && *pod.Spec.Priority != class.Value {
		return admission.NewForbidden(a, fmt.Errorf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *pod.Spec.Priority, class.Value))
	}
	pod.Spec.Priority = ptr.To(class.Value)
	policy := ptr.Deref(class.PreemptionPolicy, corev1.PreemptLowerPriority)
	if pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy != policy {
		return admission.NewForbidden(a, fmt.Errorf("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *pod.Spec.PreemptionPolicy, policy))
	}
	pod.Spec.PreemptionPolicy = ptr.To(policy)
	return nil
}

// classOf gives the class a pod names, or the default: the lowest of those
// marked so (there is one, unless two were stored at once), or priority 0.
func (p *Plugin) classOf(ctx context.Context, a admission.Attributes, pod *corev1.Pod) (*schedulingv1.PriorityClass, error) {
	if name := pod.Spec.PriorityClassName; name != "" {
		if class, ok := scheduling.SystemClass(name); ok {
			return class, nil
		}
		class, ok, err := p.classes.PriorityClass(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("failed to resolve PriorityClass with name %s: %w", name, err)
		}
		if !ok {
			return nil, admission.NewForbidden(a, fmt.Errorf("no PriorityClass with name %v was found", name))
		}
		return class, nil
	}
	all, err := p.classes.PriorityClasses(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed to get default priority class: %w", err)
	}
	class := &schedulingv1.PriorityClass{}
	for _, c := range all {
		if c.GlobalDefault && (class.Name == "" || c.Value < class.Value) {
			class = c
		}
	}
	return class, nil
}

// Validate refuses a second default class.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	class, ok := a.GetObject().(*schedulingv1.PriorityClass)
	resource := schema.GroupResource{Group: schedulingv1.GroupName, Resource: "priorityclasses"}
	if !ok || a.GetResource().GroupResource() != resource || !class.GlobalDefault || a.GetOperation() == admission.Delete {
		return nil
	}
	all, err := p.classes.PriorityClasses(ctx)
	if err != nil {
		return fmt.Errorf("failed to get default priority class: %w", err)
	}
	for _, c := range all {
		if c.GlobalDefault && (a.GetOperation() == admission.Create || c.Name != class.Name) {
			return admission.NewForbidden(a, fmt.Errorf("PriorityClass %v is already marked as default. Only one default can exist", c.Name))
		}
	}
	return nil
}

type none struct{}

func (none) PriorityClass(context.Context, string) (*schedulingv1.PriorityClass, bool, error) {
	return nil, false, nil
}

func (none) PriorityClasses(context.Context) ([]*schedulingv1.PriorityClass, error) { return nil, nil }

// Package limitranger gives pods the default resources of the LimitRanges of
// their namespace and refuses pods and claims outside of them:
// https://kubernetes.io/docs/concepts/policy/limit-range/.
//
// The API of this package is not stable: see docs/api.md.
package limitranger

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
)

// annotation names the annotation that lists which values were filled in.
const annotation = "kubernetes.io/limit-ranger"

// LimitRanges gives the limit ranges of a namespace, ordered by name. They are
// not changed.
type LimitRanges interface {
	LimitRanges(ctx context.Context, namespace string) ([]*corev1.LimitRange, error)
}

// Plugin is LimitRanger.
type Plugin struct {
	*admission.Handler
	ranges LimitRanges
}

var (
	_ admission.MutationInterface   = &Plugin{}
	_ admission.ValidationInterface = &Plugin{}
)

// New makes the plugin.
func New(ranges LimitRanges) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), ranges: ranges}
}

// Admit fills in defaults of new pods.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetSubresource() != "" || a.GetOperation() != admission.Create {
		return nil
	}
	ranges, err := p.limits(ctx, a)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		applyDefaults(r, pod)
	}
	return nil
}

// Validate refuses what is outside.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	var check func(*corev1.LimitRange) []error
	switch o := a.GetObject().(type) {
	case *corev1.Pod:
		// A pod's resources change by the resize subresource only.
		if !(a.GetSubresource() == "" && a.GetOperation() == admission.Create) && a.GetSubresource() != "resize" {
			return nil
		}
		check = func(r *corev1.LimitRange) []error { return checkPod(r, o) }
	case *corev1.PersistentVolumeClaim:
		if a.GetSubresource() != "" {
			return nil
		}
		check = func(r *corev1.LimitRange) []error { return checkClaim(r, o) }
	default:
		return nil
	}
	ranges, err := p.limits(ctx, a)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		if err := utilerrors.NewAggregate(check(r)); err != nil {
			return admission.NewForbidden(a, err)
		}
	}
	return nil
}

func (p *Plugin) limits(ctx context.Context, a admission.Attributes) ([]*corev1.LimitRange, error) {
	ranges, err := p.ranges.LimitRanges(ctx, a.GetNamespace())
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("unable to %s %v at this time because there was an error enforcing limit ranges: %w", a.GetOperation(), a.GetResource(), err))
	}
	return ranges, nil
}

// applyDefaults fills in requests and limits that containers do not have.
func applyDefaults(r *corev1.LimitRange, pod *corev1.Pod) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for _, item := range r.Spec.Limits {
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		for k, v := range item.DefaultRequest {
			requests[k] = v.DeepCopy()
		}
		for k, v := range item.Default {
			limits[k] = v.DeepCopy()
		}
	}
	var notes []string
	for _, group := range []struct {
		kind       string
		containers []corev1.Container
	}{{"container", pod.Spec.Containers}, {"init container", pod.Spec.InitContainers}} {
		for i := range group.containers {
			c := &group.containers[i]
			if set := fill(&c.Resources.Requests, requests); len(set) > 0 {
				notes = append(notes, fmt.Sprintf("%s request for %s %s", strings.Join(set, ", "), group.kind, c.Name))
			}
			if set := fill(&c.Resources.Limits, limits); len(set) > 0 {
				notes = append(notes, fmt.Sprintf("%s limit for %s %s", strings.Join(set, ", "), group.kind, c.Name))
			}
		}
	}
	if len(notes) == 0 {
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[annotation] = "LimitRanger plugin set: " + strings.Join(notes, "; ")
}

func fill(list *corev1.ResourceList, defaults corev1.ResourceList) []string {
	var set []string
	for k, v := range defaults {
		if _, ok := (*list)[k]; ok {
			continue
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[k] = v.DeepCopy()
		set = append(set, string(k))
	}
	slices.Sort(set)
	return set
}

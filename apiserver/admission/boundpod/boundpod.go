// Package boundpod has code of admission plugins that look at changes of pods
// which have a node already.
//
// The API of this package is not stable: see docs/api.md.
package boundpod

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
)

// Nodes reads nodes from storage.
type Nodes interface {
	LiveNode(ctx context.Context, name string) (*corev1.Node, error)
}

// Change returns the pod before and after. pod is nil if it has no node, or if
// its spec did not change, by its generation.
func Change(a admission.Attributes) (pod, old *corev1.Pod, err error) {
	pod, ok := a.GetObject().(*corev1.Pod)
	old, was := a.GetOldObject().(*corev1.Pod)
	if !ok || !was {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("expected a pod but got a %T", a.GetObject()))
	}
	if pod.Spec.NodeName == "" || pod.Generation == old.Generation {
		return nil, nil, nil
	}
	return pod, old, nil
}

// NodeOf returns the pod's node. Without it the change is forbidden.
func NodeOf(ctx context.Context, a admission.Attributes, nodes Nodes, pod *corev1.Pod) (*corev1.Node, error) {
	node, err := nodes.LiveNode(ctx, pod.Spec.NodeName)
	switch {
	case apierrors.IsNotFound(err):
		return nil, admission.NewForbidden(a, fmt.Errorf("node %q not found", pod.Spec.NodeName))
	case err != nil:
		return nil, admission.NewForbidden(a, fmt.Errorf("failed to get node %q: %w", pod.Spec.NodeName, err))
	}
	return node, nil
}

// Package tainttolerationdefaults lets pods stay five minutes on a node that is not ready or
// unreachable, unless they have tolerations of their own: upstream's DefaultTolerationSeconds, see
// https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions.
//
// The API of this package is not stable: see docs/api.md.
package tainttolerationdefaults

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

// Plugin is DefaultTolerationSeconds.
type Plugin struct {
	*admission.Handler
	notReady, unreachable int64
}

var _ admission.MutationInterface = &Plugin{}

// New makes the plugin, for the seconds that a pod stays on a node that is not
// ready and on one that is unreachable.
func New(notReady, unreachable int64) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create, admission.Update), notReady: notReady, unreachable: unreachable}
}

// Admit implements admission.MutationInterface.
func (p *Plugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" {
		return nil
	}
	for _, taint := range []struct {
		key     string
		seconds int64
	}{{corev1.TaintNodeNotReady, p.notReady}, {corev1.TaintNodeUnreachable, p.unreachable}} {
		if !decided(pod.Spec.Tolerations, taint.key) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
				Key: taint.key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To(taint.seconds),
			})
		}
	}
	return nil
}

// decided reports whether the pod itself sets how long it tolerates the taint.
func decided(tolerations []corev1.Toleration, taint string) bool {
	for _, t := range tolerations {
		if (t.Key == taint || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "") {
			return true
		}
	}
	return false
}

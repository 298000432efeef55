// Package extendedresourcetoleration lets pods that ask for an extended
// resource, such as a GPU, onto nodes that are tainted with its name to be kept
// for them. It is ExtendedResourceToleration of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#extendedresourcetoleration.
//
// The API of this package is not stable: see docs/api.md.
package extendedresourcetoleration

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/admission"

	"github.com/coracle-k8s/coracle/apis/extendedresource"
)

// Plugin is ExtendedResourceToleration.
type Plugin struct{ *admission.Handler }

var _ admission.MutationInterface = Plugin{}

// New makes the plugin.
func New() Plugin { return Plugin{admission.NewHandler(admission.Create, admission.Update)} }

// Admit implements admission.MutationInterface.
func (Plugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetSubresource() != "" || a.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil
	}
	asked := sets.New[string]()
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range containers {
			for name := range c.Resources.Requests {
				if extendedresource.Is(name) {
					asked.Insert(string(name))
				}
			}
		}
	}
	for _, name := range sets.List(asked) {
		wanted := corev1.Toleration{Key: name, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool { return wanted.MatchToleration(&t) }) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, wanted)
		}
	}
	return nil
}

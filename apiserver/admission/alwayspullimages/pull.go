// Package alwayspullimages has every container's image pulled at each start, so that a pod cannot
// run images that other pods fetched with their credentials. It is AlwaysPullImages of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#alwayspullimages.
//
// The API of this package is not stable: see docs/api.md.
package alwayspullimages

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
)

// Plugin is AlwaysPullImages.
type Plugin struct{ *admission.Handler }

var (
	_ admission.MutationInterface   = Plugin{}
	_ admission.ValidationInterface = Plugin{}
)

// New makes the plugin.
func New() Plugin { return Plugin{admission.NewHandler(admission.Create, admission.Update)} }

// place is one of a pod's pull policies.
type place struct {
	path   *field.Path
	policy *corev1.PullPolicy
	image  string // empty for volumes
}

func places(pod *corev1.Pod) []place {
	var all []place
	spec := field.NewPath("spec")
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		all = append(all, place{spec.Child("initContainers").Index(i).Child("imagePullPolicy"), &c.ImagePullPolicy, c.Image})
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		all = append(all, place{spec.Child("containers").Index(i).Child("imagePullPolicy"), &c.ImagePullPolicy, c.Image})
	}
	for i := range pod.Spec.EphemeralContainers {
		c := &pod.Spec.EphemeralContainers[i]
		all = append(all, place{spec.Child("ephemeralContainers").Index(i).Child("imagePullPolicy"), &c.ImagePullPolicy, c.Image})
	}
	for i := range pod.Spec.Volumes {
		if v := pod.Spec.Volumes[i].Image; v != nil {
			all = append(all, place{spec.Child("volumes").Index(i).Child("image", "pullPolicy"), &v.PullPolicy, ""})
		}
	}
	return all
}

// concerned gives the places in a pod whose images are new.
func concerned(a admission.Attributes) []place {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetSubresource() != "" || a.GetResource().GroupResource() != corev1.Resource("pods") {
		return nil
	}
	all := places(pod)
	old, ok := a.GetOldObject().(*corev1.Pod)
	if !ok {
		return all
	}
	known := sets.New[string]()
	for _, p := range places(old) {
		known.Insert(p.image)
	}
	for _, p := range all {
		if p.image != "" && !known.Has(p.image) {
			return all
		}
	}
	return nil
}

// Admit implements admission.MutationInterface.
func (Plugin) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	for _, p := range concerned(a) {
		*p.policy = corev1.PullAlways
	}
	return nil
}

// Validate implements admission.ValidationInterface: a webhook may have changed
// what Admit set.
func (Plugin) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	var errs []error
	for _, p := range concerned(a) {
		if *p.policy != corev1.PullAlways {
			errs = append(errs, admission.NewForbidden(a, field.NotSupported(p.path, *p.policy, []corev1.PullPolicy{corev1.PullAlways})))
		}
	}
	return utilerrors.NewAggregate(errs)
}

package pods

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

const onlyResizable = "only cpu and memory resources are mutable"

// ValidatePodResize validates the subresource resize: CPU and memory of
// containers, and of the pod as a whole, may change.
func ValidatePodResize(p, old *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	if options.IsStatic(&old.ObjectMeta) {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods cannot be resized")}
	}
	if old.Spec.OS != nil && old.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "windows pods cannot be resized")}
	}
	errs := check.ObjectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podMetaAndSpec(p, podUpdateOptions(old))...)
	if pod.ComputeQOSClass(p) != pod.QOSClass(old) {
		errs = append(errs, field.Invalid(spec, p.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	if !resizable(old) {
		errs = append(errs, field.Forbidden(spec, "Pod running on node without support for resize"))
	}
	munged := p.Spec.DeepCopy()
	munged.DeprecatedServiceAccount = old.Spec.DeprecatedServiceAccount
	if hasPodResources(old) || hasPodResources(p) {
		errs = append(errs, podResourcesResize(spec, munged, &old.Spec)...)
	}
	if more := sameContainers(spec, &p.Spec, &old.Spec); len(more) > 0 {
		return append(errs, more...)
	}
	errs = append(errs, nothingRemoved(spec.Child("initContainers"), p.Spec.InitContainers, old.Spec.InitContainers)...)
	errs = append(errs, nothingRemoved(spec.Child("containers"), p.Spec.Containers, old.Spec.Containers)...)
	for i := range munged.Containers {
		restoreContainer(&munged.Containers[i], &old.Spec.Containers[i])
		if !equality.Semantic.DeepEqual(munged.Containers[i], old.Spec.Containers[i]) {
			errs = append(errs, field.Forbidden(spec, onlyResizable))
		}
	}
	for i := range munged.InitContainers {
		errs = append(errs, initResize(spec.Child("initContainers").Index(i), &munged.InitContainers[i], &old.Spec.InitContainers[i])...)
	}
	if !equality.Semantic.DeepEqual(p.Spec.Volumes, old.Spec.Volumes) {
		errs = append(errs, field.Forbidden(spec.Child("volumes"),
			"volumes are immutable on resize when InPlacePodVerticalScalingMemoryBackedVolumes feature gate is disabled"))
	}
	if len(errs) == 0 && !equality.Semantic.DeepEqual(*munged, old.Spec) {
		errs = append(errs, field.Forbidden(spec, onlyResizable))
	}
	return errs
}

// resizable reports whether the agent that runs p reports resources, which agents
// that cannot resize do not.
func resizable(p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Running != nil {
			return c.Resources != nil
		}
	}
	return true
}

func hasPodResources(p *corev1.Pod) bool {
	return p.Spec.Resources != nil && len(p.Spec.Resources.Requests)+len(p.Spec.Resources.Limits) > 0
}

// podResourcesResize validates the resources of the pod as a whole, and sets
// those that may change back in munged.
func podResourcesResize(spec *field.Path, munged, old *corev1.PodSpec) field.ErrorList {
	if old.Resources != nil && munged.Resources == nil {
		return field.ErrorList{field.Forbidden(spec.Child("resources"), "pod-level resources cannot be removed")}
	}
	var errs field.ErrorList
	was := corev1.ResourceRequirements{}
	if old.Resources != nil {
		was = *old.Resources
		errs = check.Forbid("pod-level resource requests cannot be removed",
			check.Given(spec.Child("resources", "requests"), removed(munged.Resources.Requests, was.Requests)))
		errs = append(errs, check.Forbid("pod-level resource limits cannot be removed",
			check.Given(spec.Child("resources", "limits"), removed(munged.Resources.Limits, was.Limits)))...)
	}
	if r := munged.Resources; r != nil {
		r.Requests, r.Limits = restoreResizable(r.Requests, was.Requests), restoreResizable(r.Limits, was.Limits)
		if old.Resources == nil && len(r.Requests)+len(r.Limits)+len(r.Claims) == 0 {
			munged.Resources = nil
		}
	}
	if !equality.Semantic.DeepEqual(munged.Resources, old.Resources) {
		errs = append(errs, field.Forbidden(spec, "only cpu and memory resources are mutable at pod-level"))
	}
	return errs
}

// sameContainers validates that the containers are those that were there, in their order.
func sameContainers(spec *field.Path, now, old *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	compare := func(name string, now, old []corev1.Container) {
		at := spec.Child(name)
		if len(now) != len(old) {
			errs = append(errs, field.Forbidden(at, name+" may not be added or removed on resize"))
			return
		}
		for i := range old {
			if now[i].Name != old[i].Name {
				errs = append(errs, field.Forbidden(at.Index(i).Child("name"), name+" may not be renamed or reordered on resize"))
			}
		}
	}
	compare("containers", now.Containers, old.Containers)
	compare("initContainers", now.InitContainers, old.InitContainers)
	return errs
}

func nothingRemoved(fldPath *field.Path, now, old []corev1.Container) field.ErrorList {
	var errs field.ErrorList
	for i := range old {
		at, n, o := fldPath.Index(i).Child("resources"), &now[i].Resources, &old[i].Resources
		errs = append(errs, check.Forbid("resource requests cannot be removed", check.Given(at.Child("requests"), removed(n.Requests, o.Requests)))...)
		errs = append(errs, check.Forbid("resource limits cannot be removed", check.Given(at.Child("limits"), removed(n.Limits, o.Limits)))...)
	}
	return errs
}

func initResize(fldPath *field.Path, munged, old *corev1.Container) field.ErrorList {
	changed := !equality.Semantic.DeepEqual(munged, old)
	restoreContainer(munged, old)
	var errs field.ErrorList
	if !equality.Semantic.DeepEqual(munged, old) {
		errs = append(errs, field.Forbidden(fldPath, "only cpu and memory resources for init or sidecar containers are mutable"))
	}
	if !changed || pod.IsSidecar(munged) {
		return errs
	}
	for _, p := range munged.ResizePolicy {
		if p.RestartPolicy == corev1.RestartContainer {
			errs = append(errs, field.Forbidden(fldPath, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"))
		}
	}
	return errs
}

// removed reports whether a resource of old is not in now.
func removed(now, old corev1.ResourceList) bool {
	for name := range old {
		if _, ok := now[name]; !ok {
			return true
		}
	}
	return false
}

func restoreContainer(c, old *corev1.Container) {
	c.Resources.Limits = restoreResizable(c.Resources.Limits, old.Resources.Limits)
	c.Resources.Requests = restoreResizable(c.Resources.Requests, old.Resources.Requests)
}

// restoreResizable returns now with CPU and memory as they were in old.
func restoreResizable(now, old corev1.ResourceList) corev1.ResourceList {
	out := now.DeepCopy()
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		delete(out, name)
		if q, ok := old[name]; ok {
			if out == nil {
				out = corev1.ResourceList{}
			}
			out[name] = q.DeepCopy()
		}
	}
	return out
}

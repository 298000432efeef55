package nodeagent

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/nodeagent/containers"
	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// ensureImages makes sure of the container's image and those of its volumes,
// whose references it returns by volume.
func (w *worker) ensureImages(pod *corev1.Pod, c *corev1.Container) (images.Image, map[string]containers.ImageRef, *pods.Failure) {
	a := w.agent
	report := images.Report{
		Normal: func(reason, format string, args ...any) { a.normal(pod, reason, format, args...) },
		Warn:   func(reason, format string, args ...any) { a.warn(pod, reason, format, args...) },
	}
	refs := map[string]containers.ImageRef{}
	for _, v := range images.Volumes(pod, c) {
		asked := &corev1.Container{Image: v.Image.Reference, ImagePullPolicy: v.Image.PullPolicy}
		image, failure := a.puller.Ensure(w.setup, pod, asked, report)
		if failure != nil {
			return images.Image{}, nil, failure
		}
		refs[v.Name] = containers.ImageRef{ID: image.Ref, Name: v.Image.Reference}
	}
	image, failure := a.puller.Ensure(w.setup, pod, c, report)
	return image, refs, failure
}

package nodeagent

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
	"github.com/coracle-k8s/coracle/nodeagent/pods"
)

// imageVolumes returns the volumes with an image that the container mounts. The
// runtime mounts them; the agent sees to it that the images are there.
//
// Contract: https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/
func imageVolumes(pod *corev1.Pod, c *corev1.Container) []*corev1.Volume {
	var out []*corev1.Volume
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		mounted := func(m corev1.VolumeMount) bool { return m.Name == v.Name }
		if v.Image != nil && slices.ContainsFunc(c.VolumeMounts, mounted) {
			out = append(out, v)
		}
	}
	return out
}

// pullsAlways reports whether a start of the container looks for newer images.
func pullsAlways(pod *corev1.Pod, c *corev1.Container) bool {
	return c.ImagePullPolicy == corev1.PullAlways || slices.ContainsFunc(imageVolumes(pod, c), func(v *corev1.Volume) bool {
		return v.Image.PullPolicy == corev1.PullAlways
	})
}

// imageRef is an image as the runtime calls it, and as the pod does.
type imageRef struct{ id, name string }

// ensureImages makes sure of the container's image and those of its volumes,
// whose references it returns by volume.
func (w *worker) ensureImages(pod *corev1.Pod, c *corev1.Container) (images.Image, map[string]imageRef, *pods.Failure) {
	a := w.agent
	report := images.Report{
		Normal: func(reason, format string, args ...any) { a.normal(pod, reason, format, args...) },
		Warn:   func(reason, format string, args ...any) { a.warn(pod, reason, format, args...) },
	}
	refs := map[string]imageRef{}
	for _, v := range imageVolumes(pod, c) {
		asked := &corev1.Container{Image: v.Image.Reference, ImagePullPolicy: v.Image.PullPolicy}
		image, failure := a.puller.Ensure(w.setup, pod, asked, report)
		if failure != nil {
			return images.Image{}, nil, failure
		}
		refs[v.Name] = imageRef{image.Ref, v.Image.Reference}
	}
	image, failure := a.puller.Ensure(w.setup, pod, c, report)
	return image, refs, failure
}

// imageMount mounts an image volume, or a directory in it.
func (s *start) imageMount(m corev1.VolumeMount, ref imageRef, sub string) (*runtimeapi.Mount, error) {
	if sub != "" && !filepath.IsLocal(sub) {
		return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: subPath %q must be inside the volume", m.Name, s.container.Name, sub)
	}
	mount, err := podconfig.Mount(m, "", true)
	if err != nil {
		return nil, err
	}
	mount.Image = &runtimeapi.ImageSpec{Image: ref.id, UserSpecifiedImage: ref.name, Annotations: maps.Clone(s.pod.Annotations)}
	mount.ImageSubPath = sub
	return mount, nil
}

package images

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Volumes returns the volumes with an image that the container mounts. The
// runtime mounts them; the agent sees to it that the images are there.
//
// Contract: https://kubernetes.io/docs/tasks/configure-pod-container/image-volumes/
func Volumes(pod *corev1.Pod, c *corev1.Container) []*corev1.Volume {
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

// PullsAlways reports whether a start of the container looks for newer images.
func PullsAlways(pod *corev1.Pod, c *corev1.Container) bool {
	return c.ImagePullPolicy == corev1.PullAlways || slices.ContainsFunc(Volumes(pod, c), func(v *corev1.Volume) bool {
		return v.Image.PullPolicy == corev1.PullAlways
	})
}

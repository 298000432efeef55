package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// DropDisabledTemplateFields is DropDisabledPodFields of a template, and clears
// annotations that once stood for fields. Old is nil for a new object.
func DropDisabledTemplateFields(t, old *corev1.PodTemplateSpec) {
	var was *corev1.PodSpec
	if old != nil {
		was = &old.Spec
	}
	DropDisabledPodFields(&t.Spec, was)
	DropInitContainerAnnotations(t.Annotations)
}

// DropInitContainerAnnotations clears what init containers were before v1.8.
func DropInitContainerAnnotations(a map[string]string) {
	for _, version := range []string{"alpha", "beta"} {
		delete(a, "pod."+version+".kubernetes.io/init-containers")
		delete(a, "pod."+version+".kubernetes.io/init-container-statuses")
	}
}

// DropDisabledPodFields clears the fields of s whose feature is alpha in
// v1.37, and so off, unless old, the stored spec, has them in use already. Old
// is nil for a new object. Strategies call it before validation.
func DropDisabledPodFields(s, old *corev1.PodSpec) {
	var had alphaFields
	if old != nil {
		had = alphaFieldsOf(old)
	}
	if !had.responders {
		s.EvictionResponders = nil
	}
	if !had.group {
		s.SchedulingGroup = nil
	}
	if !had.emptyDirMode {
		for i := range s.Volumes {
			if e := s.Volumes[i].EmptyDir; e != nil {
				e.Mode = nil
			}
		}
	}
	if !had.users {
		visitUsers(s, func(user **int64) { *user = nil })
	}
	pod.VisitContainers(s, func(c *corev1.Container, _ pod.ContainerType) bool {
		if !had.bindOptions {
			for i := range c.VolumeMounts {
				c.VolumeMounts[i].BindMountOptions = nil
			}
		}
		if l := c.Lifecycle; !had.stopSignal && l != nil && l.StopSignal != nil {
			l.StopSignal = nil
			if *l == (corev1.Lifecycle{}) {
				c.Lifecycle = nil
			}
		}
		if !had.probes {
			visitProbes(c, func(p *corev1.ProbeHandler) {
				if p.HTTPGet != nil {
					p.HTTPGet.Protocol = nil
				}
				if p.GRPC != nil {
					p.GRPC.Mode = nil
				}
			})
		}
		return true
	})
}

// alphaFields holds the features that a stored spec uses.
type alphaFields struct {
	responders, group, emptyDirMode, users, bindOptions, probes, stopSignal bool
}

func alphaFieldsOf(s *corev1.PodSpec) alphaFields {
	a := alphaFields{responders: len(s.EvictionResponders) > 0, group: s.SchedulingGroup != nil}
	for i := range s.Volumes {
		e := s.Volumes[i].EmptyDir
		a.emptyDirMode = a.emptyDirMode || e != nil && e.Mode != nil
	}
	visitUsers(s, func(user **int64) { a.users = a.users || *user != nil })
	pod.VisitContainers(s, func(c *corev1.Container, _ pod.ContainerType) bool {
		for i := range c.VolumeMounts {
			a.bindOptions = a.bindOptions || len(c.VolumeMounts[i].BindMountOptions) > 0
		}
		a.stopSignal = a.stopSignal || c.Lifecycle != nil && c.Lifecycle.StopSignal != nil
		visitProbes(c, func(p *corev1.ProbeHandler) {
			a.probes = a.probes || p.HTTPGet != nil && p.HTTPGet.Protocol != nil || p.GRPC != nil && p.GRPC.Mode != nil
		})
		return true
	})
	return a
}

func visitProbes(c *corev1.Container, visit func(*corev1.ProbeHandler)) {
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if p != nil {
			visit(&p.ProbeHandler)
		}
	}
	if c.Lifecycle == nil {
		return
	}
	for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
		if h != nil && h.HTTPGet != nil {
			visit(&corev1.ProbeHandler{HTTPGet: h.HTTPGet})
		}
	}
}

// visitUsers calls visit with every field that names the owner of a file in a volume.
func visitUsers(s *corev1.PodSpec, visit func(**int64)) {
	keys := func(list []corev1.KeyToPath) {
		for i := range list {
			visit(&list[i].User)
		}
	}
	files := func(list []corev1.DownwardAPIVolumeFile) {
		for i := range list {
			visit(&list[i].User)
		}
	}
	for i := range s.Volumes {
		v := &s.Volumes[i].VolumeSource
		if v.Secret != nil {
			visit(&v.Secret.DefaultUser)
			keys(v.Secret.Items)
		}
		if v.ConfigMap != nil {
			visit(&v.ConfigMap.DefaultUser)
			keys(v.ConfigMap.Items)
		}
		if v.DownwardAPI != nil {
			visit(&v.DownwardAPI.DefaultUser)
			files(v.DownwardAPI.Items)
		}
		if v.Projected != nil {
			visit(&v.Projected.DefaultUser)
			for j := range v.Projected.Sources {
				visitProjectionUsers(&v.Projected.Sources[j], visit, keys, files)
			}
		}
	}
}

func visitProjectionUsers(p *corev1.VolumeProjection, visit func(**int64), keys func([]corev1.KeyToPath), files func([]corev1.DownwardAPIVolumeFile)) {
	if p.Secret != nil {
		keys(p.Secret.Items)
	}
	if p.ConfigMap != nil {
		keys(p.ConfigMap.Items)
	}
	if p.DownwardAPI != nil {
		files(p.DownwardAPI.Items)
	}
	if p.ServiceAccountToken != nil {
		visit(&p.ServiceAccountToken.User)
	}
	if p.ClusterTrustBundle != nil {
		visit(&p.ClusterTrustBundle.User)
	}
	if p.PodCertificate != nil {
		visit(&p.PodCertificate.User)
	}
}

// DropDisabledPodStatusFields clears alpha fields of a pod's status that old
// does not have in use.
func DropDisabledPodStatusFields(s, old *corev1.PodStatus) {
	if len(old.NodeAllocatableResourceClaimStatuses) == 0 {
		s.NodeAllocatableResourceClaimStatuses = nil
	}
	if len(old.VolumeHealth) == 0 {
		s.VolumeHealth = nil
	}
	digests := false
	visitMounts(old, func(m *corev1.VolumeMountStatus) { digests = digests || m.VolumeStatus != nil })
	if !digests {
		visitMounts(s, func(m *corev1.VolumeMountStatus) { m.VolumeStatus = nil })
	}
}

func visitMounts(s *corev1.PodStatus, visit func(*corev1.VolumeMountStatus)) {
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses} {
		for i := range list {
			for j := range list[i].VolumeMounts {
				visit(&list[i].VolumeMounts[j])
			}
		}
	}
}

// DropDisabledNodeFields forgets what belongs to features that were removed, or
// are off, unless old (nil on creation) has it.
func DropDisabledNodeFields(n, old *corev1.Node) {
	if old == nil {
		old = &corev1.Node{}
	}
	if old.Spec.ConfigSource == nil {
		n.Spec.ConfigSource = nil
	}
	if old.Status.Config == nil {
		n.Status.Config = nil
	}
	if old.Spec.PodPreemptionPolicy == nil {
		n.Spec.PodPreemptionPolicy = nil
	}
}

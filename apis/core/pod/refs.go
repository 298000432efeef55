package pod

import (
	corev1 "k8s.io/api/core/v1"
)

// VisitSecretNames calls visit with the name of every secret that s refers to:
// pull secrets, environment, volumes. A name may come more than once. It stops
// when visit returns false, and tells whether it came to the end.
func VisitSecretNames(s *corev1.PodSpec, visit func(string) bool) bool {
	for _, r := range s.ImagePullSecrets {
		if !visit(r.Name) {
			return false
		}
	}
	ok := VisitContainers(s, func(c *corev1.Container, _ ContainerType) bool {
		for _, e := range c.EnvFrom {
			if e.SecretRef != nil && !visit(e.SecretRef.Name) {
				return false
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && !visit(e.ValueFrom.SecretKeyRef.Name) {
				return false
			}
		}
		return true
	})
	if !ok {
		return false
	}
	for i := range s.Volumes {
		for _, name := range volumeSecrets(&s.Volumes[i].VolumeSource) {
			if !visit(name) {
				return false
			}
		}
	}
	return true
}

func volumeSecrets(v *corev1.VolumeSource) []string {
	local := func(r *corev1.LocalObjectReference) []string {
		if r == nil {
			return nil
		}
		return []string{r.Name}
	}
	switch {
	case v.Secret != nil:
		return []string{v.Secret.SecretName}
	case v.Projected != nil:
		var names []string
		for _, p := range v.Projected.Sources {
			if p.Secret != nil {
				names = append(names, p.Secret.Name)
			}
		}
		return names
	case v.AzureFile != nil:
		if v.AzureFile.SecretName == "" {
			return nil
		}
		return []string{v.AzureFile.SecretName}
	case v.CephFS != nil:
		return local(v.CephFS.SecretRef)
	case v.Cinder != nil:
		return local(v.Cinder.SecretRef)
	case v.FlexVolume != nil:
		return local(v.FlexVolume.SecretRef)
	case v.RBD != nil:
		return local(v.RBD.SecretRef)
	case v.ScaleIO != nil:
		return local(v.ScaleIO.SecretRef)
	case v.ISCSI != nil:
		return local(v.ISCSI.SecretRef)
	case v.StorageOS != nil:
		return local(v.StorageOS.SecretRef)
	case v.CSI != nil:
		return local(v.CSI.NodePublishSecretRef)
	}
	return nil
}

// VisitConfigMapNames calls visit with the name of every ConfigMap that s
// refers to. A name may come more than once. It stops when visit returns
// false, and tells whether it came to the end.
func VisitConfigMapNames(s *corev1.PodSpec, visit func(string) bool) bool {
	ok := VisitContainers(s, func(c *corev1.Container, _ ContainerType) bool {
		for _, e := range c.EnvFrom {
			if e.ConfigMapRef != nil && !visit(e.ConfigMapRef.Name) {
				return false
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil && !visit(e.ValueFrom.ConfigMapKeyRef.Name) {
				return false
			}
		}
		return true
	})
	if !ok {
		return false
	}
	for i := range s.Volumes {
		v := &s.Volumes[i]
		if v.ConfigMap != nil && !visit(v.ConfigMap.Name) {
			return false
		}
		if v.Projected == nil {
			continue
		}
		for _, p := range v.Projected.Sources {
			if p.ConfigMap != nil && !visit(p.ConfigMap.Name) {
				return false
			}
		}
	}
	return true
}

// VisitClaimNames calls visit with the name of every PersistentVolumeClaim of
// p: those it names, and those that generic ephemeral volumes make for it
// (named POD-VOLUME). It stops when visit returns false, and tells whether it
// came to the end.
func VisitClaimNames(p *corev1.Pod, visit func(string) bool) bool {
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if v.PersistentVolumeClaim != nil && !visit(v.PersistentVolumeClaim.ClaimName) {
			return false
		}
		if v.Ephemeral != nil && !visit(p.Name+"-"+v.Name) {
			return false
		}
	}
	return true
}

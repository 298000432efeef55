package objects

import (
	corev1 "k8s.io/api/core/v1"
)

// Kind is one of the two kinds this package reads.
type Kind string

// The kinds an agent reads by reference.
const (
	ConfigMap Kind = "ConfigMap"
	Secret    Kind = "Secret"
)

// Key names one object.
type Key struct {
	Kind      Kind
	Namespace string
	Name      string
}

// References returns the set of all ConfigMaps and Secrets that the pod's spec
// names: in volumes, environment and image pull secrets.
func References(pod *corev1.Pod) map[Key]struct{} {
	refs := refSet{namespace: pod.Namespace, keys: map[Key]struct{}{}}
	for _, s := range pod.Spec.ImagePullSecrets {
		refs.add(Secret, s.Name)
	}
	for i := range pod.Spec.InitContainers {
		refs.container(&pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		refs.container(&pod.Spec.Containers[i])
	}
	for i := range pod.Spec.EphemeralContainers {
		c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
		refs.container(&c)
	}
	for i := range pod.Spec.Volumes {
		refs.volume(&pod.Spec.Volumes[i])
	}
	return refs.keys
}

type refSet struct {
	namespace string
	keys      map[Key]struct{}
}

func (r *refSet) add(kind Kind, name string) {
	if name != "" {
		r.keys[Key{Kind: kind, Namespace: r.namespace, Name: name}] = struct{}{}
	}
}

func (r *refSet) container(c *corev1.Container) {
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			r.add(ConfigMap, from.ConfigMapRef.Name)
		}
		if from.SecretRef != nil {
			r.add(Secret, from.SecretRef.Name)
		}
	}
	for _, e := range c.Env {
		if e.ValueFrom == nil {
			continue
		}
		if ref := e.ValueFrom.ConfigMapKeyRef; ref != nil {
			r.add(ConfigMap, ref.Name)
		}
		if ref := e.ValueFrom.SecretKeyRef; ref != nil {
			r.add(Secret, ref.Name)
		}
	}
}

func (r *refSet) volume(v *corev1.Volume) {
	if v.ConfigMap != nil {
		r.add(ConfigMap, v.ConfigMap.Name)
	}
	if v.Secret != nil {
		r.add(Secret, v.Secret.SecretName)
	}
	if v.Projected == nil {
		return
	}
	for _, s := range v.Projected.Sources {
		if s.ConfigMap != nil {
			r.add(ConfigMap, s.ConfigMap.Name)
		}
		if s.Secret != nil {
			r.add(Secret, s.Secret.Name)
		}
	}
}

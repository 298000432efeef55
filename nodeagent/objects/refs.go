package objects

import (
	"iter"

	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/apis/core/pod"
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

// References returns the set of all ConfigMaps and Secrets that the pod names.
func References(p *corev1.Pod) map[Key]struct{} {
	keys := map[Key]struct{}{}
	add := func(kind Kind, names iter.Seq[string]) {
		for name := range names {
			keys[Key{Kind: kind, Namespace: p.Namespace, Name: name}] = struct{}{}
		}
	}
	add(ConfigMap, pod.Names(p, pod.ConfigMaps))
	add(Secret, pod.Names(p, pod.Secrets))
	return keys
}

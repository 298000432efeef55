package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultClassAnnotation and its beta form mark a StorageClass as default:
// https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass.
const (
	DefaultClassAnnotation     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultClassAnnotation = "storageclass.beta.kubernetes.io/is-default-class"
)

// IsDefault reports whether the metadata of a StorageClass mark it as default.
func IsDefault(m *metav1.ObjectMeta) bool {
	return m.Annotations[DefaultClassAnnotation] == "true" || m.Annotations[betaDefaultClassAnnotation] == "true"
}

// DefaultClass gives the name of the default class, "" if there is none: the
// newest of those marked so, of equally old ones the first by name.
func DefaultClass(classes []storagev1.StorageClass) string {
	var chosen *storagev1.StorageClass
	for i := range classes {
		c := &classes[i]
		if IsDefault(&c.ObjectMeta) && (chosen == nil || Newer(&c.ObjectMeta, &chosen.ObjectMeta)) {
			chosen = c
		}
	}
	if chosen == nil {
		return ""
	}
	return chosen.Name
}

// Newer orders classes that are all marked as default: the first one is taken.
func Newer(a, b *metav1.ObjectMeta) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.After(b.CreationTimestamp.Time)
}

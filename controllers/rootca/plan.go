package rootca

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// ConfigMapName is the name of the published ConfigMap, a part of
	// Kubernetes' API (service-account volumes name it).
	ConfigMapName = "kube-root-ca.crt"

	descriptionAnnotation = "kubernetes.io/description"
	description           = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. " +
		"No other usage is guaranteed across distributions of Kubernetes clusters."
	caKey = "ca.crt"
)

// plan returns the object to create or to update, at most one of them; existing
// is nil when the namespace has none, and is never changed.
func plan(namespace, ca string, existing *corev1.ConfigMap) (create, update *corev1.ConfigMap) {
	if existing == nil {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:   namespace,
				Name:        ConfigMapName,
				Annotations: map[string]string{descriptionAnnotation: description},
			},
			Data: map[string]string{caKey: ca},
		}, nil
	}
	if len(existing.Data) == 1 && existing.Data[caKey] == ca && len(existing.BinaryData) == 0 &&
		existing.Annotations[descriptionAnnotation] == description {
		return nil, nil
	}
	update = existing.DeepCopy()
	update.Data = map[string]string{caKey: ca}
	update.BinaryData = nil
	if update.Annotations == nil {
		update.Annotations = map[string]string{}
	}
	update.Annotations[descriptionAnnotation] = description
	return nil, update
}

package serviceaccount

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// plan returns the accounts to create in ns, in the order of wanted. exists
// holds the names of the accounts the namespace already has.
func plan(ns *corev1.Namespace, wanted []string, exists map[string]bool) []*corev1.ServiceAccount {
	if !active(ns) {
		return nil
	}
	var create []*corev1.ServiceAccount
	for _, name := range wanted {
		if !exists[name] {
			create = append(create, &corev1.ServiceAccount{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: name},
			})
		}
	}
	return create
}

// active reports whether the namespace still takes new objects. A namespace
// without a phase has only just been created.
func active(ns *corev1.Namespace) bool {
	return ns.DeletionTimestamp.IsZero() && ns.Status.Phase != corev1.NamespaceTerminating
}

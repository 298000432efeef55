package warnings

import (
	"crypto/tls"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// SecretWarnings returns warnings about what is wrong with the certificate of a Secret for TLS.
func SecretWarnings(s *corev1.Secret) []string {
	if s.Type != corev1.SecretTypeTLS {
		return nil
	}
	if _, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]); err != nil {
		return []string{err.Error()}
	}
	return nil
}

const mountableSecrets = "kubernetes.io/enforce-mountable-secrets"

// ServiceAccountWarnings returns a warning if a deprecated annotation is new on sa.
func ServiceAccountWarnings(sa, old *corev1.ServiceAccount) []string {
	if old != nil {
		if _, ok := old.Annotations[mountableSecrets]; ok {
			return nil
		}
	}
	if _, ok := sa.Annotations[mountableSecrets]; !ok {
		return nil
	}
	return []string{fmt.Sprintf("metadata.annotations[%s]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets", mountableSecrets)}
}

// QuotaWarnings returns a warning for each request of a ResourceQuota that is above its limit.
func QuotaWarnings(q *corev1.ResourceQuota) []string {
	var list []string
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceStorage, corev1.ResourceEphemeralStorage} {
		limits, requests := "limits."+name, "requests."+name
		request, ok := q.Spec.Hard[requests]
		if !ok && (name == corev1.ResourceCPU || name == corev1.ResourceMemory) {
			requests = name
			request, ok = q.Spec.Hard[name]
		}
		if limit, limited := q.Spec.Hard[limits]; ok && limited && request.Cmp(limit) > 0 {
			list = append(list, fmt.Sprintf("ResourceQuota %s (%s) should be less than %s (%s)", requests, request.String(), limits, limit.String()))
		}
	}
	return list
}

// EndpointsWarnings returns a warning for each ambiguous address; the controller of
// Endpoints writes none.
func EndpointsWarnings(e *corev1.Endpoints) []string {
	if e.Labels["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
		return nil
	}
	w := warner{}
	for i, s := range e.Subsets {
		at := field.NewPath("subsets").Index(i)
		for j, a := range s.Addresses {
			w.ip(at.Child("addresses").Index(j).Child("ip"), a.IP)
		}
		for j, a := range s.NotReadyAddresses {
			w.ip(at.Child("notReadyAddresses").Index(j).Child("ip"), a.IP)
		}
	}
	return w.list
}

// NodeWarnings returns warnings about what is legal in a Node but means nothing.
func NodeWarnings(n *corev1.Node) []string {
	w := warner{}
	if n.Spec.ConfigSource != nil {
		w.list = append(w.list, "spec.configSource: the feature is removed")
	}
	if n.Spec.DoNotUseExternalID != "" {
		w.list = append(w.list, "spec.externalID: this field is deprecated, and is unused by Kubernetes")
	}
	for i, c := range n.Spec.PodCIDRs {
		w.cidr(field.NewPath("spec", "podCIDRs").Index(i), c)
	}
	return w.list
}

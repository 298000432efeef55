// Package certificates installs, defaults and validates the group
// certificates.k8s.io, and has the rules of the cluster's own signers.
package certificates

import (
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	certificatesv1beta1 "k8s.io/api/certificates/v1beta1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/coracle-k8s/coracle/apis/hub"
)

// Install registers certificates.k8s.io/v1, its hub, its defaults and field labels in
// s, and of v1beta1 what Kubernetes still serves. The hub has no pkixPublicKey and
// proofOfPossession of PodCertificateRequests, which only v1beta1 has.
func Install(s *runtime.Scheme) error {
	gv := certificatesv1.SchemeGroupVersion
	if err := certificatesv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", gv, err)
	}
	s.AddTypeDefaultingFunc(&certificatesv1.PodCertificateRequest{}, func(obj any) {
		SetDefaultsPodCertificateRequest(obj.(*certificatesv1.PodCertificateRequest))
	})
	s.AddTypeDefaultingFunc(&certificatesv1.PodCertificateRequestList{}, func(obj any) {
		for i := range obj.(*certificatesv1.PodCertificateRequestList).Items {
			SetDefaultsPodCertificateRequest(&obj.(*certificatesv1.PodCertificateRequestList).Items[i])
		}
	})
	for _, gv := range []schema.GroupVersion{gv, certificatesv1beta1.SchemeGroupVersion} {
		if err := addFieldLabels(s, gv); err != nil {
			return err
		}
	}
	if err := hub.Add(s, gv); err != nil {
		return err
	}
	return hub.AddVersion(s, certificatesv1beta1.SchemeGroupVersion, []runtime.Object{
		&certificatesv1beta1.ClusterTrustBundle{}, &certificatesv1beta1.ClusterTrustBundleList{},
		&certificatesv1beta1.PodCertificateRequest{}, &certificatesv1beta1.PodCertificateRequestList{},
	})
}

func addFieldLabels(s *runtime.Scheme, gv schema.GroupVersion) error {
	for kind, labels := range map[string][]string{
		"CertificateSigningRequest": {"metadata.name", "spec.signerName"},
		"ClusterTrustBundle":        {"metadata.name", "spec.signerName"},
		"PodCertificateRequest":     {"metadata.name", "spec.signerName", "spec.podName", "spec.nodeName"},
	} {
		if err := s.AddFieldLabelConversionFunc(gv.WithKind(kind), func(label, value string) (string, string, error) {
			if slices.Contains(labels, label) {
				return label, value, nil
			}
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}); err != nil {
			return fmt.Errorf("registering field labels of %s: %w", gv, err)
		}
	}
	return nil
}

// SetDefaultsPodCertificateRequest lets a certificate live for a day at most.
func SetDefaultsPodCertificateRequest(r *certificatesv1.PodCertificateRequest) {
	if r.Spec.MaxExpirationSeconds == nil {
		r.Spec.MaxExpirationSeconds = ptr.To[int32](24 * 60 * 60)
	}
}

// Package certificates installs, defaults and validates the group
// certificates.k8s.io, and has the rules of the cluster's own signers.
//
// The API of this package is not stable: see docs/api.md.
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
// s, and of v1beta1 what Kubernetes still serves. The hub of PodCertificateRequest is
// v1beta1, which alone has pkixPublicKey and proofOfPossession: v1 leaves them out.
func Install(s *runtime.Scheme) error {
	v1, v1beta1 := certificatesv1.SchemeGroupVersion, certificatesv1beta1.SchemeGroupVersion
	requests := []runtime.Object{&certificatesv1beta1.PodCertificateRequest{}, &certificatesv1beta1.PodCertificateRequestList{}}
	s.AddKnownTypes(v1beta1, requests...)
	if err := hub.Add(s, v1beta1); err != nil {
		return err
	}
	if err := certificatesv1.AddToScheme(s); err != nil {
		return fmt.Errorf("registering %s: %w", v1, err)
	}
	if err := hub.Add(s, v1); err != nil {
		return err
	}
	s.AddTypeDefaultingFunc(&certificatesv1beta1.PodCertificateRequest{}, func(obj any) {
		SetDefaultsPodCertificateRequest(obj.(*certificatesv1beta1.PodCertificateRequest))
	})
	s.AddTypeDefaultingFunc(&certificatesv1beta1.PodCertificateRequestList{}, func(obj any) {
		for i := range obj.(*certificatesv1beta1.PodCertificateRequestList).Items {
			SetDefaultsPodCertificateRequest(&obj.(*certificatesv1beta1.PodCertificateRequestList).Items[i])
		}
	})
	for _, gv := range []schema.GroupVersion{v1, v1beta1} {
		if err := addFieldLabels(s, gv); err != nil {
			return err
		}
	}
	if err := hub.AddVersion(s, v1, []runtime.Object{&certificatesv1.PodCertificateRequest{}, &certificatesv1.PodCertificateRequestList{}}); err != nil {
		return err
	}
	return hub.AddVersion(s, v1beta1, []runtime.Object{&certificatesv1beta1.ClusterTrustBundle{}, &certificatesv1beta1.ClusterTrustBundleList{}})
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
func SetDefaultsPodCertificateRequest(r *certificatesv1beta1.PodCertificateRequest) {
	if r.Spec.MaxExpirationSeconds == nil {
		r.Spec.MaxExpirationSeconds = ptr.To[int32](24 * 60 * 60)
	}
}

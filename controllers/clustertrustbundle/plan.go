package clustertrustbundle

import (
	"crypto/sha256"
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// actions are done in this order. At most one of create and update is set.
type actions struct {
	create, update *certificatesv1.ClusterTrustBundle
	remove         []*certificatesv1.ClusterTrustBundle
}

// plan compares all bundles there are with the signer's authorities, PEM.
func plan(signer, authorities string, bundles []certificatesv1.ClusterTrustBundle) actions {
	hash := sha256.Sum256([]byte(authorities))
	name := fmt.Sprintf("%s:%x", strings.ReplaceAll(signer, "/", ":"), hash[:12])
	var a actions
	found := false
	for i := range bundles {
		b := &bundles[i]
		switch {
		case b.Name == name:
			found = true
			if b.Spec.TrustBundle != authorities {
				a.update = b.DeepCopy()
				a.update.Spec.TrustBundle = authorities
			}
		case b.Spec.SignerName == signer:
			a.remove = append(a.remove, b)
		}
	}
	if !found {
		a.create = &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: signer, TrustBundle: authorities}}
	}
	return a
}

// Package clustertrustbundle serves certificates.k8s.io/v1 ClusterTrustBundles.
//
// The API of this package is not stable: see docs/api.md.
package clustertrustbundle

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/coracle-k8s/coracle/apis/certificates"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// New returns the resource.
func New() *registry.Resource {
	return registry.Kind[*certificatesv1.ClusterTrustBundle]{
		GVK:                    certificatesv1.SchemeGroupVersion.WithKind("ClusterTrustBundle"),
		OtherVersions:          []string{"v1beta1"},
		Gate:                   "ClusterTrustBundle",
		Plural:                 "clustertrustbundles",
		ClusterScoped:          true,
		NoGeneration:           true,
		RequireResourceVersion: true,
		New:                    func() *certificatesv1.ClusterTrustBundle { return &certificatesv1.ClusterTrustBundle{} },
		NewList:                func() runtime.Object { return &certificatesv1.ClusterTrustBundleList{} },
		Validate:               registry.Pure(certificates.ValidateClusterTrustBundle),
		ValidateUpdate:         registry.PureUpdate(certificates.ValidateClusterTrustBundleUpdate),
		Fields: func(b *certificatesv1.ClusterTrustBundle) fields.Set {
			return fields.Set{"spec.signerName": b.Spec.SignerName}
		},
		Table: &registry.Table[*certificatesv1.ClusterTrustBundle]{
			Columns: []metav1.TableColumnDefinition{registry.NameColumn(), registry.Column("SignerName")},
			Cells: func(b *certificatesv1.ClusterTrustBundle, _ time.Time) []any {
				if b.Spec.SignerName == "" {
					return []any{b.Name, registry.None}
				}
				return []any{b.Name, b.Spec.SignerName}
			},
		},
	}.Resource()
}

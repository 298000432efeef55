package credentials

import (
	"context"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TrustAnchors returns the certificates of the bundles that the source names, as
// PEM: each once, without comments. Bundles that are missing are an error unless
// the source is optional; then there are no certificates.
//
// Contract: https://kubernetes.io/docs/concepts/storage/projected-volumes/#clustertrustbundle
func (m *Manager) TrustAnchors(ctx context.Context, p *corev1.ClusterTrustBundleProjection) ([]byte, error) {
	if err := m.watch(ctx, bundles); err != nil {
		return nil, err
	}
	optional := p.Optional != nil && *p.Optional
	switch {
	case p.Name != nil:
		return m.byName(ctx, *p.Name, optional)
	case p.SignerName != nil:
		return m.bySigner(ctx, *p.SignerName, p.LabelSelector, optional)
	}
	return nil, errors.New("ClusterTrustBundle projection requires either name or signerName to be set")
}

func (m *Manager) byName(ctx context.Context, name string, optional bool) ([]byte, error) {
	bundle := &certificatesv1.ClusterTrustBundle{}
	err := m.cfg.Cache.Get(ctx, client.ObjectKey{Name: name}, bundle)
	if apierrors.IsNotFound(err) {
		if optional {
			return []byte{}, nil
		}
		// The words are the kubelet's.
		err = apierrors.NewNotFound(certificatesv1.Resource("clustertrustbundle"), name)
	}
	if err != nil {
		return nil, fmt.Errorf("while getting ClusterTrustBundle: %w", err)
	}
	return merge([]string{bundle.Spec.TrustBundle}), nil
}

func (m *Manager) bySigner(ctx context.Context, signer string, labels *metav1.LabelSelector, optional bool) ([]byte, error) {
	// No selector selects nothing, an empty one everything.
	selector, err := metav1.LabelSelectorAsSelector(labels)
	if err != nil {
		return nil, fmt.Errorf("while parsing label selector: %w", err)
	}
	list := &certificatesv1.ClusterTrustBundleList{}
	if err := m.cfg.Cache.List(ctx, list, client.MatchingLabelsSelector{Selector: selector}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("while listing ClusterTrustBundles matching label selector %v: %w", selector, err)
	}
	var found []string
	for i := range list.Items {
		if s := &list.Items[i].Spec; s.SignerName == signer {
			found = append(found, s.TrustBundle)
		}
	}
	if len(found) == 0 && !optional {
		return nil, errors.New("combination of signerName and labelSelector matched zero ClusterTrustBundles")
	}
	return merge(found), nil
}

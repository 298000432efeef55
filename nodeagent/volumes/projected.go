//go:build linux

package volumes

import (
	"context"
	"fmt"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

// sourceKey names one source of a projected volume.
type sourceKey struct {
	volume string
	index  int
}

// projected returns the content of all sources. A source that fails does not
// keep the others from being asked for theirs.
func (m *Manager) projected(ctx context.Context, state *podState, pod *corev1.Pod, v *corev1.Volume) (payload, error) {
	out := payload{}
	var failures []error
	for i := range v.Projected.Sources {
		part, err := m.projection(ctx, state, pod, v, i)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		out.add(part)
	}
	return out, utilerrors.NewAggregate(failures)
}

func (m *Manager) projection(ctx context.Context, state *podState, pod *corev1.Pod, v *corev1.Volume, index int) (payload, error) {
	s, mode := &v.Projected.Sources[index], v.Projected.DefaultMode
	switch {
	case s.ConfigMap != nil:
		return m.configMap(ctx, pod.Namespace, s.ConfigMap.Name, s.ConfigMap.Items, mode, isTrue(s.ConfigMap.Optional))
	case s.Secret != nil:
		return m.secret(ctx, pod.Namespace, s.Secret.Name, s.Secret.Items, mode, isTrue(s.Secret.Optional))
	case s.DownwardAPI != nil:
		return downward(pod, s.DownwardAPI.Items, mode, m.cfg.Allocatable())
	case s.ServiceAccountToken != nil:
		return m.tokenFile(ctx, state, pod, v.Name, mode, s.ServiceAccountToken)
	case s.ClusterTrustBundle != nil && m.cfg.Credentials != nil:
		anchors, err := m.cfg.Credentials.TrustAnchors(ctx, s.ClusterTrustBundle)
		return payload{path.Clean(s.ClusterTrustBundle.Path): private(pod, anchors, mode)}, err
	case s.PodCertificate != nil && m.cfg.Credentials != nil:
		return m.certificate(ctx, state, pod, v, index)
	}
	return nil, fmt.Errorf("projecting into volume %s: %w", v.Name, ErrUnsupported)
}

// certificate projects a key and its certificates into the files that the source
// names. The caller holds state.mu.
func (m *Manager) certificate(ctx context.Context, state *podState, pod *corev1.Pod, v *corev1.Volume, index int) (payload, error) {
	s, at := v.Projected.Sources[index].PodCertificate, sourceKey{v.Name, index}
	key, chain, next, err := m.cfg.Credentials.Certificate(ctx, pod, v.Name, index, s)
	if next.IsZero() {
		delete(state.looks, at)
	} else {
		state.looks[at] = next
	}
	if err != nil {
		return nil, err
	}
	out := payload{}
	for file, data := range map[string][]byte{s.CredentialBundlePath: slices.Concat(key, chain), s.KeyPath: key, s.CertificateChainPath: chain} {
		if file != "" {
			out[path.Clean(file)] = private(pod, data, v.Projected.DefaultMode)
		}
	}
	return out, nil
}

//go:build linux

package volumes

import (
	"context"
	"fmt"
	"path"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// tokenKey names one token of a pod.
type tokenKey struct{ volume, path string }

type token struct {
	value   string
	expires time.Time
	renewAt time.Time
}

// defaultTokenLife is the life of a token, in seconds, of a projection without
// expirationSeconds.
const defaultTokenLife = 3600

// renewal returns when a token is replaced: at 80 % of its life, or after a day.
//
// Contract: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#launch-a-pod-using-service-account-token-projection
func renewal(now, expires time.Time) time.Time {
	at := now.Add(expires.Sub(now) * 8 / 10)
	if day := now.Add(24 * time.Hour); day.Before(at) {
		return day
	}
	return at
}

// tokenFile projects a service account token, a new one if it is time for it.
// The caller holds state.mu.
func (m *Manager) tokenFile(ctx context.Context, state *podState, pod *corev1.Pod, volume string, mode *int32, s *corev1.ServiceAccountTokenProjection) (payload, error) {
	key := tokenKey{volume, s.Path}
	now := m.cfg.Clock.Now()
	current, have := state.tokens[key]
	if !have || !now.Before(current.renewAt) {
		fresh, err := m.requestToken(ctx, pod, s, now)
		switch {
		case err == nil:
			current = fresh
		case have && now.Before(current.expires):
			// The old one still serves; ask again soon.
			current.renewAt = now.Add(retryAfter)
			m.cfg.Log.Error(err, "Renewing a service account token", "pod", pod.UID)
		default:
			return nil, fmt.Errorf("failed to fetch token: %w", err)
		}
		state.tokens[key] = current
	}
	return payload{path.Clean(s.Path): private(pod, []byte(current.value), mode)}, nil
}

// private returns a file for the pod's user or group alone where it has one.
func private(pod *corev1.Pod, data []byte, mode *int32) file {
	f := file{data: data, mode: modeOf(nil, mode), uid: commonUser(pod)}
	if f.uid != nil || fsGroup(pod) != nil {
		f.mode = 0o600
	}
	return f
}

func (m *Manager) requestToken(ctx context.Context, pod *corev1.Pod, s *corev1.ServiceAccountTokenProjection, now time.Time) (token, error) {
	life := int64(defaultTokenLife)
	if s.ExpirationSeconds != nil {
		life = *s.ExpirationSeconds
	}
	request := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{
		ExpirationSeconds: &life,
		BoundObjectRef:    &authv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if s.Audience != "" {
		request.Spec.Audiences = []string{s.Audience}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName}}
	if account.Name == "" {
		account.Name = "default"
	}
	if err := m.cfg.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return token{}, err
	}
	expires := request.Status.ExpirationTimestamp.Time
	if expires.IsZero() {
		expires = now.Add(time.Duration(life) * time.Second)
	}
	return token{value: request.Status.Token, expires: expires, renewAt: renewal(now, expires)}, nil
}

// schedule asks for a refresh when the pod's first token or certificate is to be
// renewed. The caller holds state.mu.
func (m *Manager) schedule(uid types.UID, state *podState) {
	var first time.Time
	sooner := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	for _, t := range state.tokens {
		sooner(t.renewAt)
	}
	for _, at := range state.looks {
		sooner(at)
	}
	if !first.IsZero() {
		m.queue.at(uid, first)
	}
}

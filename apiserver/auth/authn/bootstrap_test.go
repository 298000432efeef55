package authn_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/apiserver/auth/authn"
)

func TestBootstrap(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*corev1.Secret)
		token  string
		groups []string
	}{
		"good":            {groups: []string{"system:bootstrappers"}},
		"more groups":     {change: data("auth-extra-groups", "system:bootstrappers:b,system:bootstrappers:a"), groups: []string{"system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b"}},
		"not yet expired": {change: data("expiration", "2026-01-01T00:00:01Z"), groups: []string{"system:bootstrappers"}},
		"expired":         {change: data("expiration", "2025-12-31T23:59:59Z")},
		"wrong group":     {change: data("auth-extra-groups", "system:masters")},
		"not for this":    {change: data("usage-bootstrap-authentication", "false")},
		"another id":      {change: data("token-id", "fedcba")},
		"another type":    {change: func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }},
		"deleted":         {change: func(s *corev1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: now} }},
		"wrong secret":    {token: "abcdef.0123456789abcdee"},
		"no such":         {token: "aaaaaa.0123456789abcdef"},
		"something else":  {token: "abcdef"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			stored := &corev1.Secret{Type: "bootstrap.kubernetes.io/token", Data: map[string][]byte{
				"token-id": []byte("abcdef"), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-authentication": []byte("true"),
			}}
			if c.change != nil {
				c.change(stored)
			}
			b := authn.Bootstrap{Clock: clocktesting.NewFakePassiveClock(now), Secret: func(_ context.Context, namespace, name string) (*corev1.Secret, error) {
				if namespace != "kube-system" || name != "bootstrap-token-abcdef" {
					return nil, apierrors.NewNotFound(corev1.Resource("secrets"), name)
				}
				return stored, nil
			}}
			token := c.token
			if token == "" {
				token = "abcdef.0123456789abcdef"
			}
			response, ok, err := b.AuthenticateToken(t.Context(), token)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(ok).To(Equal(c.groups != nil))
			if ok {
				g.Expect(response.User.GetName()).To(Equal("system:bootstrap:abcdef"))
				g.Expect(response.User.GetGroups()).To(ConsistOf(c.groups))
			}
		})
	}
}

func data(key, value string) func(*corev1.Secret) {
	return func(s *corev1.Secret) { s.Data[key] = []byte(value) }
}

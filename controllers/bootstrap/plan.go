package bootstrap

import (
	"fmt"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	api "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/cluster-bootstrap/token/jws"
	"k8s.io/cluster-bootstrap/util/secrets"
)

// Sign returns the data that cluster-info should have, and whether that differs
// from what it has. Without a kubeconfig there is nothing to sign.
func Sign(data map[string]string, tokens []corev1.Secret, now time.Time) (signed map[string]string, changed bool, err error) {
	content, ok := data[api.KubeConfigKey]
	if !ok {
		return data, false, nil
	}
	signed = map[string]string{}
	for k, v := range data {
		if !strings.HasPrefix(k, api.JWSSignatureKeyPrefix) {
			signed[k] = v
		}
	}
	for i := range tokens {
		id, secret, ok := signer(&tokens[i], now)
		if !ok {
			continue
		}
		signature, err := jws.ComputeDetachedSignature(content, id, secret)
		if err != nil {
			return data, false, fmt.Errorf("signing with token %s: %w", id, err)
		}
		signed[api.JWSSignatureKeyPrefix+id] = signature
	}
	return signed, !maps.Equal(signed, data), nil
}

// signer returns the parts of a token that may sign.
func signer(s *corev1.Secret, now time.Time) (id, secret string, ok bool) {
	if s.Type != api.SecretTypeBootstrapToken || s.DeletionTimestamp != nil {
		return "", "", false
	}
	named, wellNamed := secrets.ParseName(s.Name)
	id, secret = secrets.GetData(s, api.BootstrapTokenIDKey), secrets.GetData(s, api.BootstrapTokenSecretKey)
	ok = wellNamed && id == named && secret != "" && !secrets.HasExpired(s, now) &&
		secrets.GetData(s, api.BootstrapTokenUsageSigningKey) == "true"
	return id, secret, ok
}

// Expiry reports whether a token has expired, and if not after how long it will
// have; 0 is never.
func Expiry(s *corev1.Secret, now time.Time) (in time.Duration, expired bool) {
	if s.Type != api.SecretTypeBootstrapToken {
		return 0, false
	}
	return secrets.GetExpiration(s, now)
}

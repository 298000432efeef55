package tokens

import (
	"bytes"

	corev1 "k8s.io/api/core/v1"
)

// account is the ServiceAccount that a Secret names.
type account struct {
	name string
	uid  string
}

func accountOf(secret *corev1.Secret) (account, bool) {
	if secret.Type != corev1.SecretTypeServiceAccountToken {
		return account{}, false
	}
	a := account{
		name: secret.Annotations[corev1.ServiceAccountNameKey],
		uid:  secret.Annotations[corev1.ServiceAccountUIDKey],
	}
	return a, a.name != ""
}

// meant reports whether sa is the account, not another one of its name.
func (a account) meant(sa *corev1.ServiceAccount) bool {
	return sa.Name == a.name && (a.uid == "" || a.uid == string(sa.UID))
}

// needsToken reports whether the Secret has no token yet.
func needsToken(secret *corev1.Secret) bool {
	return len(secret.Data[corev1.ServiceAccountTokenKey]) == 0
}

// plan returns the Secret as it has to be, or nil if it is. token is used only
// if the Secret has none; ca may be empty, then the Secret's stays.
func plan(secret *corev1.Secret, sa *corev1.ServiceAccount, ca []byte, token string) *corev1.Secret {
	rightCA := len(ca) == 0 || bytes.Equal(secret.Data[corev1.ServiceAccountRootCAKey], ca)
	rightNamespace := string(secret.Data[corev1.ServiceAccountNamespaceKey]) == secret.Namespace
	rightUID := secret.Annotations[corev1.ServiceAccountUIDKey] == string(sa.UID)
	if rightCA && rightNamespace && rightUID && !needsToken(secret) {
		return nil
	}
	out := secret.DeepCopy()
	if out.Data == nil {
		out.Data = map[string][]byte{}
	}
	if !rightCA {
		out.Data[corev1.ServiceAccountRootCAKey] = ca
	}
	out.Data[corev1.ServiceAccountNamespaceKey] = []byte(secret.Namespace)
	if needsToken(secret) {
		out.Data[corev1.ServiceAccountTokenKey] = []byte(token)
	}
	out.Annotations[corev1.ServiceAccountUIDKey] = string(sa.UID)
	return out
}

// Package jointoken makes, lists and deletes the tokens that agents join a cluster with.
//
// They are bootstrap tokens as upstream's, Secrets in kube-system with an
// expiration, whose group may join and nothing else. An agent gets one string, which
// also has the hash of the cluster's authority, by which it verifies the server.
// https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
//
// The API of this package is not stable: see docs/api.md.
package jointoken

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	bootstraputil "k8s.io/cluster-bootstrap/token/util"
	bootstrapsecrets "k8s.io/cluster-bootstrap/util/secrets"
)

// Group is that of users with a join token.
const Group = "system:bootstrappers:coracle:join"

// DefaultTTL is the life of a token without another one, as kubeadm's.
const DefaultTTL = 24 * time.Hour

// Pin is the SHA-256 hash of a certificate authority.
type Pin [sha256.Size]byte

// NewPin returns the hash of the first certificate in a PEM text.
func NewPin(authority []byte) (Pin, error) {
	block, _ := pem.Decode(authority)
	if block == nil {
		return Pin{}, errors.New("reading the cluster's authority: it is not PEM")
	}
	return sha256.Sum256(block.Bytes), nil
}

// Is reports whether the pin is that of a certificate.
func (p Pin) Is(der []byte) bool {
	sum := sha256.Sum256(der)
	return bytes.Equal(p[:], sum[:])
}

// Join returns the string that an agent is given.
func Join(pin Pin, bootstrap string) string { return hex.EncodeToString(pin[:]) + "." + bootstrap }

// Parse takes an agent's string apart: the hash of the authority's certificate and
// the bootstrap token.
func Parse(token string) (pin Pin, bootstrap string, err error) {
	hash, bootstrap, _ := strings.Cut(token, ".")
	sum, err := hex.DecodeString(hash)
	if err != nil || len(sum) != len(pin) || !bootstraputil.IsValidBootstrapToken(bootstrap) {
		return pin, "", errors.New("the join token is not one: make one with coracle token create, where the server runs")
	}
	return Pin(sum), bootstrap, nil
}

// Token is a bootstrap token.
type Token struct {
	ID, Secret  string
	Description string
	// Expires is zero if it never does, and Invalid is set if what is stored is no time.
	Expires time.Time
	Invalid bool
	// Usages and Groups are sorted.
	Usages, Groups []string
}

// String returns ID and secret as they are sent.
func (t Token) String() string { return bootstraputil.TokenFromIDAndSecret(t.ID, t.Secret) }

// Joins reports whether agents may join with the token.
func (t Token) Joins() bool {
	return slices.Contains(t.Groups, Group) && slices.Contains(t.Usages, "authentication")
}

// Create makes a token that agents may join with until now + ttl.
func Create(ctx context.Context, client coreclient.SecretsGetter, ttl time.Duration, description string, now time.Time) (Token, error) {
	if ttl <= 0 {
		return Token{}, fmt.Errorf("ttl %s: a join token must expire", ttl)
	}
	text, err := bootstraputil.GenerateBootstrapToken()
	if err != nil {
		return Token{}, fmt.Errorf("drawing a token: %w", err)
	}
	t := Token{Description: description, Expires: now.Add(ttl).UTC().Truncate(time.Second), Usages: []string{"authentication"}, Groups: []string{Group}}
	t.ID, t.Secret, _ = strings.Cut(text, ".")
	_, err = client.Secrets(metav1.NamespaceSystem).Create(ctx, t.secret(), metav1.CreateOptions{})
	if err != nil {
		return Token{}, fmt.Errorf("creating the token: %w", err)
	}
	return t, nil
}

func (t Token) secret() *corev1.Secret {
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: bootstraputil.BootstrapTokenSecretName(t.ID)},
		Type:       bootstrapapi.SecretTypeBootstrapToken,
		StringData: map[string]string{
			bootstrapapi.BootstrapTokenIDKey:               t.ID,
			bootstrapapi.BootstrapTokenSecretKey:           t.Secret,
			bootstrapapi.BootstrapTokenExpirationKey:       t.Expires.Format(time.RFC3339),
			bootstrapapi.BootstrapTokenExtraGroupsKey:      strings.Join(t.Groups, ","),
			bootstrapapi.BootstrapTokenUsageAuthentication: "true",
		},
	}
	if t.Description != "" {
		s.StringData[bootstrapapi.BootstrapTokenDescriptionKey] = t.Description
	}
	return s
}

// List returns all bootstrap tokens, by their expiration; those that never expire
// come last. A Secret that is no token is left out.
func List(ctx context.Context, client coreclient.SecretsGetter) ([]Token, error) {
	secrets, err := client.Secrets(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{FieldSelector: "type=" + string(bootstrapapi.SecretTypeBootstrapToken)})
	if err != nil {
		return nil, fmt.Errorf("listing tokens: %w", err)
	}
	var tokens []Token
	for i := range secrets.Items {
		if t, ok := read(&secrets.Items[i]); ok {
			tokens = append(tokens, t)
		}
	}
	slices.SortFunc(tokens, func(a, b Token) int {
		return cmp.Or(a.end().Compare(b.end()), cmp.Compare(a.ID, b.ID))
	})
	return tokens, nil
}

// end returns when the token expires, far away if it never does.
func (t Token) end() time.Time {
	if t.Expires.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return t.Expires
}

func read(s *corev1.Secret) (Token, bool) {
	value := func(key string) string { return bootstrapsecrets.GetData(s, key) }
	t := Token{ID: value(bootstrapapi.BootstrapTokenIDKey), Secret: value(bootstrapapi.BootstrapTokenSecretKey), Description: value(bootstrapapi.BootstrapTokenDescriptionKey)}
	if s.Name != bootstraputil.BootstrapTokenSecretName(t.ID) || !bootstraputil.IsValidBootstrapToken(t.String()) {
		return t, false
	}
	if text := value(bootstrapapi.BootstrapTokenExpirationKey); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		t.Expires, t.Invalid = at, err != nil
	}
	for key := range s.Data {
		if usage, is := strings.CutPrefix(key, bootstrapapi.BootstrapTokenUsagePrefix); is && value(key) == "true" {
			t.Usages = append(t.Usages, usage)
		}
	}
	if groups := value(bootstrapapi.BootstrapTokenExtraGroupsKey); groups != "" {
		t.Groups = strings.Split(groups, ",")
	}
	slices.Sort(t.Usages)
	slices.Sort(t.Groups)
	return t, true
}

// ID returns the ID in an ID, a bootstrap token or an agent's string.
func ID(text string) (string, error) {
	id := text
	if _, bootstrap, err := Parse(text); err == nil {
		text = bootstrap
	}
	if bootstraputil.IsValidBootstrapToken(text) {
		id, _, _ = strings.Cut(text, ".")
	}
	if !bootstraputil.IsValidBootstrapTokenID(id) {
		return "", errors.New("that is no token and no ID of one, which are six lower-case letters and digits")
	}
	return id, nil
}

// Delete deletes the token with that ID. The certificates that agents got with it
// stay good.
func Delete(ctx context.Context, client coreclient.SecretsGetter, id string) error {
	err := client.Secrets(metav1.NamespaceSystem).Delete(ctx, bootstraputil.BootstrapTokenSecretName(id), metav1.DeleteOptions{})
	if err != nil {
		return fmt.Errorf("deleting token %s: %w", id, err)
	}
	return nil
}

package jointoken

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
)

func TestParse(t *testing.T) {
	g := NewWithT(t)
	want, err := NewPin([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(want.Is([]byte{0, 0, 0})).To(BeTrue())
	g.Expect(want.Is([]byte{0, 0, 1})).To(BeFalse())
	text := Join(want, "abcdef.0123456789abcdef")
	pin, bootstrap, err := Parse(text)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pin).To(Equal(want))
	g.Expect(bootstrap).To(Equal("abcdef.0123456789abcdef"))
	for _, wrong := range []string{
		"", "x", bootstrap, text[1:], text + "0", text[:len(text)-1], strings.ToUpper(text), "zz" + text[2:],
		text[:64] + ".QRSTUVWXYZ234567QRSTUVWXYZ", // as earlier versions had
	} {
		_, _, err := Parse(wrong)
		g.Expect(err).To(MatchError(ContainSubstring("make one with coracle token create")), wrong)
	}
	_, err = NewPin([]byte("x"))
	g.Expect(err).To(HaveOccurred())
	for _, name := range []string{"abcdef", bootstrap, text} {
		g.Expect(ID(name)).To(Equal("abcdef"))
	}
	for _, wrong := range []string{"", "ABCDEF", "abcdefg", text + "x"} {
		_, err := ID(wrong)
		g.Expect(err).To(HaveOccurred(), wrong)
	}
}

// Tokens of other makers are listed as they are; Secrets that are no tokens are not.
func TestList(t *testing.T) {
	g := NewWithT(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	stored := func(name string, data map[string]string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name}, Type: bootstrapapi.SecretTypeBootstrapToken, Data: map[string][]byte{}}
		for k, v := range data {
			s.Data[k] = []byte(v)
		}
		return s
	}
	client := fake.NewClientset(
		stored("bootstrap-token-aaaaaa", map[string]string{"token-id": "aaaaaa", "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true", "usage-bootstrap-authentication": "false"}),
		stored("bootstrap-token-bbbbbb", map[string]string{"token-id": "bbbbbb", "token-secret": "0123456789abcdef", "expiration": "soon"}),
		stored("bootstrap-token-cccccc", map[string]string{"token-id": "dddddd", "token-secret": "0123456789abcdef"}),
		stored("bootstrap-token-eeeeee", map[string]string{"token-id": "eeeeee"}),
	).CoreV1()
	made, err := Create(t.Context(), client, time.Hour, "x", now)
	g.Expect(err).NotTo(HaveOccurred())
	secret, err := client.Secrets(metav1.NamespaceSystem).Get(t.Context(), "bootstrap-token-"+made.ID, metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(secret.Type).To(Equal(bootstrapapi.SecretTypeBootstrapToken))
	secret.Data = map[string][]byte{} // as the server does
	for k, v := range secret.StringData {
		secret.Data[k] = []byte(v)
	}
	_, err = client.Secrets(metav1.NamespaceSystem).Update(t.Context(), secret, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())

	tokens, err := List(t.Context(), client)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tokens).To(Equal([]Token{
		made,
		{ID: "aaaaaa", Secret: "0123456789abcdef", Usages: []string{"signing"}},
		{ID: "bbbbbb", Secret: "0123456789abcdef", Invalid: true},
	}))
	g.Expect(tokens[0].Joins()).To(BeTrue())
	g.Expect(tokens[1].Joins()).To(BeFalse())
	g.Expect(made.Expires).To(Equal(now.Add(time.Hour).Truncate(time.Second)))

	for _, ttl := range []time.Duration{0, -time.Hour} {
		_, err := Create(t.Context(), client, ttl, "", now)
		g.Expect(err).To(MatchError(ContainSubstring("must expire")))
	}
	g.Expect(Delete(t.Context(), client, made.ID)).To(Succeed())
	g.Expect(Delete(t.Context(), client, made.ID)).NotTo(Succeed())
}

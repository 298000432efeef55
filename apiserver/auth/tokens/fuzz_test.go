package tokens_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/coracle-k8s/coracle/apiserver/auth/tokens"
)

// FuzzToken checks that tokens which were not signed are refused.
func FuzzToken(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	authenticator, err := tokens.NewAuthenticator(tokens.AuthenticatorConfig{
		Issuers: []string{"https://issuer"}, Audiences: []string{"api"}, Keys: []crypto.PublicKey{key.Public()}, Getter: newWorld(), Clock: testclock.NewFakePassiveClock(time.Unix(1767225600, 0)),
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, header := range []string{`{"alg":"none"}`, `{"alg":"ES256"}`, `{"alg":"HS256","kid":"x"}`, `{"alg":"ES256","kid":"` + strings.Repeat("a", 5000) + `"}`, "", "null", `{"alg":"ES256","crit":["b64"],"b64":false}`, `{"alg":"ES256","jwk":{"kty":"EC"}}`} {
		for _, payload := range []string{`{"iss":"https://issuer","aud":"api","sub":"system:serviceaccount:ns:sa"}`, `{"iss":"kubernetes/serviceaccount"}`, `{"iss":["https://issuer"]}`, `{"iss":"https://issuer","exp":1e300,"aud":[1]}`, "null", ""} {
			f.Add(header, payload, "")
			f.Add(header, payload, strings.Repeat("\x00", 64))
		}
	}
	f.Fuzz(func(t *testing.T, header, payload, signature string) {
		enc := base64.RawURLEncoding.EncodeToString
		for _, token := range []string{enc([]byte(header)) + "." + enc([]byte(payload)) + "." + enc([]byte(signature)), header + "." + payload + "." + signature, header} {
			if response, ok, err := authenticator.AuthenticateToken(context.Background(), token); ok || response != nil {
				t.Errorf("%q is taken as %v, %v", token, response, err)
			}
		}
	})
}

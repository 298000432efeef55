package authn

import (
	"testing"

	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"
)

// FuzzConfiguration reads AuthenticationConfigurations.
func FuzzConfiguration(f *testing.F) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	for _, rest := range []string{
		"", "jwt: null", "jwt: [null]", "jwt:\n- issuer: {url: 'https://a', audiences: [b]}\n  claimMappings: {username: {claim: sub, prefix: ''}}\n",
		"jwt:\n- issuer: {url: 'https://a', audiences: [b], certificateAuthority: x}\n  claimMappings: {username: {expression: 'claims.sub'}}\n  claimValidationRules: [{expression: 'claims.'}]\n",
		"jwt:\n- issuer: {url: '%', audiences: []}\n  claimMappings: {username: {expression: '((((('}}\n", "anonymous: {enabled: true, conditions: [{path: /x}]}", "anonymous: {}", "a: b", "jwt: [{issuer: {url: 'https://own'}}]",
	} {
		f.Add([]byte(head + rest))
	}
	f.Add([]byte(`{"kind":"AuthenticationConfiguration","apiVersion":"apiserver.config.k8s.io/v1alpha1"}`))
	f.Add([]byte("\x00"))
	i := &Issuers{config: IssuersConfig{Own: []string{"https://own"}}, compiler: authenticationcel.NewDefaultCompiler()}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<15 {
			return
		}
		parsed, err := i.parse(data)
		if err != nil {
			return
		}
		for _, j := range parsed.JWT {
			if j.Issuer.URL == "https://own" || j.Issuer.URL == "" {
				t.Errorf("the issuer %q is taken", j.Issuer.URL)
			}
		}
	})
}

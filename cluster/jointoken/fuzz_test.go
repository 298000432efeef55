package jointoken

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
)

// FuzzParse reads what a user pasted as a join token.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", ".", "..", strings.Repeat("a", 64) + ".abcdef.0123456789abcdef", strings.Repeat("A", 64) + ".abcdef.0123456789abcdef", "abcdef.0123456789abcdef", "abcdef", strings.Repeat("a", 66) + ".abcdef.0123456789abcdef", "\xff.abcdef.0123456789abcdef"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, idErr := ID(text)
		if idErr == nil && len(id) != 6 {
			t.Errorf("the ID of %q is %q", text, id)
		}
		pin, bootstrap, err := Parse(text)
		if err != nil {
			return
		}
		if again := Join(pin, bootstrap); !strings.EqualFold(again, text) {
			t.Errorf("%q reads as %q", text, again)
		}
		if idErr != nil || !strings.HasPrefix(bootstrap, id+".") {
			t.Errorf("the ID of %q is %q, %v", text, id, idErr)
		}
	})
}

// FuzzSecret reads Secrets of bootstrap tokens: what is read is written and read again.
func FuzzSecret(f *testing.F) {
	f.Add("abcdef", "0123456789abcdef", "2026-01-01T00:00:00Z", "b,a", "true")
	f.Add("", "", "never", ",", "false")
	f.Add("ABCDEF", "x", "2026-01-01T00:00:00+25:00", "\x00", "TRUE")
	f.Fuzz(func(t *testing.T, id, secret, expires, groups, usage string) {
		s := &corev1.Secret{Data: map[string][]byte{
			bootstrapapi.BootstrapTokenIDKey: []byte(id), bootstrapapi.BootstrapTokenSecretKey: []byte(secret), bootstrapapi.BootstrapTokenExpirationKey: []byte(expires),
			bootstrapapi.BootstrapTokenExtraGroupsKey: []byte(groups), bootstrapapi.BootstrapTokenUsageAuthentication: []byte(usage),
		}}
		s.Name = bootstrapapi.BootstrapTokenSecretPrefix + id
		read, ok := read(s)
		if !ok {
			return
		}
		if read.String() != id+"."+secret || read.Invalid && read.Joins() && read.Expires.IsZero() == false {
			t.Errorf("reads %+v", read)
		}
		if same, err := ID(read.String()); err != nil || same != id {
			t.Errorf("the ID of %q is %q, %v", read.String(), same, err)
		}
	})
}

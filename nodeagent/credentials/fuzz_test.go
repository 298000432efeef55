package credentials

import (
	"bytes"
	"encoding/pem"
	"testing"
)

// FuzzBundles merges trust bundles, and chains of pod certificates, as signers wrote them.
func FuzzBundles(f *testing.F) {
	a, b := string(encode(nil, []byte("a"))), string(encode(nil, []byte("b")))
	for _, text := range []string{"", a, b, a + b, b + "between\n" + a, "-----BEGIN", "-----BEGIN X-----\n-----END X-----\n", a[:len(a)-5]} {
		f.Add(text, a)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		if !bytes.Equal(merge([]string{one, two}), merge([]string{two, one, two})) {
			t.Error("the order of bundles matters")
		}
		whole := merge([]string{one})
		if !bytes.Equal(whole, merge([]string{string(whole)})) {
			t.Error("merging twice differs from merging once")
		}
		if same := normalize(one); !bytes.Equal(same, normalize(string(same))) {
			t.Error("normalizing twice differs from normalizing once")
		}
		for rest := whole; len(rest) > 0; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				t.Fatalf("%q is not PEM", rest)
			}
		}
	})
}

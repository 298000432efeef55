package identity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// FuzzIdentity reads the file of a data directory that identifies its cluster. One
// that is accepted equals the one that would be written for it.
func FuzzIdentity(f *testing.F) {
	whole := record{fingerprints: map[string]string{keys.Files()[0]: "abc"}, complete: true}.encode()
	for _, text := range []string{string(whole), "", "\n", identityHead, string(whole[:len(whole)-2]), identityHead + "\n" + sumPrefix + keys.Fingerprint([]byte(identityHead+"\n")) + "\n", strings.Replace(string(whole), "abc", "abd", 1)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), datadir.IdentityFile)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := read(path)
		if err != nil {
			return
		}
		if !i.known || i.complete != i.continued {
			t.Errorf("%q reads %+v", text, i)
		}
		for name := range i.fingerprints {
			if !strings.Contains(string(text), name) {
				t.Errorf("%q names no %s", text, name)
			}
		}
	})
}

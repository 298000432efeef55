package encryption

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzConfiguration reads EncryptionConfigurations.
func FuzzConfiguration(f *testing.F) {
	const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
	for _, rest := range []string{
		"", "- null", "- resources: [secrets]\n  providers: [{identity: {}}]", "- resources: [secrets]\n  providers: [{aescbc: {keys: [{name: a, secret: MDEyMzQ1Njc4OWFiY2RlZg==}]}}]", "- resources: ['*.*', secrets]\n  providers: [{secretbox: {keys: [{name: a, secret: x}]}}]",
		"- resources: []\n  providers: []", "- resources: ['*.apps']\n  providers: [{identity: {}, aesgcm: {keys: null}}]", "- resources: [secrets]\n  providers: [{aesgcm: {keys: [{name: '', secret: ''}]}}]",
	} {
		f.Add([]byte(head + rest))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// KMS plugins are waited for.
		if len(data) > 1<<15 || strings.Contains(strings.ToLower(string(data)), "kms") {
			return
		}
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		transformers, err := Open(ctx, Config{File: path, ServerID: "fuzz"})
		if (transformers == nil) == (err == nil) {
			t.Errorf("reads %v, %v", transformers, err)
		}
	})
}

package env

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The results of upstream's ParseEnv, pkg/kubelet/util/env.
func TestEnvFileValue(t *testing.T) {
	for _, c := range []struct{ text, want, err string }{
		{"", "", ""},
		{"A='1'", "1", ""},
		{"A='1'\nA='2'\n", "1", ""},
		{"A='1'\nno format", "1", ""},
		{"B='2'\r\n \tA='1' # comment\r\n", "1", ""},
		{"A='two\r\nlines'", "two\nlines", ""},
		{"B='A='\nC='\nA='9", "", "invalid environment variable format at line 3: unexpected content after closing quote"},
		{"A= '1'", "", ""},
		{"B= x\nA='1'", "1", ""},
		{"A ='1'", "", "invalid environment variable format at line 1: whitespace before '=' is not allowed"},
		{"\n='1'", "", "invalid environment variable format at line 2: empty variable name"},
		{"A", "", "invalid environment variable format at line 1: missing '='"},
		{"A=1", "", "invalid environment variable format at line 1: value must be enclosed in single quotes"},
		{"\nA='1\n\n", "", "invalid environment variable format starting at line 2: unclosed single quote"},
		{"A='1'x", "", "invalid environment variable format at line 1: unexpected content after closing quote"},
	} {
		got, err := envFileValue(strings.NewReader(c.text), 1<<16, "A")
		if got != c.want || c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
			t.Errorf("%q: got %q, %v", c.text, got, err)
		}
	}
}

// A container may put a pipe where the agent opens a file.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("A='1'"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{"pipe": false, ".": false, "none": false, "file": true} {
		file, err := openRegular(root, name)
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			file.Close()
		}
	}
}

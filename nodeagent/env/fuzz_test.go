package env

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// endless is a reader without an end.
type endless struct{ read int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	e.read += int64(len(b))
	return len(b), nil
}

func TestEnvFileIsReadUpToItsLimitOnly(t *testing.T) {
	file := &endless{}
	if _, err := parseEnvFile(file, 1<<16); err == nil || file.read > 1<<18 {
		t.Errorf("read %d bytes of a file without an end, %v", file.read, err)
	}
}

// FuzzEnvFile writes what was read and reads it again.
func FuzzEnvFile(f *testing.F) {
	for _, text := range []string{
		"", "A='1'", "A='1'\n# comment\n\n B='two\nlines' # more\n", "A='1'\r\nB='2'\r\n", "A=1", "='x'", "A='", "A''='x'", "A='x'y", "#", "\x00='\x00'", "A='\xff'", "A=''''", "=", "'", "A\n='1'",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		vars, err := parseEnvFile(strings.NewReader(text), 1<<16)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			again.WriteString(name + "='" + vars[name] + "'\n")
		}
		same, err := parseEnvFile(strings.NewReader(again.String()), 1<<17)
		if err != nil || !maps.Equal(vars, same) {
			t.Errorf("%q reads %q, which reads %q, %v", text, vars, same, err)
		}
	})
}

package env

import (
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
	if _, err := envFileValue(file, 1<<16, "A"); err == nil || file.read > 1<<18 {
		t.Errorf("read %d bytes of a file without an end, %v", file.read, err)
	}
}

// FuzzEnvFile writes what was read and reads it again.
func FuzzEnvFile(f *testing.F) {
	for _, text := range []string{
		"", "A='1'", "A='1'\n# comment\n\n B='two\nlines' # more\n", "A='1'\r\nB='2'\r\n", "A=1", "='x'", "A='", "A''='x'", "A='x'y", "#", "\x00='\x00'", "A='\xff'", "A=''''", "=", "'", "A\n='1'", "A='\r\r\n'", "A= 'x'",
	} {
		f.Add(text, "A")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		value, err := envFileValue(strings.NewReader(text), 1<<16, key)
		if err != nil || value == "" {
			return
		}
		if !strings.Contains(text, key+"='") {
			t.Errorf("%q has %q of %q", text, value, key)
		}
		if strings.Contains(value, "\r\n") || strings.ContainsAny(key, " \t#") {
			return // no line ends with CR
		}
		same, err := envFileValue(strings.NewReader(key+"='"+value+"'\n"), 1<<17, key)
		if err != nil || value != same {
			t.Errorf("%q of %q is %q, then %q, %v", key, text, value, same, err)
		}
	})
}

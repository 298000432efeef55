package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestShell(t *testing.T) {
	t.Setenv("WHO", "world")
	for text, want := range map[string]struct {
		out  string
		code int
	}{
		`echo hello $WHO`:            {"hello world\n", 0},
		`echo 'hello $WHO'; exit 3`:  {"hello $WHO\n", 3},
		`echo "a  b" c`:              {"a  b c\n", 0},
		`true; false`:                {"", 1},
		`exec echo x`:                {"x\n", 0},
		`nothing`:                    {"", 127},
		``:                           {"", 0},
		"echo one\necho two; exit 0": {"one\ntwo\n", 0},
	} {
		t.Run(text, func(t *testing.T) {
			g := NewWithT(t)
			var out, errs bytes.Buffer
			code := tool([]string{"sh", "-c", text}, strings.NewReader(""), &out, &errs)
			g.Expect(out.String()).To(Equal(want.out))
			g.Expect(code).To(Equal(want.code))
		})
	}
}

func TestTarRoundTrip(t *testing.T) {
	g := NewWithT(t)
	from, to := t.TempDir(), t.TempDir()
	g.Expect(os.MkdirAll(filepath.Join(from, "dir/sub"), 0o755)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(from, "dir/sub/file"), []byte("content"), 0o640)).To(Succeed())
	var archive, errs bytes.Buffer
	g.Expect(tool([]string{"tar", "cf", "-", "-C", from, "dir"}, nil, &archive, &errs)).To(Equal(0), errs.String())
	g.Expect(tool([]string{"tar", "xmf", "-", "-C", to}, &archive, nil, &errs)).To(Equal(0), errs.String())
	data, err := os.ReadFile(filepath.Join(to, "dir/sub/file"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(data)).To(Equal("content"))
}

func TestTarDoesNotLeaveItsFolder(t *testing.T) {
	g := NewWithT(t)
	outside := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(outside, "x"), []byte("x"), 0o644)).To(Succeed())
	var archive, errs bytes.Buffer
	g.Expect(tool([]string{"tar", "cf", "-", "-C", outside, "../" + filepath.Base(outside) + "/x"}, nil, &archive, &errs)).To(Equal(0))
	g.Expect(tool([]string{"tar", "xf", "-", "-C", t.TempDir()}, &archive, nil, &errs)).To(Equal(1))
}

package podconfig

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// FuzzExpand expands references to variables, as commands and arguments do.
func FuzzExpand(f *testing.F) {
	for _, text := range []string{"", "$(A)", "$$(A)", "$(B", "$", "$$", "$()", "$($(A))", "a$(A)$(none)$$$(A)", "$(A))"} {
		f.Add(text, "value")
		f.Add(text, "$(A)")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		out := Expand(text, func(name string) (string, bool) { return value, name == "A" })
		if len(out) > len(text)*(1+len(value)) {
			t.Errorf("%q became %d bytes", text, len(out))
		}
		if same := Expand(strings.ReplaceAll(text, "$", "$$"), nil); same != text {
			t.Errorf("%q with every $ escaped became %q", text, same)
		}
	})
}

// FuzzSubPath expands a subPathExpr with values that a pod's author chose. The
// result stays within the volume.
func FuzzSubPath(f *testing.F) {
	for _, c := range [][2]string{{"a/$(A)", "b"}, {"$(A)", ".."}, {"$(A)$(A)", "."}, {"$(A)etc", "/"}, {"a/$(A)/../b", "x"}, {"$(A)", ""}, {"$(B)", "x"}, {"a/$(A)", "\x00"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, expr, value string) {
		sub, err := SubPath(corev1.VolumeMount{SubPathExpr: expr}, map[string]string{"A": value})
		if err == nil && sub != "" && !filepath.IsLocal(sub) {
			t.Errorf("%q with %q leads to %q", expr, value, sub)
		}
	})
}

// FuzzResolvConf reads the node's resolv.conf, and what would be written of it again.
func FuzzResolvConf(f *testing.F) {
	for _, text := range []string{
		"nameserver 1.1.1.1\nsearch a.b c.d.\noptions ndots:5 rotate\n", "# nameserver x\n;search y\nnameserver\n", "search", "options\toptions\n", "nameserver\u00a01.1.1.1", "\x00", "nameserver 1.1.1.1\r\n",
		"nameserver 1.1.1.1\nsearch " + strings.Repeat("a ", 40000) + "\nnameserver 2.2.2.2\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read := ParseResolvConf(text)
		again := "search " + strings.Join(read.Searches, " ") + "\noptions " + strings.Join(read.Options, " ") + "\n"
		for _, s := range read.Servers {
			again += "nameserver " + s + "\n"
		}
		same := ParseResolvConf([]byte(again))
		for name, lists := range map[string][2][]string{"servers": {read.Servers, same.Servers}, "options": {read.Options, same.Options}} {
			if strings.Join(lists[0], " ") != strings.Join(lists[1], " ") {
				t.Errorf("%s of %q: %q, then %q", name, text, lists[0], lists[1])
			}
		}
	})
}

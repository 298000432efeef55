package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	one := write("one", "mode: set\n"+module+"apis/a.go:1.2,3.4 3 1\n"+module+"apis/zz_b.go:1.2,3.4 9 0\n"+module+"dns/a.go:1.2,3.4 1 0\n"+module+"dns/a.go:5.2,6.4 1 0\n")
	two := write("two", "mode: set\n"+module+"apis/a.go:1.2,3.4 3 0\n"+module+"dns/a.go:5.2,6.4 1 1\n"+module+"test/env/env.go:1.2,3.4 7 1\n")
	var out strings.Builder
	if err := run([]string{one, two}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "| part | statements | run by tests |\n|---|--:|--:|\n| apis | 3 | 100.0 % |\n| dns | 2 | 50.0 % |\n| all | 5 | 80.0 % |\n"; out.String() != want {
		t.Errorf("got\n%s", &out)
	}
	for _, args := range [][]string{nil, {write("bad", "x\n")}, {write("worse", "a:1 b 0\n")}, {filepath.Join(dir, "none")}} {
		if err := run(args, &out); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

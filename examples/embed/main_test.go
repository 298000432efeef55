package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), " runs on simulated-"); n != 3 {
		t.Errorf("%d pods run:\n%s", n, &out)
	}
}

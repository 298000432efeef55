package main

import (
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	var out strings.Builder
	q := question{nodes: 4, nodeCPU: "8", nodeMemory: "16Gi", pods: 10, cpu: "3", bytes: "1Gi"}
	if err := run(t.Context(), &out, q); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"8 of 10 pods fit on 4 nodes, 2 to 2 on each\n", "2 are left: 0/4 nodes are available: 4 Insufficient cpu."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, &out)
		}
	}
	if err := run(t.Context(), &out, question{nodeCPU: "x"}); err == nil || err.Error() != `reading CPU "x": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'` {
		t.Errorf("got %v", err)
	}
}

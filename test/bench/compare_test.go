package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

func TestCompare(t *testing.T) {
	var out strings.Builder
	b := &bench{binary: "new", out: json.NewEncoder(&out)}
	var order []string
	speed := map[string][]float64{"new": {3, 1, 2}, "old": {4, 5, 3}}
	s := scenario{name: "s", run: func(_ context.Context, b *bench) error {
		n := strings.Count(strings.Join(order, " "), b.binary)
		order = append(order, b.binary)
		b.report("time", "s", 1, speed[b.binary][n])
		if b.binary == "new" {
			b.report("only here", "s", none, 1)
		}
		return nil
	}}
	if err := b.compare(t.Context(), s, "old", 3); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, " "); got != "new old old new new old" {
		t.Errorf("ran %s", got)
	}
	if want := `{"name":"time","value":2,"other":4,"ratio":0.5,"unit":"s","runs":3}` + "\n"; out.String() != want {
		t.Errorf("got %s", &out)
	}
}

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coracle-k8s/coracle/test/conformance/results"
)

func TestListsOfSpecs(t *testing.T) {
	list, err := readSpecs(strings.NewReader("# some\n\n[sig-a] One (two).\n  [sig-b] Three [\n"))
	if err != nil || !slices.Equal(list, []string{"[sig-a] One (two).", "[sig-b] Three ["}) {
		t.Fatalf("got %q, %v", list, err)
	}
	focus := regexp.MustCompile(focusOn(list))
	for name, want := range map[string]bool{"Suite [sig-a] One (two). [Conformance]": true, "[sig-a] One two.": false, "[sig-b] Three [Serial]": true} {
		if focus.MatchString(name) != want {
			t.Errorf("%q: matched %t", name, !want)
		}
	}
	ran := []results.Result{{Spec: "[sig-a] One (two). [Conformance]", Outcome: results.Failed}, {Spec: "[sig-b] Three [Conformance]", Outcome: results.Skipped}}
	if missing := notRun(list, ran); !slices.Equal(missing, []string{"[sig-b] Three ["}) {
		t.Errorf("missing: %q", missing)
	}
	if _, err := readSpecs(strings.NewReader("# nothing\n")); err == nil {
		t.Error("an empty list would run all specs")
	}
}

// TestSpecsOfCI finds each line of ci.txt among the suite's conformance specs.
func TestSpecsOfCI(t *testing.T) {
	file, err := os.Open("../ci.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	list, err := readSpecs(file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := results.Specs()
	if err != nil {
		t.Fatal(err)
	}
	found := make([]results.Result, len(all))
	for i, name := range all {
		found[i].Spec = name
	}
	for _, name := range notRun(list, found) {
		t.Errorf("no conformance spec begins with %q", name)
	}
}

package results

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// report is cut down from what ginkgo writes: one spec of each kind.
const report = `[{"SpecReports": [
 {"LeafNodeType": "SynchronizedBeforeSuite", "State": "passed"},
 {"ContainerHierarchyTexts": ["[sig-a] Things"], "LeafNodeText": "work [Conformance]", "LeafNodeType": "It", "State": "passed", "NumAttempts": 1},
 {"ContainerHierarchyTexts": ["[sig-a] Things"], "LeafNodeText": "break [Conformance]", "LeafNodeType": "It", "State": "failed", "NumAttempts": 1,
  "Failure": {"Message": "creating a thing:\n  no"}},
 {"ContainerHierarchyTexts": ["[sig-a] Things"], "LeafNodeText": "hang [Conformance]", "LeafNodeType": "It", "State": "timedout", "NumAttempts": 1},
 {"ContainerHierarchyTexts": ["[sig-a] Things"], "LeafNodeText": "skip themselves [Conformance]", "LeafNodeType": "It", "State": "skipped", "NumAttempts": 1},
 {"ContainerHierarchyTexts": ["[sig-a] Things"], "LeafNodeText": "were cut off [Conformance]", "LeafNodeType": "It", "State": "interrupted", "NumAttempts": 1},
 {"ContainerHierarchyTexts": ["[sig-b] Others"], "LeafNodeText": "were not chosen [Conformance]", "LeafNodeType": "It", "State": "skipped", "StartTime": "2026-01-01T00:00:00Z"}
]}]`

func TestFromReport(t *testing.T) {
	got, err := FromReport(strings.NewReader(report))
	if err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{"[sig-a] Things work [Conformance]", Passed, ""},
		{"[sig-a] Things break [Conformance]", Failed, "creating a thing: no"},
		{"[sig-a] Things hang [Conformance]", Failed, ""},
		{"[sig-a] Things skip themselves [Conformance]", Skipped, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFromReportTellsOfSuite(t *testing.T) {
	_, err := FromReport(strings.NewReader(`[{"SpecReports": [{"LeafNodeType": "SynchronizedBeforeSuite", "State": "failed", "Failure": {"Message": "no nodes"}}],
		"SpecialSuiteFailureReasons": ["timed out"]}]`))
	if err == nil || !strings.Contains(err.Error(), "no nodes") || !strings.Contains(err.Error(), "timed out") {
		t.Errorf("got %v", err)
	}
}

func TestMergeKeepsLatest(t *testing.T) {
	got := Merge([]Result{{"b", Failed, ""}, {"c", Passed, ""}}, []Result{{"b", Passed, ""}, {"a", Failed, ""}, {"a", Passed, ""}})
	if diff := cmp.Diff([]Result{{"a", Passed, ""}, {"b", Passed, ""}, {"c", Passed, ""}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFileHasOneLineASpec(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	results := []Result{{"[sig-a] x", Passed, ""}, {"[sig-a] y", Failed, ""}}
	if err := Write(file, results); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(content), "\n"); lines != 4 {
		t.Errorf("%d lines:\n%s", lines, content)
	}
	got, err := Read(file)
	if diff := cmp.Diff(results, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if none, err := Read(file + ".missing"); err != nil || none != nil {
		t.Errorf("a missing file: %v, %v", none, err)
	}
}

func TestSpecs(t *testing.T) {
	specs, err := Specs()
	if err != nil {
		t.Fatal(err)
	}
	if len(specs) != 462 {
		t.Errorf("%d conformance specs, v1.37 has 462", len(specs))
	}
	if i := slices.IndexFunc(specs, func(s string) bool { return sig(s) == "other" || strings.Contains(s, "\n") }); i >= 0 {
		t.Errorf("odd name %q", specs[i])
	}
}

func TestPage(t *testing.T) {
	page := Page("v1", []string{"[sig-a] x", "[sig-a] y", "[sig-b] w", "[sig-b] z"}, []Result{
		{"[sig-a] x", Passed, ""}, {"[sig-a] y", Failed, ""}, {"[sig-b] z", Skipped, ""}, {"[sig-c] no conformance spec", Passed, ""}})
	_, table, _ := strings.Cut(page, "|--:|\n")
	want := `| sig-a | 2 | 1 | 1 | 0 |
| sig-b | 2 | 0 | 0 | 2 |
| all | 4 | 1 | 1 | 2 |

## Failed

- [sig-a] y

## Not run

- [sig-b] w
- [sig-b] z
`
	if diff := cmp.Diff(want, table); diff != "" {
		t.Error(diff)
	}
}

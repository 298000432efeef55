package results

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/kubernetes/test/conformance/testdata"
	"sigs.k8s.io/yaml"
)

// Specs returns the names of all conformance specs of the suite, sorted.
func Specs() ([]string, error) {
	content, err := testdata.GetConformanceTestdataFS().ReadTestFile("test/conformance/testdata/conformance.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the list of conformance specs: %w", err)
	}
	var list []struct {
		Codename string `json:"codename"`
	}
	if err := yaml.Unmarshal(content, &list); err != nil {
		return nil, fmt.Errorf("reading the list of conformance specs: %w", err)
	}
	var out []string
	for _, l := range list {
		out = append(out, l.Codename)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

var sigName = regexp.MustCompile(`^\[(sig-[a-z-]+)\]`)

// sig returns the group a spec belongs to.
func sig(spec string) string {
	if m := sigName.FindStringSubmatch(spec); m != nil {
		return m[1]
	}
	return "other"
}

// tally is one line of the table.
type tally struct{ passed, failed, notRun []string }

func (t tally) row(name string) string {
	p, f, n := len(t.passed), len(t.failed), len(t.notRun)
	return fmt.Sprintf("| %s | %d | %d | %d | %d |\n", name, p+f+n, p, f, n)
}

// Page returns docs/conformance.md: every spec counts once, as what became of
// it in its latest run. A spec that skipped itself counts as not run.
func Page(version string, specs []string, results []Result) string {
	latest := map[string]Outcome{}
	for _, r := range results {
		latest[r.Spec] = r.Outcome
	}
	sigs := map[string]tally{}
	var total tally
	for _, spec := range specs {
		t := sigs[sig(spec)]
		switch latest[spec] {
		case Passed:
			t.passed, total.passed = append(t.passed, spec), append(total.passed, spec)
		case Failed:
			t.failed, total.failed = append(t.failed, spec), append(total.failed, spec)
		default:
			t.notRun, total.notRun = append(t.notRun, spec), append(total.notRun, spec)
		}
		sigs[sig(spec)] = t
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Conformance\n\nKubernetes %s's own [Conformance] specs against two real nodes: how each spec\nended when it last ran. "+
		"`make conformance FOCUS='regex'` runs specs, `make conformance-docs`\nwrites this page from their results; see [testing](../test/conformance/README.md).\n\n", version)
	b.WriteString("| SIG | specs | passed | failed | not run |\n|---|--:|--:|--:|--:|\n")
	for _, name := range slices.Sorted(maps.Keys(sigs)) {
		b.WriteString(sigs[name].row(name))
	}
	b.WriteString(total.row("all"))
	list(&b, "Failed", total.failed)
	list(&b, "Not run", total.notRun)
	return b.String()
}

func list(b *strings.Builder, title string, specs []string) {
	if len(specs) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for _, s := range specs {
		fmt.Fprintf(b, "- %s\n", s)
	}
}

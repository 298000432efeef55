// Package results keeps what became of conformance specs over many runs and
// makes the table of docs/conformance.md from it.
package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

// Outcome is the end of a spec.
type Outcome string

const (
	Passed Outcome = "passed"
	Failed Outcome = "failed"
	// Skipped itself: it ran, and found that the cluster is not what it is for.
	Skipped Outcome = "skipped"
)

// Result is the outcome of one spec in its latest run.
type Result struct {
	// Spec is its whole name, as ginkgo's --focus sees it.
	Spec    string  `json:"spec"`
	Outcome Outcome `json:"outcome"`
	// Reason it failed or skipped itself; kept for people, not in files.
	Reason string `json:"-"`
}

// FromReport reads ginkgo's JSON report: the specs that were chosen to run. A
// suite that failed before or beside its specs is an error, which comes with
// the results there are.
func FromReport(in io.Reader) ([]Result, error) {
	var reports []types.Report
	if err := json.NewDecoder(in).Decode(&reports); err != nil {
		return nil, fmt.Errorf("reading ginkgo's report: %w", err)
	}
	var out []Result
	var beside []error
	for _, report := range reports {
		for _, spec := range report.SpecReports {
			switch {
			case spec.LeafNodeType != types.NodeTypeIt:
				if spec.Failed() {
					beside = append(beside, fmt.Errorf("running the suite's %s: %s", spec.LeafNodeType, oneLine(spec.Failure.Message)))
				}
			case spec.NumAttempts == 0 || spec.State == types.SpecStateInterrupted: // filtered out, not reached, or cut off by Ctrl-C
			default:
				out = append(out, Result{Spec: spec.FullText(), Outcome: outcome(spec.State), Reason: oneLine(spec.Failure.Message)})
			}
		}
		for _, reason := range report.SpecialSuiteFailureReasons {
			beside = append(beside, fmt.Errorf("running the suite: %s", reason))
		}
	}
	return out, errors.Join(beside...)
}

func outcome(s types.SpecState) Outcome {
	switch {
	case s.Is(types.SpecStatePassed):
		return Passed
	case s.Is(types.SpecStateSkipped | types.SpecStatePending):
		return Skipped
	}
	return Failed
}

// oneLine makes a failure's message fit a list.
func oneLine(message string) string {
	const most = 300
	line := []rune(strings.Join(strings.Fields(message), " "))
	if len(line) > most {
		return string(line[:most]) + "…"
	}
	return string(line)
}

// Merge returns the results with newer ones over them, sorted by spec.
func Merge(old, newer []Result) []Result {
	latest := map[string]Result{}
	for _, r := range slices.Concat(old, newer) {
		latest[r.Spec] = r
	}
	out := make([]Result, 0, len(latest))
	for _, r := range latest {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Result) int { return cmp.Compare(a.Spec, b.Spec) })
	return out
}

// Read reads a file that Write wrote; one that does not exist holds nothing.
func Read(file string) ([]Result, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading results: %w", err)
	}
	var out []Result
	if err := json.Unmarshal(content, &out); err != nil {
		return nil, fmt.Errorf("reading results in %s: %w", file, err)
	}
	return out, nil
}

// Write results as JSON, one line a spec, so that two branches merge.
func Write(file string, results []Result) error {
	var b bytes.Buffer
	b.WriteString("[")
	for i, r := range results {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("writing results: %w", err)
		}
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n")
		b.Write(line)
	}
	b.WriteString("\n]\n")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	return nil
}

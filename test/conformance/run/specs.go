package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/coracle-k8s/coracle/test/conformance/results"
)

// readSpecs reads a list of specs: the beginning of a name on each line. Empty
// lines and those that begin with # are ignored.
func readSpecs(in io.Reader) ([]string, error) {
	var list []string
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the list of specs: %w", err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("reading the list of specs: it is empty")
	}
	return list, nil
}

// focusOn returns the regular expression of the specs of a list.
func focusOn(list []string) string {
	quoted := make([]string, len(list))
	for i, name := range list {
		quoted[i] = regexp.QuoteMeta(name)
	}
	return strings.Join(quoted, "|")
}

// notRun returns the names of a list that no spec that ran begins with.
func notRun(list []string, found []results.Result) []string {
	return slices.DeleteFunc(slices.Clone(list), func(name string) bool {
		return slices.ContainsFunc(found, func(r results.Result) bool {
			return strings.HasPrefix(r.Spec, name) && r.Outcome != results.Skipped
		})
	})
}

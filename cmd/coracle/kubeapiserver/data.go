// Package kubeapiserver has the flags of upstream's kube-apiserver over the
// configuration of a cluster. flags.csv lists them, as test/conformance/flags writes
// it; decisions.txt has the decision about each.
package kubeapiserver

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
)

//go:embed flags.csv
var flagsCSV string

//go:embed decisions.txt
var decisionsText string

// Decisions about a flag.
const (
	Honoured = "honoured"
	// Warned flags take every value and print a line for those but the default.
	Warned = "warned"
	// Refused flags end the start for every value but those they accept.
	Refused = "refused"
)

// Flag is one of upstream's with what was decided about it.
type Flag struct {
	Name, Type, Default string
	// Hidden flags are deprecated, and left out of upstream's --help.
	Hidden           bool
	Decision, Reason string
	// Accepts are the values that a refused flag takes; nil is Default alone.
	Accepts []string
}

// All returns every flag of upstream's in the order of names. Lists that do not
// agree are an error.
func All() ([]Flag, error) {
	rows, err := csv.NewReader(strings.NewReader(flagsCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading the list of flags: %w", err)
	}
	decided, err := decisions()
	if err != nil {
		return nil, err
	}
	var all []Flag
	for _, r := range rows[1:] {
		f, ok := decided[r[0]]
		if !ok {
			return nil, fmt.Errorf("reading the list of flags: --%s is not decided", r[0])
		}
		delete(decided, r[0])
		f.Name, f.Type, f.Default, f.Hidden = r[0], r[1], r[2], r[3] == "true"
		all = append(all, f)
	}
	for name := range decided {
		return nil, fmt.Errorf("reading decisions about flags: there is no --%s", name)
	}
	return all, nil
}

func decisions() (map[string]Flag, error) {
	decided := map[string]Flag{}
	for line := range strings.Lines(decisionsText) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) < 3 || len(parts) > 4 || !slices.Contains([]string{Honoured, Warned, Refused}, parts[1]) {
			return nil, fmt.Errorf("reading decisions about flags: %q is none", line)
		}
		f := Flag{Decision: parts[1], Reason: parts[2]}
		if len(parts) == 4 {
			f.Accepts = strings.Fields(parts[3])
		}
		if _, twice := decided[parts[0]]; twice {
			return nil, fmt.Errorf("reading decisions about flags: --%s is decided twice", parts[0])
		}
		decided[parts[0]] = f
	}
	return decided, nil
}

// accepts reports whether a refused flag takes the value.
func (f Flag) accepts(value string) bool {
	if f.Accepts != nil {
		return slices.Contains(f.Accepts, value)
	}
	return value == f.Default
}

// because returns the reason as the end of a sentence.
func (f Flag) because() string {
	reason := strings.TrimSuffix(f.Reason, ".")
	if rest := reason[1:]; rest != "" && strings.ToUpper(rest[:1]) != rest[:1] {
		reason = strings.ToLower(reason[:1]) + rest
	}
	return reason
}

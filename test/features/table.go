package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// gate is a row of gates.csv: a feature gate at its newest stage.
type gate struct {
	name, stage string
	on, locked  bool
	// since is the version of Kubernetes in which the stage began.
	since string
}

// decision is a line of decisions.txt.
type decision struct{ gate, verdict, reason string }

// verdicts are what a decision may be, in the order of the document.
func verdicts() []string {
	return []string{"honoured", "honoured differently", "missing", "not applicable"}
}

func readGates(path string) ([]gate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading gates: %w", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading gates: %w", err)
	}
	var gates []gate
	for _, r := range rows[1:] {
		gates = append(gates, gate{name: r[0], stage: r[1], on: r[2] == "true", locked: r[3] == "true", since: r[4]})
	}
	return gates, nil
}

// readDecisions reads the lines that are no comments and not empty.
func readDecisions(path string) ([]decision, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading decisions: %w", err)
	}
	var list []decision
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 {
			return nil, fmt.Errorf("reading decisions: %q has not three parts", line)
		}
		list = append(list, decision{parts[0], parts[1], parts[2]})
	}
	return list, nil
}

// join finds the decision about each gate that is on. What does not agree is an error.
func join(gates []gate, decisions []decision) (map[string]decision, error) {
	var errs []error
	joined := map[string]decision{}
	for _, d := range decisions {
		if _, twice := joined[d.gate]; twice {
			errs = append(errs, fmt.Errorf("%s is decided twice", d.gate))
		}
		if !slices.Contains(verdicts(), d.verdict) {
			errs = append(errs, fmt.Errorf("%s: %q is no decision", d.gate, d.verdict))
		}
		if !slices.ContainsFunc(gates, func(g gate) bool { return g.name == d.gate }) {
			errs = append(errs, fmt.Errorf("%s is decided, but there is no such gate", d.gate))
		}
		joined[d.gate] = d
	}
	for _, g := range gates {
		if _, ok := joined[g.name]; g.on && !ok {
			errs = append(errs, fmt.Errorf("%s is on by default, but not decided", g.name))
		}
	}
	return joined, errors.Join(errs...)
}

const introduction = `# Kubernetes' feature gates

What Coracle does about each feature gate that is on by default in Kubernetes
%s. Coracle has no gates of its own: what is honoured is always on. Written by
` + "`make features`" + `; edit [test/features/decisions.txt](../test/features/decisions.txt).

`

// render returns the document of the data in dir.
func render(dir string) (string, error) {
	gates, err := readGates(filepath.Join(dir, "gates.csv"))
	if err != nil {
		return "", err
	}
	decisions, err := readDecisions(filepath.Join(dir, "decisions.txt"))
	if err != nil {
		return "", err
	}
	decided, err := join(gates, decisions)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, introduction, newest(gates))
	counts := map[string]int{}
	for _, g := range gates {
		counts[decided[g.name].verdict]++
	}
	for _, v := range verdicts() {
		fmt.Fprintf(&out, "- %s: %d\n", v, counts[v])
	}
	out.WriteString("\n| gate | stage | decision | where, or what is missing |\n|---|---|---|---|\n")
	var off []string
	for _, g := range gates {
		d, ok := decided[g.name]
		if !ok {
			off = append(off, g.name)
			continue
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", g.name, g.describe(), d.verdict, d.reason)
	}
	fmt.Fprintf(&out, "\nOff by default, and off here: %s.\n", strings.Join(off, ", "))
	return out.String(), nil
}

// describe returns the stage and since when.
func (g gate) describe() string {
	stage := strings.ToLower(g.stage)
	if stage == "ga" {
		stage = "GA"
	}
	if g.locked {
		stage += ", locked"
	}
	return stage + " since " + g.since
}

// newest returns the newest version in which a stage began, which is that of the data.
func newest(gates []gate) string {
	version, minor := "", 0
	for _, g := range gates {
		n := 0
		if _, err := fmt.Sscanf(g.since, "1.%d", &n); err == nil && n > minor {
			version, minor = g.since, n
		}
	}
	return version
}

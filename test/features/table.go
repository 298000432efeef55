package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coracle-k8s/coracle/apis/config/features"
)

// verdicts returns the possible decisions, in the order of the document.
func verdicts() []features.Verdict {
	return []features.Verdict{features.Honoured, features.HonouredDifferently, features.Missing, features.NotApplicable}
}

// join finds the decision about each gate that is on. A gate without a decision, or
// one that disagrees, is an error.
func join(gates []features.Gate, decisions []features.Decision) (map[string]features.Decision, error) {
	var errs []error
	joined := map[string]features.Decision{}
	for _, d := range decisions {
		if _, twice := joined[d.Gate]; twice {
			errs = append(errs, fmt.Errorf("%s is decided twice", d.Gate))
		}
		if !slices.Contains(verdicts(), d.Verdict) {
			errs = append(errs, fmt.Errorf("%s: %q is no decision", d.Gate, d.Verdict))
		}
		if !slices.ContainsFunc(gates, func(g features.Gate) bool { return g.Name == d.Gate }) {
			errs = append(errs, fmt.Errorf("%s is decided, but there is no such gate", d.Gate))
		}
		joined[d.Gate] = d
	}
	for _, g := range gates {
		if _, ok := joined[g.Name]; g.On && !ok {
			errs = append(errs, fmt.Errorf("%s is on by default, but not decided", g.Name))
		}
	}
	return joined, errors.Join(errs...)
}

const introduction = `# Kubernetes' feature gates

What Coracle does about each feature gate that is on by default in Kubernetes
%s. Coracle has no gates of its own: what is honoured is always on, and feature gates
in its configuration that ask for something else are reported. Written by
` + "`make features`" + `; edit [apis/config/features/decisions.txt](../apis/config/features/decisions.txt).

`

// render returns the document.
func render() (string, error) {
	gates, err := features.Gates()
	if err != nil {
		return "", err
	}
	decisions, err := features.Decisions()
	if err != nil {
		return "", err
	}
	decided, err := join(gates, decisions)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, introduction, newest(gates))
	counts := map[features.Verdict]int{}
	for _, g := range gates {
		counts[decided[g.Name].Verdict]++
	}
	for _, v := range verdicts() {
		fmt.Fprintf(&out, "- %s: %d\n", v, counts[v])
	}
	out.WriteString("\n| gate | stage | decision | where, or what is missing |\n|---|---|---|---|\n")
	var off []string
	for _, g := range gates {
		d, ok := decided[g.Name]
		if !ok {
			off = append(off, g.Name)
			continue
		}
		fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", g.Name, describe(g), d.Verdict, d.Reason)
	}
	fmt.Fprintf(&out, "\nOff by default, and off here: %s.\n", strings.Join(off, ", "))
	return out.String(), nil
}

// describe returns the stage and since when.
func describe(g features.Gate) string {
	stage := strings.ToLower(g.Stage)
	if stage == "ga" {
		stage = "GA"
	}
	if g.Locked {
		stage += ", locked"
	}
	return stage + " since " + g.Since
}

// newest returns the newest version in which a stage began, which is that of the data.
func newest(gates []features.Gate) string {
	version, minor := "", 0
	for _, g := range gates {
		n := 0
		if _, err := fmt.Sscanf(g.Since, "1.%d", &n); err == nil && n > minor {
			version, minor = g.Since, n
		}
	}
	return version
}

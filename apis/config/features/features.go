// Package features holds the feature gates of the Kubernetes version that Coracle
// follows, and what Coracle does about each.
//
// Coracle has no gates of its own: what is honoured is always on, and what is not
// is missing. Turning a gate off hides the resources that upstream serves only with
// it, and setting a gate changes nothing else.
//
// The API of this package is not stable: see docs/api.md.
package features

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/component-base/featuregate"
)

var (
	// gatesText is written by test/conformance/features.
	//go:embed gates.csv
	gatesText string
	//go:embed decisions.txt
	decisionsText string
)

// Gate is a feature gate at its newest stage.
type Gate struct {
	// Name of the gate; Stage is ALPHA, BETA, GA or DEPRECATED.
	Name, Stage string
	// On is the default; a Locked gate cannot be set otherwise.
	On, Locked bool
	// Since is the version of Kubernetes in which the stage began.
	Since string
	// Requires names the gates that must be on with it, separated by spaces.
	Requires string
}

// Verdict classifies how far Coracle honours a gate.
type Verdict string

// The verdicts.
const (
	Honoured            Verdict = "honoured"
	HonouredDifferently Verdict = "honoured differently"
	Missing             Verdict = "missing"
	NotApplicable       Verdict = "not applicable"
)

// Decision holds the verdict on a gate that is on by default, with the place that
// honours it, or what is missing.
type Decision struct {
	Gate    string
	Verdict Verdict
	Reason  string
}

// Gates lists every gate by name.
func Gates() ([]Gate, error) {
	rows, err := csv.NewReader(strings.NewReader(gatesText)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading gates: %w", err)
	}
	gates := make([]Gate, 0, len(rows))
	for _, r := range rows[1:] {
		gates = append(gates, Gate{Name: r[0], Stage: r[1], On: r[2] == "true", Locked: r[3] == "true", Since: r[4], Requires: r[5]})
	}
	return gates, nil
}

// Decisions reads the lines that are no comments and not empty.
func Decisions() ([]Decision, error) {
	var list []Decision
	for line := range strings.Lines(decisionsText) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, " | ")
		if len(parts) != 3 {
			return nil, fmt.Errorf("reading decisions: %q has not three parts", line)
		}
		list = append(list, Decision{parts[0], Verdict(parts[1]), parts[2]})
	}
	return list, nil
}

// Set is the gates as a configuration sets them.
type Set struct {
	gates    featuregate.FeatureGate
	explicit map[string]bool
}

// New sets gates, AllAlpha and AllBeta among them. Unknown gates, locked ones, and
// gates that are on without those they require are refused in upstream's words.
func New(set map[string]bool) (*Set, error) {
	known, err := Gates()
	if err != nil {
		return nil, err
	}
	// The age of a stage matters only for emulated versions, which there are none of.
	always := version.MajorMinor(1, 0)
	specs, requires := map[featuregate.Feature]featuregate.VersionedSpecs{}, map[featuregate.Feature][]featuregate.Feature{}
	for _, g := range known {
		spec := featuregate.FeatureSpec{Version: always, Default: g.On, LockToDefault: g.Locked, PreRelease: featuregate.Alpha}
		switch g.Stage {
		case "BETA":
			spec.PreRelease = featuregate.Beta
		case "GA":
			spec.PreRelease = featuregate.GA
		case "DEPRECATED":
			spec.PreRelease = featuregate.Deprecated
		}
		specs[featuregate.Feature(g.Name)] = featuregate.VersionedSpecs{spec}
		for name := range strings.FieldsSeq(g.Requires) {
			requires[featuregate.Feature(g.Name)] = append(requires[featuregate.Feature(g.Name)], featuregate.Feature(name))
		}
	}
	gates := featuregate.NewVersionedFeatureGate(version.MajorMinor(1, 37))
	if err := gates.AddVersioned(specs); err != nil {
		return nil, fmt.Errorf("listing feature gates: %w", err)
	}
	if err := gates.AddDependencies(requires); err != nil {
		return nil, fmt.Errorf("listing feature gates: %w", err)
	}
	// The library would log what Warnings reports better.
	if err := gates.SetFromMapWithLogger(logr.Discard(), set); err != nil {
		return nil, err //nolint:wrapcheck // upstream's words
	}
	return &Set{gates: gates, explicit: maps.Clone(set)}, nil
}

// Enabled reports whether a known gate is on.
func (s *Set) Enabled(name string) bool { return s.gates.Enabled(featuregate.Feature(name)) }

// Warnings names each gate that is set to something else than Coracle does. serves
// lists the gates that decide about API versions.
func (s *Set) Warnings(serves []string) ([]string, error) {
	gates, err := Gates()
	if err != nil {
		return nil, err
	}
	decisions, err := Decisions()
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, name := range slices.Sorted(maps.Keys(s.explicit)) {
		if why := ineffective(name, s.explicit[name], gates, decisions, serves); why != "" {
			warnings = append(warnings, fmt.Sprintf("feature gate %s: %t has no effect%s", name, s.explicit[name], why))
		}
	}
	return warnings, nil
}

// ineffective returns why setting a gate has no effect, "" if Coracle does what is
// asked for.
func ineffective(name string, on bool, gates []Gate, decisions []Decision, serves []string) string {
	switch name {
	case "AllAlpha":
		if on {
			return ": features that are alpha are not in Coracle"
		}
		return ""
	case "AllBeta":
		if !on {
			return ": features that are beta and in Coracle are always on"
		}
		return ""
	}
	i := slices.IndexFunc(gates, func(g Gate) bool { return g.Name == name })
	d := slices.IndexFunc(decisions, func(d Decision) bool { return d.Gate == name })
	missing := d >= 0 && decisions[d].Verdict == Missing
	switch does := gates[i].On && !missing; {
	case on == does, missing && !on:
		return ""
	case missing:
		return ": " + decisions[d].Reason
	case on:
		return ": the feature is off by default and not in Coracle"
	case slices.Contains(serves, name):
		return " but on API versions: the feature is always on in Coracle"
	default:
		return ": the feature is always on in Coracle"
	}
}

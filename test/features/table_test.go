package main

import (
	"os"
	"strings"
	"testing"

	_ "k8s.io/apiextensions-apiserver/pkg/features" // registers its gates
	_ "k8s.io/apiserver/pkg/features"               // registers its gates
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	clientfeatures "k8s.io/client-go/features"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	metricsfeatures "k8s.io/component-base/metrics/features"
	zpagesfeatures "k8s.io/component-base/zpages/features"

	"github.com/coracle-k8s/coracle/apis/config/features"
)

// TestDocument fails as well where gates and decisions do not agree.
func TestDocument(t *testing.T) {
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/features.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/features.md is not what the decisions render to: run make features")
	}
}

// TestDecisionsNameFilesThatExist looks for every path in the decisions.
func TestDecisionsNameFilesThatExist(t *testing.T) {
	decisions, err := features.Decisions()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range decisions {
		for word := range strings.FieldsSeq(d.Reason) {
			path := strings.TrimSuffix(strings.Trim(word, "().,;:"), "/*")
			first, _, nested := strings.Cut(path, "/")
			if _, err := os.Stat("../../" + first); !nested || err != nil || first == "" {
				continue
			}
			if _, err := os.Stat("../../" + path); err != nil {
				t.Errorf("%s: %s does not exist", d.Gate, path)
			}
		}
	}
}

// clientGates collects what client-go registers.
type clientGates map[clientfeatures.Feature]clientfeatures.VersionedSpecs

func (c clientGates) Add(map[clientfeatures.Feature]clientfeatures.FeatureSpec) error { return nil }
func (c clientGates) AddVersioned(in map[clientfeatures.Feature]clientfeatures.VersionedSpecs) error {
	for name, specs := range in {
		c[name] = specs
	}
	return nil
}

// TestGatesOfTheModules fails when a new version of a module adds a gate or moves
// one to another stage, until gates.csv has it and it is decided.
func TestGatesOfTheModules(t *testing.T) {
	listed, err := features.Gates()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]features.Gate{}
	for _, g := range listed {
		byName[g.Name] = g
	}
	check := func(name, stage string, on, locked bool, since string) {
		if stage == "" {
			stage = "GA"
		}
		want := features.Gate{Name: name, Stage: stage, On: on, Locked: locked, Since: since, Requires: byName[name].Requires}
		if got := byName[name]; got != want {
			t.Errorf("the modules have %+v, gates.csv has %+v", want, got)
		}
	}
	all := utilfeature.DefaultMutableFeatureGate.DeepCopy()
	for _, add := range []func(featuregate.MutableVersionedFeatureGate) error{
		metricsfeatures.AddFeatureGates, zpagesfeatures.AddFeatureGates, logsapi.AddFeatureGates,
	} {
		if err := add(all); err != nil {
			t.Fatal(err)
		}
	}
	for name, specs := range all.GetAllVersioned() {
		if name != "AllAlpha" && name != "AllBeta" {
			s := specs[len(specs)-1]
			check(string(name), string(s.PreRelease), s.Default, s.LockToDefault, s.Version.String())
		}
	}
	client := clientGates{}
	if err := clientfeatures.AddVersionedFeaturesToExistingFeatureGates(client); err != nil {
		t.Fatal(err)
	}
	for name, specs := range client {
		s := specs[len(specs)-1]
		check(string(name), string(s.PreRelease), s.Default, s.LockToDefault, s.Version.String())
	}
	if len(client) == 0 {
		t.Error("client-go registers no gates")
	}
}

func TestJoin(t *testing.T) {
	gates := []features.Gate{{Name: "On", On: true}, {Name: "Off"}}
	for text, c := range map[string][]features.Decision{
		"":                             {{Gate: "On", Verdict: "honoured", Reason: "here"}, {Gate: "Off", Verdict: "honoured", Reason: "here"}},
		"On is on by default":          nil,
		"Gone is decided, but":         {{Gate: "On", Verdict: "honoured", Reason: ""}, {Gate: "Gone", Verdict: "missing", Reason: ""}},
		"On is decided twice":          {{Gate: "On", Verdict: "honoured", Reason: ""}, {Gate: "On", Verdict: "missing", Reason: ""}},
		`On: "honored" is no decision`: {{Gate: "On", Verdict: "honored", Reason: ""}},
	} {
		_, err := join(gates, c)
		if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("want %q, got %v", text, err)
		}
	}
}

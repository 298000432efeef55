package features

import (
	"slices"
	"strings"
	"testing"
)

// TestNewRefusesInUpstreamsWords uses kube-apiserver v1.37.1's messages.
func TestNewRefusesInUpstreamsWords(t *testing.T) {
	for want, set := range map[string]map[string]bool{
		"unrecognized feature gate: Nope": {"Nope": true},
		"cannot set feature gate CPUManagerPolicyOptions to false, feature is locked to true":                                        {"CPUManagerPolicyOptions": false},
		"ClusterTrustBundleProjection is enabled, but depends on features that are disabled: [ClusterTrustBundle]":                   {"ClusterTrustBundle": false},
		"CompositePodGroup is enabled, but depends on features that are disabled: [GenericWorkload TopologyAwareWorkloadScheduling]": {"CompositePodGroup": true},
	} {
		if _, err := New(set); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestGroupsOfGates(t *testing.T) {
	for name, c := range map[string]struct {
		set  map[string]bool
		gate string
		want bool
	}{
		"default, alpha":       {nil, "EvictionRequestAPI", false},
		"default, beta":        {nil, "APIServerIdentity", true},
		"all alpha":            {map[string]bool{"AllAlpha": true, "AllBeta": true}, "EvictionRequestAPI", true},
		"all alpha but one":    {map[string]bool{"AllAlpha": true, "AllBeta": true, "EvictionRequestAPI": false}, "EvictionRequestAPI", false},
		"all alpha, of others": {map[string]bool{"AllAlpha": true, "AllBeta": true}, "APIServerIdentity", true},
	} {
		s, err := New(c.set)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := s.Enabled(c.gate); got != c.want {
			t.Errorf("%s: %s is %t", name, c.gate, got)
		}
	}
}

// TestWarnings sets gates to what Coracle does, which needs no word, and otherwise.
func TestWarnings(t *testing.T) {
	decisions, err := Decisions()
	if err != nil {
		t.Fatal(err)
	}
	gates, err := Gates()
	if err != nil {
		t.Fatal(err)
	}
	missing := ""
	for _, d := range decisions {
		if d.Verdict == Missing && slices.ContainsFunc(gates, func(g Gate) bool { return g.Name == d.Gate && !g.Locked }) {
			missing = d.Gate
		}
	}
	for name, c := range map[string]struct {
		gate string
		on   bool
		want string
	}{
		"alpha, off":   {"EvictionRequestAPI", false, ""},
		"alpha, on":    {"CBORServingAndStorage", true, "feature gate CBORServingAndStorage: true has no effect: the feature is off by default and not in Coracle"},
		"beta, on":     {"APIServerIdentity", true, ""},
		"beta, off":    {"APIResponseCompression", false, "feature gate APIResponseCompression: false has no effect: the feature is always on in Coracle"},
		"missing, off": {missing, false, ""},
		"missing, on":  {missing, true, "feature gate " + missing + ": true has no effect: "},
		"no alpha":     {"AllAlpha", false, ""},
		"no beta":      {"AllBeta", true, ""},
	} {
		s, err := New(map[string]bool{c.gate: c.on})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := s.Warnings(nil)
		if err != nil || len(got) > 1 || !strings.HasPrefix(strings.Join(got, ""), c.want) || c.want == "" && len(got) > 0 {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

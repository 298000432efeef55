package kubeapiserver

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	cliflag "k8s.io/component-base/cli/flag"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// addEnablement adds the flags that turn API versions and feature gates on and off.
// Each may be repeated; the last value of a key counts, over the configuration file.
func (f *Flags) addEnablement() {
	c := f.config
	versions := cliflag.ConfigurationMap(c.APIServer.RuntimeConfig)
	if versions == nil {
		versions = cliflag.ConfigurationMap{}
	}
	c.APIServer.RuntimeConfig = versions
	f.set.Var(&versions, "runtime-config", "API versions that are on or off: api/all, api/ga, api/beta, api/alpha, group/version, group/version/resource, each =true or =false")
	f.set.Var(gateFlag{c}, "feature-gates", "Kubernetes' feature gates, name=true or name=false; see docs/features.md")
}

// gateFlag sets the configuration's feature gates in the syntax of upstream's flag.
// Gates may be prefixed with the component kube, the only one there is.
type gateFlag struct{ config *v1alpha1.Cluster }

// Set implements pflag.Value.
func (f gateFlag) Set(text string) error {
	gates := maps.Clone(f.config.FeatureGates)
	if gates == nil {
		gates = map[string]bool{}
	}
	for pair := range strings.SplitSeq(text, ",") {
		component, rest, prefixed := strings.Cut(strings.TrimSpace(pair), ":")
		if !prefixed {
			component, rest = "kube", component
		}
		if rest == "" {
			continue
		}
		if component != "kube" {
			return fmt.Errorf("component not registered: %s", component)
		}
		name, value, ok := strings.Cut(rest, "=")
		if name = strings.TrimSpace(name); !ok {
			return fmt.Errorf("missing bool value for %s", name)
		}
		on, err := strconv.ParseBool(strings.TrimSpace(value))
		if err != nil {
			return fmt.Errorf("invalid value of %s=%s, err: %w", name, strings.TrimSpace(value), err)
		}
		gates[name] = on
	}
	f.config.FeatureGates = gates
	return nil
}

// String implements pflag.Value.
func (f gateFlag) String() string { return "" }

// Type implements pflag.Value.
func (f gateFlag) Type() string { return "colonSeparatedMultimapStringString" }

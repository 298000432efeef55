package cluster

import (
	"fmt"

	"github.com/coracle-k8s/coracle/apis/config/features"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/all"
)

// resources returns what the configuration has the API server serve, and reports
// feature gates that have no effect.
func (c *Cluster) resources() ([]*registry.Resource, error) {
	if len(c.config.FeatureGates)+len(c.config.APIServer.RuntimeConfig) == 0 {
		return all.Default(), nil
	}
	gates, err := features.New(c.config.FeatureGates)
	if err != nil {
		return nil, fmt.Errorf("setting feature gates: %w", err)
	}
	warnings, err := gates.Warnings(all.Gates())
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		c.options.progress(w)
	}
	resources, err := all.Enabled(c.config.APIServer.RuntimeConfig, gates.Enabled)
	if err != nil {
		return nil, fmt.Errorf("enabling API versions: %w", err)
	}
	return resources, nil
}

package all

import (
	"fmt"
	"slices"

	serverstorage "k8s.io/apiserver/pkg/server/storage"

	"github.com/coracle-k8s/coracle/apis/config/enablement"
	"github.com/coracle-k8s/coracle/apis/config/features"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// Default returns the resources of a server whose configuration does not mention versions,
// in the order in which discovery shows them: those of stable versions, and hidden what
// stores one of these in a beta version.
func Default() []*registry.Resource {
	return enabled(func(r *registry.Resource) bool { return !r.Stable() })
}

// everything lists the resources of all versions.
func everything() []*registry.Resource {
	var list []*registry.Resource
	for _, r := range kinds() {
		list = append(append(list, r), r.Others...)
	}
	return list
}

// Gates lists the feature gates that decide whether a resource is served.
func Gates() []string {
	var gates []string
	for _, r := range everything() {
		if r.Gate != "" && !slices.Contains(gates, r.Gate) {
			gates = append(gates, r.Gate)
		}
	}
	return gates
}

// Configured returns the resources of a server with a configuration's runtimeConfig and
// featureGates, and a warning of each gate that has no effect.
func Configured(runtimeConfig map[string]string, featureGates map[string]bool) ([]*registry.Resource, []string, error) {
	if len(runtimeConfig)+len(featureGates) == 0 {
		return Default(), nil, nil
	}
	gates, err := features.New(featureGates)
	if err != nil {
		return nil, nil, fmt.Errorf("setting feature gates: %w", err)
	}
	warnings, err := gates.Warnings(Gates())
	if err != nil {
		return nil, nil, err
	}
	resources, err := Enabled(runtimeConfig, gates.Enabled)
	if err != nil {
		return nil, nil, fmt.Errorf("enabling API versions: %w", err)
	}
	return resources, warnings, nil
}

// Enabled returns the resources of a server whose configuration turns versions and
// resources on and off, and whose feature gates are on as gate reports. A resource that
// is off by default is left out. One that is on by default, or stores what another
// version shows, is hidden when it is off, since parts of the process may need it.
func Enabled(runtimeConfig map[string]string, gate func(name string) bool) ([]*registry.Resource, error) {
	config := serverstorage.NewResourceConfig()
	for _, r := range everything() {
		if r.Stable() {
			config.EnableVersions(r.GVK.GroupVersion())
		} else {
			config.DisableVersions(r.GVK.GroupVersion())
		}
	}
	if len(runtimeConfig) > 0 {
		var err error
		if config, err = enablement.Merge(config, runtimeConfig); err != nil {
			return nil, err
		}
	}
	return enabled(func(r *registry.Resource) bool {
		return !config.ResourceEnabled(r.GVR()) || r.Gate != "" && !gate(r.Gate)
	}), nil
}

func enabled(hidden func(*registry.Resource) bool) []*registry.Resource {
	var list []*registry.Resource
	for _, kind := range kinds() {
		shown := 0
		for _, r := range append([]*registry.Resource{kind}, kind.Others...) {
			r.Hidden = hidden(r)
			if !r.Hidden {
				shown++
			}
		}
		for _, r := range append([]*registry.Resource{kind}, kind.Others...) {
			if stores := r == kind && shown > 0; !r.Hidden || stores || r.Stable() {
				list = append(list, r)
			}
		}
	}
	return list
}

package dynamic

import (
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// RefuseManifests returns an error if a plugin's configuration names a directory
// of webhooks or policies that are to hold without the API. Nothing here reads
// them, and without them more would be allowed than was meant. config may be nil.
func RefuseManifests(config io.Reader) error {
	if config == nil {
		return nil
	}
	data, err := io.ReadAll(config)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	return refuseManifests(data)
}

func refuseManifests(data []byte) error {
	var named struct {
		StaticManifestsDir string `json:"staticManifestsDir"`
	}
	if err := yaml.Unmarshal(data, &named); err != nil {
		return fmt.Errorf("parsing the configuration: %w", err)
	}
	if named.StaticManifestsDir != "" {
		return errors.New("staticManifestsDir is not supported")
	}
	return nil
}

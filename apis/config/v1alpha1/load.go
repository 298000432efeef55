package v1alpha1

import (
	"fmt"
	"os"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Load reads a configuration file (YAML or JSON) strictly: a field that does
// not exist or stands twice is an error with its path. The result is neither
// defaulted nor validated, so that flags may still be set over it.
func Load(file string) (*Cluster, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", file, err)
	}
	return c, nil
}

// Decode is Load for data in memory.
func Decode(data []byte) (*Cluster, error) {
	text, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	strict, err := kjson.UnmarshalStrict(text, c)
	if err != nil {
		return nil, err
	}
	if len(strict) > 0 {
		return nil, strict[0]
	}
	return c, nil
}

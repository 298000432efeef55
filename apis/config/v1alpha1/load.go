package v1alpha1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
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
	document, err := alone(data)
	if err != nil {
		return nil, err
	}
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	strict, err := kjson.UnmarshalStrict(text, c)
	if err != nil {
		return nil, err
	}
	if len(strict) > 0 {
		return nil, utilerrors.NewAggregate(strict)
	}
	return c, nil
}

// alone returns the one document that is not empty. A second one is an error,
// since it would be ignored.
func alone(data []byte) ([]byte, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var found []byte
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		var content any
		if err := yaml.Unmarshal(document, &content); err != nil {
			return nil, err
		}
		if content == nil {
			continue
		}
		if found != nil {
			return nil, errors.New("more than one document")
		}
		found = document
	}
}

// Package allocation keeps, across restarts of a node's agent, what the node granted the
// containers of its pods, and what it gave them in place since they began. The kubelet has the
// same in its files allocated_pods_state and actuated_pods_state.
//
// The API of this package is not stable: see docs/api.md.
package allocation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// file is the record's name in a pod's directory.
const file = "allocation.json"

// Record is that of one pod.
type Record struct {
	// Allocated has what the node granted, by the name of the container.
	Allocated map[string]corev1.ResourceRequirements `json:"allocated,omitempty"`
	// Actuated has what a container was given since it began, by its ID.
	Actuated map[string]corev1.ResourceRequirements `json:"actuated,omitempty"`
}

// Load reads the record in a pod's directory; it is empty if there is none.
func Load(dir string) (Record, error) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("reading a pod's allocation: %w", err)
	}
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("reading a pod's allocation: %s: %w", filepath.Join(dir, file), err)
	}
	return r, nil
}

// Save writes the record into a pod's directory, which it makes. The file is the old one or the
// new one at any time. It is not flushed: a machine that loses power loses the containers, too.
func (r Record) Save(dir string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("writing a pod's allocation: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing a pod's allocation: %w", err)
	}
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing a pod's allocation: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing a pod's allocation: %w", err)
	}
	return nil
}

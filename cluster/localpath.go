package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// localDirs makes and removes the directories of local-path volumes.
type localDirs struct{ cluster *Cluster }

// simulatedPrefix begins the names of simulated nodes, see nodeagent/simulated.
const simulatedPrefix = "simulated-"

// here says that the node is one of this process.
func (d localDirs) here(node string) bool {
	return d.cluster.nodes.has(node) || d.cluster.config.SimulatedNodes > 0 && strings.HasPrefix(node, simulatedPrefix)
}

// localPathDir is where those volumes are, below the data directory.
func localPathDir(dataDir string) (string, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return "", fmt.Errorf("finding the data directory: %w", err)
	}
	return filepath.Join(abs, "local-path"), nil
}

// Make implements localpath.Host. On other machines the agent makes the
// directory when it mounts it.
func (d localDirs) Make(node, path string) error {
	if !d.here(node) {
		return nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o777) // whoever the pod's user is
}

// Remove implements localpath.Host.
func (d localDirs) Remove(node, path string) (bool, error) {
	if _, err := os.Lstat(path); err == nil {
		return true, os.RemoveAll(path)
	}
	return d.here(node), nil
}

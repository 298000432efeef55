package cluster

import (
	"fmt"
	"os"
	"path/filepath"
)

// localDirs makes and removes the directories of local-path volumes.
type localDirs struct{ agents *connector }

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
	if !d.agents.has(node) {
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
	return d.agents.has(node), nil
}

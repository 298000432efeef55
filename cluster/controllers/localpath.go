package controllers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/controllers/localpath"
	"github.com/coracle-k8s/coracle/nodeagent/simulated"
)

// localDirs makes and removes the directories of local-path volumes.
type localDirs struct{ ownNode func(name string) bool }

// localPathDir returns the directory of those volumes, below the data directory.
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
	if !d.ownNode(node) {
		return nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o777) // for any user that the pod runs as
}

// Remove implements localpath.Host. A directory that is here is the volume's,
// also if the node is an agent's on this machine.
func (d localDirs) Remove(node, path string) (bool, error) {
	if _, err := os.Lstat(path); err == nil {
		return true, os.RemoveAll(path)
	}
	// Simulated nodes have no directories.
	return d.ownNode(node) || strings.HasPrefix(node, simulated.DefaultNamePrefix), nil
}

// AddRemover makes mgr remove the data of volumes from this process's own nodes, where
// another server may have the provisioner.
func AddRemover(mgr manager.Manager, clk clock.WithTicker, ownNode func(name string) bool) error {
	if err := localpath.NewRemover(newDeps(mgr, clk), ownDirs{localDirs{ownNode}}).SetupWithManager(mgr, controller.Options{}); err != nil {
		return fmt.Errorf("setting up the remover of volumes: %w", err)
	}
	return nil
}

// ownDirs are those of this process's own nodes alone.
type ownDirs struct{ localDirs }

// Remove implements localpath.Host.
func (d ownDirs) Remove(node, path string) (bool, error) {
	if !d.ownNode(node) {
		return false, nil
	}
	return d.localDirs.Remove(node, path)
}

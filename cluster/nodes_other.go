//go:build !linux

package cluster

import (
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// addNodes is not reached: host.Check refuses real nodes.
func (c *controlPlane) addNodes(manager.Manager) error {
	return errors.New("real nodes need Linux")
}

//go:build !linux

package agent

import (
	"context"
	"errors"
)

// Run runs one real node of a cluster whose server is another process.
func Run(context.Context, Config, Options) error {
	return errors.New("agents need Linux")
}

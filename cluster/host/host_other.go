//go:build !linux

package host

import (
	"context"
	"errors"
	"time"
)

// Check returns an error: this system has no real nodes.
func Check() error { return errors.New("real nodes need Linux") }

// Remove has nothing to do: there are no real nodes.
func Remove(context.Context, string, string, time.Duration, func(string)) error { return nil }

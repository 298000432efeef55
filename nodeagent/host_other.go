//go:build !linux

package nodeagent

import (
	"context"
	"errors"

	"github.com/coracle-k8s/coracle/nodeagent/images"
)

func hasAppArmor() bool { return false }

func (a *Agent) imageUsage(context.Context) (images.Usage, error) {
	return images.Usage{}, errors.New("looking at the image file system: this is not Linux")
}

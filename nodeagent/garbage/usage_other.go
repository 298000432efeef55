//go:build !linux

package garbage

import (
	"context"
	"errors"

	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

func imageUsage(context.Context, runtime.Service) (images.Usage, error) {
	return images.Usage{}, errors.New("looking at the image file system: this is not Linux")
}

package garbage

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/coracle-k8s/coracle/nodeagent/images"
	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// imageUsage returns the usage of the images' file system.
func imageUsage(ctx context.Context, service runtime.Service) (images.Usage, error) {
	info, err := service.ImageFsInfo(ctx, &runtimeapi.ImageFsInfoRequest{})
	if err != nil {
		return images.Usage{}, fmt.Errorf("asking for the image file system: %w", err)
	}
	if len(info.ImageFilesystems) == 0 {
		return images.Usage{}, fmt.Errorf("asking for the image file system: the runtime knows none")
	}
	dir := info.ImageFilesystems[0].FsId.GetMountpoint()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return images.Usage{}, fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	size := uint64(fs.Bsize)
	return images.Usage{Capacity: fs.Blocks * size, Available: fs.Bavail * size}, nil
}

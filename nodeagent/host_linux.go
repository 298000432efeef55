package nodeagent

import (
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/coracle-k8s/coracle/nodeagent/images"
)

// hasAppArmor reports whether the kernel enforces AppArmor profiles.
func hasAppArmor() bool {
	b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && strings.HasPrefix(string(b), "Y")
}

// imageUsage returns the usage of the images' file system.
func (a *Agent) imageUsage(ctx context.Context) (images.Usage, error) {
	info, err := a.runtime.ImageFsInfo(ctx, &runtimeapi.ImageFsInfoRequest{})
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

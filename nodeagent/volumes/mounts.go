//go:build linux

package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/mount-utils"
)

const mountInfo = "/proc/self/mountinfo"

// mountTmpfs mounts a tmpfs of size bytes (0: the kernel's default, half of the
// memory) unless one is there.
func mountTmpfs(dir string, size int64) (mounted bool, err error) {
	if is, err := isMountPoint(dir); err != nil || is {
		return false, err
	}
	options := "mode=777"
	if size > 0 {
		options += fmt.Sprintf(",size=%d", size)
	}
	// Secrets must not reach a swap device; kernels before 6.3 cannot promise it.
	err = unix.Mount("tmpfs", dir, "tmpfs", 0, options+",noswap")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("tmpfs", dir, "tmpfs", 0, options)
	}
	if err != nil {
		return false, fmt.Errorf("mounting tmpfs on %s: %w", dir, err)
	}
	return true, nil
}

func mountHugePages(dir string, pageSize int64) (mounted bool, err error) {
	if is, err := isMountPoint(dir); err != nil || is {
		return false, err
	}
	if err := unix.Mount("nodev", dir, "hugetlbfs", 0, fmt.Sprintf("mode=777,pagesize=%d", pageSize)); err != nil {
		return false, fmt.Errorf("mounting hugetlbfs on %s: %w", dir, err)
	}
	return true, nil
}

// isMountPoint reports whether dir is the root of a mount. It compares devices, which
// differ at mounts of tmpfs and hugetlbfs, the only ones that it is called for.
func isMountPoint(dir string) (bool, error) {
	var here, parent unix.Stat_t
	if err := unix.Lstat(dir, &here); err != nil {
		return false, fmt.Errorf("reading %s: %w", dir, err)
	}
	if err := unix.Lstat(filepath.Dir(dir), &parent); err != nil {
		return false, fmt.Errorf("reading %s: %w", filepath.Dir(dir), err)
	}
	return here.Dev != parent.Dev, nil
}

// mountsBelow lists mount points at or below dir, deepest and newest first.
func mountsBelow(dir string) ([]string, error) {
	infos, err := mount.ParseMountInfo(mountInfo)
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	var points []string
	for _, info := range infos {
		if info.MountPoint == dir || strings.HasPrefix(info.MountPoint, dir+"/") {
			points = append(points, info.MountPoint)
		}
	}
	slices.Reverse(points)
	return points, nil
}

// removeTree unmounts all below dir and then removes it. It removes nothing as
// long as anything is mounted there: that could be another's data.
func removeTree(ctx context.Context, dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	points, err := mountsBelow(real)
	if err != nil {
		return err
	}
	for _, point := range points {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmounting %s: %w", point, err)
		}
	}
	if len(points) > 0 {
		if points, err = mountsBelow(real); err != nil {
			return err
		}
		if len(points) > 0 {
			return fmt.Errorf("removing %s: %s is still mounted", dir, points[0])
		}
	}
	if err := os.RemoveAll(real); err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}

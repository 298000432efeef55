//go:build linux

package volumes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/nodeagent/host"
)

// SubPath implements host.Volumes. It returns a bind mount of the file or directory that
// the kernel found beneath the volume, so that no later change of a symlink redirects it.
func (m *Manager) SubPath(_ context.Context, pod *corev1.Pod, container string, mountIndex int, volume host.Volume, subPath string) (string, error) {
	if !filepath.IsLocal(subPath) {
		return "", fmt.Errorf("subPath %q must be inside the volume", subPath)
	}
	// A refresh in between would remove the file just opened.
	m.mu.Lock()
	state := m.pods[pod.UID]
	m.mu.Unlock()
	if state != nil {
		state.mu.Lock()
		defer state.mu.Unlock()
	}
	source, err := openBeneath(volume.Path, subPath)
	if errors.Is(err, unix.ENOENT) {
		if err := makeBeneath(volume.Path, subPath); err != nil {
			return "", err
		}
		source, err = openBeneath(volume.Path, subPath)
	}
	if err != nil {
		return "", fmt.Errorf("opening subPath %q: %w", subPath, err)
	}
	defer unix.Close(source)
	target := filepath.Join(m.podDir(pod.UID), subPathsDir, container, strconv.Itoa(mountIndex))
	if err := bind(source, target); err != nil {
		return "", fmt.Errorf("binding subPath %q: %w", subPath, err)
	}
	return target, nil
}

// openBeneath returns a descriptor of path, none of whose symlinks may lead out
// of root.
func openBeneath(root, path string) (int, error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// makeBeneath makes path a directory with the volume's own mode.
func makeBeneath(volume, path string) error {
	info, err := os.Stat(volume)
	if err != nil {
		return fmt.Errorf("making subPath %q: %w", path, err)
	}
	root, err := os.OpenRoot(volume)
	if err != nil {
		return fmt.Errorf("making subPath %q: %w", path, err)
	}
	defer root.Close()
	if err := root.MkdirAll(path, info.Mode().Perm()); err != nil {
		return fmt.Errorf("making subPath %q: %w", path, err)
	}
	// The umask may have cleared bits in MkdirAll.
	if err := root.Chmod(path, info.Mode().Perm()); err != nil {
		return fmt.Errorf("making subPath %q: %w", path, err)
	}
	return nil
}

// bind mounts what source refers to on target, which is a mount of the same
// thing already (kept), of another (replaced: the volume's content moved on) or
// none.
func bind(source int, target string) error {
	var from, at unix.Stat_t
	if err := unix.Fstat(source, &from); err != nil {
		return err
	}
	err := unix.Lstat(target, &at)
	if err == nil && at.Dev == from.Dev && at.Ino == from.Ino {
		return nil
	}
	if err == nil {
		// EINVAL: not a mount, a leftover of a crash.
		if err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return err
		}
		if err := os.Remove(target); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	if from.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.Mkdir(target, 0o750)
	} else {
		err = os.WriteFile(target, nil, 0o640)
	}
	if err != nil {
		return err
	}
	return unix.Mount(fmt.Sprintf("/proc/self/fd/%d", source), target, "", unix.MS_BIND|unix.MS_REC, "")
}

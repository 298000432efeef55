//go:build linux

package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// changePolicy is a pod's fsGroupChangePolicy.
type changePolicy = corev1.PodFSGroupChangePolicy

const (
	changeAlways         = corev1.FSGroupChangeAlways
	changeOnRootMismatch = corev1.FSGroupChangeOnRootMismatch
)

func changePolicyOf(pod *corev1.Pod) changePolicy {
	if sc := pod.Spec.SecurityContext; sc != nil && sc.FSGroupChangePolicy != nil {
		return *sc.FSGroupChangePolicy
	}
	return changeAlways
}

// ownTree gives a volume to the pod's fsGroup: files become readable (and, unless
// readOnly, writable) for the group, directories also searchable and setgid.
//
// Contract: https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#set-the-security-context-for-a-pod
//
// Every file is reached from a descriptor of the volume: another pod may have it, too, and put
// a link in the place of a directory at any moment.
func ownTree(dir string, group int64, readOnly bool, policy changePolicy) error {
	if err := ownBelow(dir, group, readOnly, policy); err != nil {
		return fmt.Errorf("applying fsGroup: %w", err)
	}
	return nil
}

func ownBelow(dir string, group int64, readOnly bool, policy changePolicy) error {
	base := "."
	if info, err := os.Stat(dir); err != nil {
		return err
	} else if !info.IsDir() {
		dir, base = filepath.Dir(dir), filepath.Base(dir) // a volume that is a file
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(base)
	if err != nil {
		return err
	}
	if policy == changeOnRootMismatch && owned(info, group, readOnly) {
		return nil
	}
	if info.IsDir() {
		// The volume itself comes last, so that an interrupted walk is noticed by
		// OnRootMismatch.
		err = fs.WalkDir(root.FS(), base, func(name string, _ fs.DirEntry, err error) error {
			if err == nil && name != base {
				err = own(root, name, group, readOnly)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it went meanwhile
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return own(root, base, group, readOnly)
}

func groupBits(info fs.FileInfo, readOnly bool) os.FileMode {
	bits := os.FileMode(0o660)
	if readOnly {
		bits = 0o440
	}
	if info.IsDir() {
		bits |= 0o110 | os.ModeSetgid
	}
	return bits
}

func owned(info fs.FileInfo, group int64, readOnly bool) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	want := groupBits(info, readOnly)
	return ok && int64(st.Gid) == group && info.Mode()&want == want
}

func own(root *os.Root, name string, group int64, readOnly bool) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if err := root.Lchown(name, -1, int(group)); err != nil {
		return err
	}
	// A symlink has no mode of its own, and its target must not be changed.
	if info.Mode()&os.ModeSymlink != 0 {
		return nil
	}
	keep := info.Mode() & (os.ModePerm | os.ModeSetuid | os.ModeSetgid | os.ModeSticky)
	return root.Chmod(name, keep|groupBits(info, readOnly))
}

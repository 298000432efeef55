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
func ownTree(dir string, group int64, readOnly bool, policy changePolicy) error {
	if policy == changeOnRootMismatch {
		info, err := os.Lstat(dir)
		if err != nil {
			return fmt.Errorf("applying fsGroup: %w", err)
		}
		if owned(info, group, readOnly) {
			return nil
		}
	}
	// The root comes last, so that an interrupted walk is noticed by
	// OnRootMismatch.
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		return own(path, info, group, readOnly)
	})
	if err != nil {
		return fmt.Errorf("applying fsGroup: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("applying fsGroup: %w", err)
	}
	return own(dir, info, group, readOnly)
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

func own(path string, info fs.FileInfo, group int64, readOnly bool) error {
	if err := os.Lchown(path, -1, int(group)); err != nil {
		return fmt.Errorf("applying fsGroup: %w", err)
	}
	// A symlink has no mode of its own, and its target must not be changed.
	if info.Mode()&os.ModeSymlink != 0 {
		return nil
	}
	keep := info.Mode() & (os.ModePerm | os.ModeSetuid | os.ModeSetgid | os.ModeSticky)
	if err := os.Chmod(path, keep|groupBits(info, readOnly)); err != nil {
		return fmt.Errorf("applying fsGroup: %w", err)
	}
	return nil
}

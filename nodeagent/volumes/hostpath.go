//go:build linux

package volumes

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// checkHostPath makes or checks what a hostPath's type demands.
//
// Contract: https://kubernetes.io/docs/concepts/storage/volumes/#hostpath-volume-types
func checkHostPath(source *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if source.Type != nil {
		kind = *source.Type
	}
	path := source.Path
	switch kind {
	case corev1.HostPathUnset:
		return nil
	case corev1.HostPathDirectoryOrCreate:
		if err := os.MkdirAll(path, 0o755); err != nil {
			return fmt.Errorf("hostPath type check failed: making %s: %w", path, err)
		}
		return nil
	case corev1.HostPathFileOrCreate:
		return makeFile(path)
	}
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	var mode fs.FileMode
	if err == nil {
		mode = info.Mode()
	}
	checks := map[corev1.HostPathType]struct {
		ok   bool
		what string
	}{
		corev1.HostPathDirectory: {mode.IsDir(), "directory"},
		corev1.HostPathFile:      {err == nil && mode.IsRegular(), "file"},
		corev1.HostPathSocket:    {mode&fs.ModeSocket != 0, "socket file"},
		corev1.HostPathCharDev:   {mode&fs.ModeCharDevice != 0, "character device"},
		corev1.HostPathBlockDev:  {mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0, "block device"},
	}
	check, known := checks[kind]
	if !known {
		return fmt.Errorf("hostPath type check failed: %s is an invalid volume type", kind)
	}
	if !check.ok {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", path, check.what)
	}
	return nil
}

func makeFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("hostPath type check failed: %s is not a file", filepath.Clean(path))
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	return f.Close()
}

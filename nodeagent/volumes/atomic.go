//go:build linux

package volumes

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	dataLink    = "..data"
	dataLinkTmp = "..data_tmp"
)

// writeAtomic makes content what readers of dir see, all at once:
//
//	dir/..2026_01_02_15_04_05.123456   the files
//	dir/..data -> ..2026_…             replaced by rename
//	dir/name -> ..data/name            one for each first path element
//
// Content that is there already is left alone, so that watchers of the files
// see no change. A crash in the middle leaves what the next call mends.
func writeAtomic(dir string, content payload, group *int64, now time.Time) error {
	for name := range content {
		if !filepath.IsLocal(name) || strings.HasPrefix(name, "..") {
			return fmt.Errorf("writing a volume: invalid path %q", name)
		}
	}
	old, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading a volume's content: %w", err)
	}
	if old != "" && sameContent(filepath.Join(dir, old), content) {
		return linkNames(dir, content)
	}
	fresh, err := os.MkdirTemp(dir, now.UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return fmt.Errorf("making a volume's content: %w", err)
	}
	if err := writeFiles(fresh, content, group); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := setOwner(dir, group); err != nil {
		return err
	}
	if err := swapData(dir, filepath.Base(fresh)); err != nil {
		return errors.Join(err, os.RemoveAll(fresh))
	}
	if err := linkNames(dir, content); err != nil {
		return err
	}
	return removeOld(dir, filepath.Base(fresh))
}

func writeFiles(dir string, content payload, group *int64) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return fmt.Errorf("writing a volume: %w", err)
	}
	for name, f := range content {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing a volume: %w", err)
		}
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return fmt.Errorf("writing a volume: %w", err)
		}
		if f.uid != nil {
			if err := os.Lchown(path, int(*f.uid), -1); err != nil {
				return fmt.Errorf("writing a volume: %w", err)
			}
		}
		// After chown, which may clear bits; and whatever the umask.
		if err := os.Chmod(path, os.FileMode(f.mode)&os.ModePerm); err != nil {
			return fmt.Errorf("writing a volume: %w", err)
		}
	}
	if group == nil {
		return nil
	}
	return ownTree(dir, *group, true, changeAlways)
}

// setOwner gives the volume's root directory to the group.
func setOwner(dir string, group *int64) error {
	if group == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("applying fsGroup: %w", err)
	}
	defer root.Close()
	if err := own(root, ".", *group, true); err != nil {
		return fmt.Errorf("applying fsGroup: %w", err)
	}
	return nil
}

func swapData(dir, fresh string) error {
	tmp := filepath.Join(dir, dataLinkTmp)
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing a volume's content: %w", err)
	}
	if err := os.Symlink(fresh, tmp); err != nil {
		return fmt.Errorf("replacing a volume's content: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, dataLink)); err != nil {
		return fmt.Errorf("replacing a volume's content: %w", err)
	}
	return nil
}

// linkNames makes the visible names those of content.
func linkNames(dir string, content payload) error {
	want := map[string]bool{}
	for name := range content {
		first, _, _ := strings.Cut(name, "/")
		want[first] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading a volume: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case want[name]:
			delete(want, name)
		case !strings.HasPrefix(name, ".."):
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("removing a name from a volume: %w", err)
			}
		}
	}
	for name := range want {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("adding a name to a volume: %w", err)
		}
	}
	return nil
}

// removeOld removes all contents but the current one.
func removeOld(dir, current string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading a volume: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "..") && e.Name() != current {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("removing a volume's old content: %w", err)
			}
		}
	}
	return nil
}

// sameContent compares what is on disk; an unreadable file differs.
func sameContent(dir string, content payload) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	seen := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, ok := content[name]
		if !ok {
			return fs.ErrNotExist
		}
		data, err := root.ReadFile(name)
		if err != nil {
			return err
		}
		if !bytes.Equal(data, f.data) {
			return fs.ErrExist
		}
		seen++
		return nil
	})
	return err == nil && seen == len(content)
}

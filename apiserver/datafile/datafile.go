// Package datafile reads and writes the files of a data directory that cannot be
// made again.
//
// Such a file is used as it is or refused with an *Error. It is never mended: its
// mode is not tightened either, because that does not take back what others have
// read.
//
// The API of this package is not stable: see docs/api.md.
package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Error reports a file of a data directory that cannot be used.
type Error struct {
	// Path names the file, Problem continues a sentence that begins with Path,
	// and Advice describes what the user can do.
	Path, Problem, Advice string
}

// Error implements error.
func (e *Error) Error() string { return e.Path + " " + e.Problem + ": " + e.Advice }

// Lost returns the error for a file whose content is gone.
func Lost(path, problem string) *Error {
	return &Error{path, problem, "restore it from a copy of the data directory, or start over with coracle reset"}
}

// Read returns the content of a file that passes Check and is not empty. An error other than *Error
// and fs.ErrNotExist is the file system's.
func Read(path string) ([]byte, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err == nil && len(data) == 0 {
		return nil, Lost(path, "is empty")
	}
	return data, err
}

// Check returns an error unless a file is a regular one that belongs to the user
// of this process and is closed to others, who may read certificates (*.crt). It
// opens nothing, as opening a pipe blocks.
func Check(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return Lost(path, "is a symbolic link that leads nowhere")
		}
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return Lost(path, "is not a regular file")
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != os.Geteuid() {
		return &Error{path, fmt.Sprintf("belongs to another user (uid %d)", stat.Uid),
			fmt.Sprintf("give it back with chown %d; if others may have read or changed it, start over with coracle reset", os.Geteuid())}
	}
	open := fs.FileMode(0o077)
	if filepath.Ext(path) == ".crt" {
		open = 0o022
	}
	if mode := info.Mode().Perm(); mode&open != 0 {
		return &Error{path, fmt.Sprintf("is open to other users (mode %04o)", mode),
			"close it with chmod 600; if others may have read or changed it, start over with coracle reset"}
	}
	return nil
}

// Exists reports whether path leads to anything.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// temporary begins the names of files that Write has not completed.
const temporary = ".tmp-"

// Write replaces a file with data, 0600, so that a crash leaves the old or the
// new content. SyncDir makes it last.
func Write(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), temporary+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// SyncDir makes what was written to a directory outlast a crash of the machine.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// RemoveTemporary removes what a killed Write left in a directory.
func RemoveTemporary(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, temporary+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

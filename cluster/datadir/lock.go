package datadir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ID names a cluster on its host: links, tables and cgroups carry it.
func ID(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:3])
}

// Lock keeps a data directory for one process. The kernel releases it when
// the process dies.
type Lock struct {
	file *os.File
	// made are the directories that were not there before, innermost first.
	made []string
}

// LockFile is the file of the lock. It marks a data directory.
const LockFile = "lock"

// Take takes the data directory, making it when it is not there.
func Take(dir string) (*Lock, error) {
	var made []string
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, d)
	}
	l := &Lock{made: made}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		l.Undo()
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	var err error
	if l.file, err = os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		l.Undo()
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	if err := l.take(dir, syscall.LOCK_NB); err != nil {
		l.file.Close()
		return nil, err
	}
	return l, nil
}

// take gets the kernel's lock; how is LOCK_NB not to wait for it.
func (l *Lock) take(dir string, how int) error {
	err := syscall.Flock(int(l.file.Fd()), syscall.LOCK_EX|how)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return &InUseError{Dir: dir, PID: l.holder()}
	}
	if err == nil {
		err = l.file.Truncate(0)
	}
	if err == nil {
		_, err = l.file.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	}
	if err != nil {
		return fmt.Errorf("locking the data directory: %w", err)
	}
	return nil
}

// holder returns the PID of the process that has the lock, 0 if it has not written it yet.
func (l *Lock) holder() int {
	text := make([]byte, 20)
	n, _ := l.file.ReadAt(text, 0) // short, so always with io.EOF
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// Undo takes away what Take made, as far as nothing else is in it.
func (l *Lock) Undo() {
	if len(l.made) == 0 {
		return
	}
	os.Remove(filepath.Join(l.made[0], LockFile))
	for _, dir := range l.made {
		if os.Remove(dir) != nil {
			return
		}
	}
}

// Release ends the lock.
func (l *Lock) Release() { l.file.Close() }

// InUseError is returned when another process runs a cluster or an agent in a data directory.
type InUseError struct {
	Dir string
	// PID is 0 if it is not known.
	PID int
}

// Error implements error.
func (e *InUseError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("data directory %s is in use by another coracle process", e.Dir)
	}
	return fmt.Sprintf("data directory %s is in use by another coracle process (pid %d)", e.Dir, e.PID)
}

// Running returns the process that runs a cluster or an agent in dir, if there
// is one.
func Running(dir string) (pid int, running bool, err error) {
	file, err := os.Open(filepath.Join(dir, LockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the data directory: %w", err)
	}
	defer file.Close()
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return (&Lock{file: file}).holder(), true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("asking for the lock of the data directory: %w", err)
	}
	return 0, false, nil
}

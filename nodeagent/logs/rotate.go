// Package logs keeps container logs from growing without bounds.
//
// The API of this package is not stable: see docs/api.md.
package logs

import (
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// stamp is the suffix of rotated logs, which sorts by time.
const stamp = "20060102-150405.000000"

// Policy sets the size at which a log rotates and the highest number of its
// files, the current one included.
type Policy struct {
	MaxSize  int64
	MaxFiles int
}

// Rotate moves a log that is too large aside, has the writer begin a new one by
// reopen, compresses older ones and removes the oldest. Should reopen fail, the
// log is moved back, so that the writer's file keeps its name.
func Rotate(log string, p Policy, now time.Time, reopen func() error) error {
	info, err := os.Stat(log)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return reopen()
		}
		return fmt.Errorf("looking at log: %w", err)
	}
	if info.Size() < p.MaxSize {
		return nil
	}
	old, err := rotated(log)
	if err != nil {
		return err
	}
	// One more comes, and the current one counts.
	for len(old) > max(p.MaxFiles-2, 0) {
		if err := os.Remove(old[0]); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing old log: %w", err)
		}
		old = old[1:]
	}
	for _, file := range old {
		if err := compress(file); err != nil {
			return err
		}
	}
	aside := log + "." + now.UTC().Format(stamp)
	if err := os.Rename(log, aside); err != nil {
		return fmt.Errorf("rotating log: %w", err)
	}
	if err := reopen(); err != nil {
		return errors.Join(fmt.Errorf("reopening log: %w", err), os.Rename(aside, log))
	}
	if p.MaxFiles <= 1 {
		return os.Remove(aside)
	}
	return nil
}

// Remove removes a log and its older files. One that is not there is no error.
func Remove(log string) error {
	old, err := rotated(log)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, file := range append(old, log) {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing log: %w", err))
		}
	}
	return errors.Join(errs...)
}

// rotated lists a log's older files, oldest first, without unfinished ones.
func rotated(log string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(log))
	if err != nil {
		return nil, fmt.Errorf("listing logs: %w", err)
	}
	var out []string
	for _, e := range entries {
		name := filepath.Join(filepath.Dir(log), e.Name())
		switch {
		case !strings.HasPrefix(name, log+"."):
		case strings.HasSuffix(name, ".tmp"):
			if err := os.Remove(name); err != nil {
				return nil, fmt.Errorf("removing unfinished log: %w", err)
			}
		default:
			out = append(out, name)
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Compare(strings.TrimSuffix(a, ".gz"), strings.TrimSuffix(b, ".gz")) })
	return out, nil
}

func compress(file string) error {
	if strings.HasSuffix(file, ".gz") {
		return nil
	}
	err := func() error {
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.Create(file + ".tmp")
		if err != nil {
			return err
		}
		z := gzip.NewWriter(out)
		_, err = io.Copy(z, in)
		if err := errors.Join(err, z.Close(), out.Close()); err != nil {
			return err
		}
		if err := os.Rename(file+".tmp", file+".gz"); err != nil {
			return err
		}
		return os.Remove(file)
	}()
	if err != nil {
		return fmt.Errorf("compressing old log %s: %w", file, err)
	}
	return nil
}

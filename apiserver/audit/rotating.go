package audit

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// rotation bounds a log file. Old files are named as upstream's, by lumberjack,
// which itself keeps a goroutine for ever.
type rotation struct {
	Path       string
	MaxSize    int64         // bytes; 0 is no bound
	MaxBackups int           // 0 keeps all
	MaxAge     time.Duration // 0 keeps all
	Compress   bool
}

// rotating is a log file that is renamed and started again when it is full.
type rotating struct {
	rotation
	now func() time.Time

	mu     sync.Mutex
	file   *os.File
	size   int64
	tidier sync.WaitGroup // compresses and deletes old files, beside the writers
}

func openRotating(c rotation, now func() time.Time) (*rotating, error) {
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
		return nil, err
	}
	r := &rotating{rotation: c, now: now}
	return r, r.open()
}

func (r *rotating) open() error {
	f, err := os.OpenFile(r.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.size = f, info.Size()
	return nil
}

// Write implements io.Writer; what is written at once stays in one file.
func (r *rotating) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return 0, os.ErrClosed
	}
	if r.MaxSize > 0 && r.size > 0 && r.size+int64(len(b)) > r.MaxSize {
		if err := r.rotate(); err != nil {
			return 0, fmt.Errorf("rotating %s: %w", r.Path, err)
		}
	}
	n, err := r.file.Write(b)
	r.size += int64(n)
	return n, err
}

func (r *rotating) rotate() error {
	old := r.backup(r.now())
	if err := os.Rename(r.Path, old); err != nil {
		return err
	}
	full := r.file
	if err := r.open(); err != nil {
		return err
	}
	r.tidier.Wait() // the one before, if it has not ended yet
	r.tidier.Go(func() {
		_ = full.Close() // its content has been written
		r.tidy(old)
	})
	return nil
}

const backupTime = "2006-01-02T15-04-05.000"

func (r *rotating) backup(at time.Time) string {
	ext := filepath.Ext(r.Path)
	return strings.TrimSuffix(r.Path, ext) + "-" + at.UTC().Format(backupTime) + ext
}

// tidy compresses and deletes old files. It may fail without harm: the files
// stay, and the next call deletes them.
func (r *rotating) tidy(old string) {
	if r.Compress && compress(old) == nil {
		_ = os.Remove(old)
	}
	ext := filepath.Ext(r.Path)
	prefix := strings.TrimSuffix(r.Path, ext) + "-"
	found, _ := filepath.Glob(prefix + "*")
	var kept int
	for i := len(found) - 1; i >= 0; i-- { // by name, which is by time: new ones first
		stamp := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(found[i], prefix), ".gz"), ext)
		at, err := time.Parse(backupTime, stamp)
		if err != nil {
			continue // not one of this log's files
		}
		if kept++; r.MaxBackups > 0 && kept > r.MaxBackups || r.MaxAge > 0 && r.now().Sub(at) > r.MaxAge {
			_ = os.Remove(found[i])
		}
	}
}

func compress(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path+".gz", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	if err = errors.Join(err, z.Close(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(out.Name()))
	}
	return nil
}

// Close implements io.Closer.
func (r *rotating) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	r.tidier.Wait()
	return err
}

package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/coracle-k8s/coracle/apiserver/datafile"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/cluster/keys"
)

// PodStopGrace bounds the end of containers when the whole cluster stops.
const PodStopGrace = 3 * time.Second

// NameFile has a node's name, in its directory.
const NameFile = "name"

// OldTokenFile had the join token in earlier versions.
const OldTokenFile = "agent-token"

// dirEntries returns the names of all that a cluster or an agent keeps in its data directory.
func dirEntries() []string {
	return []string{"etcd", "pki", "kubeconfig", OldTokenFile, keys.TokenFile, "nodes", "bin", "local-path", IdentityFile, LockFile}
}

// etcd sets 64 MiB aside for each of its log's files, two at first; without
// that it does not start, and later it ends when it needs another one.
const spaceNew, spaceOld = 160 << 20, 80 << 20

// CheckSpace returns an error, before etcd fails over it, if the disk is full.
func CheckSpace(dir string) error {
	need := uint64(spaceNew)
	if _, err := os.Stat(filepath.Join(dir, "etcd", "member", "wal")); err == nil {
		need = spaceOld
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("asking for the space in the data directory: %w", err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < need {
		return fmt.Errorf("data directory %s: %d MiB are free, at least %d MiB are needed: %w", dir, free>>20, need>>20, syscall.ENOSPC)
	}
	return nil
}

// LocalNode is a real node whose files are in a data directory.
type LocalNode struct {
	Name string
	// Runtime is the socket of its containerd.
	Runtime string
}

// LocalNodes lists the real nodes in a data directory that have a containerd
// of their own, whether they run or not.
func LocalNodes(dir string) ([]LocalNode, error) {
	found, err := filepath.Glob(filepath.Join(dir, "nodes", "*", NameFile))
	if err != nil {
		return nil, fmt.Errorf("looking for nodes: %w", err)
	}
	var nodes []LocalNode
	for _, file := range found {
		name, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("looking for nodes: %w", err)
		}
		containerd := filepath.Join(filepath.Dir(file), "containerd")
		if _, err := os.Stat(containerd); err == nil {
			nodes = append(nodes, LocalNode{Name: strings.TrimSpace(string(name)), Runtime: filepath.Join(containerd, "containerd.sock")})
		}
	}
	return nodes, nil
}

// ResetConfig holds what Reset may do.
type ResetConfig struct {
	// Stop ends a process that runs in the directory; otherwise that is an
	// *InUseError.
	Stop bool
	// StopTimeout bounds the wait for its end. Default: one minute.
	StopTimeout time.Duration
	// Report is called with a phrase for everything that was removed, Progress
	// with one for what Reset waits for. Default: no calls.
	Report, Progress func(string)
}

// ErrNotDataDir is returned for a directory that is not of a cluster or agent,
// so that Reset does not touch it.
var ErrNotDataDir = errors.New("is not a data directory of coracle")

// Reset removes every trace of the cluster or agent in dir: processes, mounts,
// network links and namespaces, nftables tables, cgroups and files. Files that
// are not Coracle's stay. It goes on after errors and may be repeated, also
// after the directory is gone.
func Reset(ctx context.Context, dir string, config ResetConfig) error {
	if config.Report == nil {
		config.Report = func(string) {}
	}
	if config.Progress == nil {
		config.Progress = func(string) {}
	}
	if config.StopTimeout == 0 {
		config.StopTimeout = time.Minute
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("finding the data directory: %w", err)
	}
	there, err := isDataDir(dir)
	if err != nil {
		return err
	}
	if there {
		lock, err := config.lock(ctx, dir)
		if err != nil {
			return err
		}
		defer lock.Release()
	}
	if err := host.Remove(ctx, dir, ID(dir), PodStopGrace, config.Report); err != nil {
		// Files lead to what is left: they stay for the next attempt.
		return err
	}
	if !there {
		return nil
	}
	return removeFiles(dir, config.Report)
}

// isDataDir reports whether dir is there and a data directory.
func isDataDir(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the data directory: %w", err)
	}
	if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == LockFile && e.Type().IsRegular() }) {
		return false, fmt.Errorf("%s %w: it has no file %s", dir, ErrNotDataDir, LockFile)
	}
	return true, nil
}

// lock takes the directory, ending the process that has it if that is allowed.
func (c *ResetConfig) lock(ctx context.Context, dir string) (*Lock, error) {
	lock, err := Take(dir)
	var used *InUseError
	if !errors.As(err, &used) || !c.Stop {
		return lock, err
	}
	if used.PID <= 1 {
		return nil, fmt.Errorf("stopping the process that runs: %w", err)
	}
	c.Progress(fmt.Sprintf("stopping process %d, at most %s", used.PID, c.StopTimeout))
	if err := syscall.Kill(used.PID, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return nil, fmt.Errorf("stopping process %d: %w", used.PID, err)
	}
	return c.await(ctx, dir, used.PID)
}

// await returns with the lock when its holder ended.
func (c *ResetConfig) await(ctx context.Context, dir string, pid int) (*Lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("locking the data directory: %w", err)
	}
	lock := &Lock{file: file}
	got := make(chan error, 1)
	go func() { got <- lock.take(dir, 0) }()
	ctx, cancel := context.WithTimeout(ctx, c.StopTimeout)
	defer cancel()
	select {
	case err := <-got:
		if err != nil {
			lock.Release()
			return nil, err
		}
		return lock, nil
	case <-ctx.Done():
		// The goroutine gets the lock when the process ends after all. There can
		// be no other waiter, so it may keep the lock until this process ends.
		return nil, fmt.Errorf("stopping process %d: it has not ended: %w", pid, ctx.Err())
	}
}

// removeFiles removes what is Coracle's, the lock last.
func removeFiles(dir string, report func(string)) error {
	for _, name := range dirEntries() {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("removing files: %w", err)
		}
	}
	if err := datafile.RemoveTemporary(dir); err != nil {
		return fmt.Errorf("removing files: %w", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("removing files: %w", err)
	}
	if len(left) > 0 {
		report(fmt.Sprintf("files in %s; the directory stays, because %s in it is not coracle's", dir, left[0].Name()))
		return nil
	}
	if err := os.Remove(dir); err != nil {
		return fmt.Errorf("removing files: %w", err)
	}
	report("directory " + dir)
	return nil
}

// IdentityFile has the cluster's identity.
const IdentityFile = "identity"

// Package host checks what real nodes need of the machine, and removes what they leave on it
// outside of their data directory.
//
// The API of this package is not stable: see docs/api.md.
package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/coracle-k8s/coracle/carried"
	"github.com/coracle-k8s/coracle/nodeagent/network"
	"github.com/coracle-k8s/coracle/nodeagent/runtime/containerd"
)

// RunDir returns the directory for what must not outlive a boot.
func RunDir(id string) string { return filepath.Join("/run/coracle", id) }

// Cgroup returns the cgroup above all of a cluster's.
func Cgroup(id string) string { return "/coracle-" + id }

// Remove removes what the nodes of a data directory left on this machine, outside
// of the directory. id is the directory's and is part of all their names; pods
// get grace to end. report is called for everything that was removed.
func Remove(ctx context.Context, dir, id string, grace time.Duration, report func(string)) error {
	if os.Geteuid() != 0 {
		if _, err := os.Lstat(filepath.Join(dir, "nodes")); err == nil {
			return fmt.Errorf("removing the nodes of %s needs root: run as root", dir)
		}
		return nil
	}
	below := []string{dir, RunDir(id)}
	mounted, err := mountsBelow(below)
	if err != nil {
		return err
	}
	before, err := nodeProcesses(dir)
	if err != nil {
		return err
	}
	errs := []error{shutdownRuntimes(ctx, dir, id, grace)}
	errs = append(errs, killCgroups(id, report), unmount(below))
	after, err := nodeProcesses(dir)
	errs = append(errs, err)
	for pid, name := range before {
		if _, alive := after[pid]; !alive {
			report(fmt.Sprintf("process %s (pid %d)", name, pid))
		}
	}
	left, err := mountsBelow(below)
	errs = append(errs, err)
	if n := len(mounted) - len(left); n > 0 {
		report(fmt.Sprintf("%d mounts below %s", n, strings.Join(below, " and ")))
	}
	removed, err := network.Cleanup(ctx, id)
	errs = append(errs, err)
	for _, line := range removed {
		report(line)
	}
	errs = append(errs, RemoveCgroups(id, report))
	return errors.Join(errs...)
}

// shutdownRuntimes ends every containerd of the directory with its containers.
func shutdownRuntimes(ctx context.Context, dir, id string, grace time.Duration) error {
	nodes, err := filepath.Glob(filepath.Join(dir, "nodes", "*", "containerd"))
	if err != nil {
		return fmt.Errorf("looking for nodes: %w", err)
	}
	var errs []error
	for _, path := range nodes {
		index := filepath.Base(filepath.Dir(path))
		c, err := containerd.New(containerd.Config{BinDir: filepath.Join(dir, "bin"), Dir: path,
			StateDir: filepath.Join(RunDir(id), "n"+index, "containerd"), SandboxImage: carried.PauseImage})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if err := c.Shutdown(ctx, grace); err != nil {
			errs = append(errs, fmt.Errorf("stopping containerd of node %s: %w", index, err))
		}
	}
	return errors.Join(errs...)
}

// nodeProcesses returns the containerds and shims of a data directory, by their
// command lines.
func nodeProcesses(dir string) (map[int]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for processes: %w", err)
	}
	prefix := []byte(filepath.Join(dir, "nodes") + "/")
	found := map[int]string{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue // it ended meanwhile
		}
		args := bytes.Split(line, []byte{0})
		name := filepath.Base(string(args[0]))
		if strings.HasPrefix(name, "containerd") && slices.ContainsFunc(args[1:], func(a []byte) bool { return bytes.HasPrefix(a, prefix) }) {
			found[pid] = name
		}
	}
	return found, nil
}

func mountsBelow(dirs []string) ([]string, error) {
	mounts, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) {
		return !slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(i.Mountpoint, d+"/") }), false
	})
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	var paths []string
	for _, m := range mounts {
		paths = append(paths, m.Mountpoint)
	}
	return paths, nil
}

func unmount(below []string) error {
	paths, err := mountsBelow(below)
	errs := []error{err}
	for _, path := range slices.Backward(paths) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// cgroupDirs returns a cluster's cgroups in every hierarchy that has one.
func cgroupDirs(id string) ([]string, error) {
	mounts, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) {
		return i.FSType != "cgroup" && i.FSType != "cgroup2", false
	})
	if err != nil {
		return nil, fmt.Errorf("listing cgroup hierarchies: %w", err)
	}
	var dirs []string
	for _, m := range mounts {
		dir := filepath.Join(m.Mountpoint, Cgroup(id))
		if _, err := os.Stat(dir); err == nil && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

// killCgroups kills what is left in a cluster's cgroups.
func killCgroups(id string, report func(string)) error {
	pids, err := cgroupProcesses(id)
	if err != nil {
		return err
	}
	killed := 0
	for pid := range pids {
		if kill(pid) {
			killed++
		}
	}
	if killed > 0 {
		report(fmt.Sprintf("%d processes of containers", killed))
	}
	return nil
}

func cgroupProcesses(id string) (map[int]bool, error) {
	dirs, err := cgroupDirs(id)
	if err != nil {
		return nil, err
	}
	pids := map[int]bool{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.Name() != "cgroup.procs" {
				return err
			}
			text, err := os.ReadFile(path) //nolint:gosec // of cgroupfs, which has no links
			for _, field := range bytes.Fields(text) {
				if pid, err := strconv.Atoi(string(field)); err == nil && pid > 1 {
					pids[pid] = true
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking for processes in cgroup %s: %w", dir, err)
		}
	}
	return pids, nil
}

// killWait bounds the wait for a process after its SIGKILL.
const killWait = 5 * time.Second

// kill ends a process and waits for it; it reports whether there was one.
func kill(pid int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		return false
	}
	// A process that does not end keeps its cgroup, which is then reported.
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(killWait.Milliseconds()))
	return true
}

// RemoveCgroups removes a cluster's cgroups, which must be empty.
func RemoveCgroups(id string, report func(string)) error {
	dirs, err := cgroupDirs(id)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		if err := removeCgroup(dir); err != nil {
			errs = append(errs, fmt.Errorf("removing cgroup %s: %w", dir, err))
			continue
		}
		report("cgroup " + dir)
	}
	return errors.Join(errs...)
}

// removeCgroup removes directories bottom up; their files are the kernel's.
func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}

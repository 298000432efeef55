package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/coracle-k8s/coracle/nodeagent/podconfig"
)

// Manager writes cgroups below a root such as /coracle/node-1.
type Manager struct {
	mount string
	v2    bool
	// controllers are v1's hierarchies in use.
	controllers []string
}

// New finds the cgroup file system out. It fails where cgroups cannot be written.
func New() (*Manager, error) {
	m := &Manager{mount: "/sys/fs/cgroup"}
	var stat unix.Statfs_t
	if err := unix.Statfs(m.mount, &stat); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", m.mount, err)
	}
	m.v2 = stat.Type == unix.CGROUP2_SUPER_MAGIC
	if m.v2 {
		return m, nil
	}
	for _, c := range []string{"cpu", "memory", "pids", "cpuset", "hugetlb", "blkio", "devices", "freezer", "cpuacct", "perf_event", "net_cls", "net_prio", "systemd", "unified"} {
		dir, err := filepath.EvalSymlinks(filepath.Join(m.mount, c))
		if err == nil && !slices.Contains(m.controllers, dir) {
			m.controllers = append(m.controllers, dir)
		}
	}
	if len(m.controllers) == 0 {
		return nil, fmt.Errorf("looking at %s: no cgroup controllers", m.mount)
	}
	return m, nil
}

// V2 reports whether the unified hierarchy is in use.
func (m *Manager) V2() bool { return m.v2 }

// Set makes a cgroup and those above it, and sets its limits.
func (m *Manager) Set(path string, l Limits) error {
	var err error
	if m.v2 {
		err = m.setV2(path, l)
	} else {
		err = m.setV1(path, l)
	}
	if err != nil {
		return fmt.Errorf("setting cgroup %s: %w", path, err)
	}
	return nil
}

func (m *Manager) setV2(path string, l Limits) error {
	dir := m.mount
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		// Children get the controllers that their parent hands down.
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0); err != nil {
			return err
		}
		// Optional ones; not every kernel has them.
		for _, c := range []string{"+cpuset", "+hugetlb", "+io"} {
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(c), 0)
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	files := map[string]string{"memory.max": orMax(l.Memory), "pids.max": orMax(l.PIDs)}
	if l.CPUShares > 0 {
		// The formula of the OCI runtime spec: 2..262144 onto 1..10000.
		files["cpu.weight"] = strconv.FormatInt(1+(l.CPUShares-2)*9999/262142, 10)
	}
	quota := orMax(l.CPUQuota)
	files["cpu.max"] = quota + " " + strconv.Itoa(podconfig.Period)
	// Pods do not swap, as under the kubelet's NoSwap: swap would let them have
	// more than their limit. Kernels without swap accounting have no such file.
	if _, err := os.Lstat(filepath.Join(dir, noSwap)); err == nil {
		files[noSwap] = "0"
	}
	return write(dir, files)
}

// noSwap limits the swap of a cgroup and those below it.
const noSwap = "memory.swap.max"

func orMax(n int64) string {
	if n <= 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func (m *Manager) setV1(path string, l Limits) error {
	for _, controller := range m.controllers {
		dir := filepath.Join(controller, path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		var err error
		switch name := filepath.Base(controller); {
		case strings.Contains(name, "cpuset"):
			err = m.inheritCPUSet(controller, path)
		case name == "cpu" || strings.HasPrefix(name, "cpu,"):
			err = m.setCPU(dir, l)
		case name == "memory":
			err = write(dir, map[string]string{"memory.limit_in_bytes": orMinusOne(l.Memory)})
		case name == "pids" && l.PIDs > 0:
			err = write(dir, map[string]string{"pids.max": orMax(l.PIDs)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) setCPU(dir string, l Limits) error {
	files := map[string]string{}
	if l.CPUShares > 0 {
		files["cpu.shares"] = strconv.FormatInt(l.CPUShares, 10)
	}
	if _, err := os.Stat(filepath.Join(dir, "cpu.cfs_quota_us")); err == nil {
		files["cpu.cfs_quota_us"] = orMinusOne(l.CPUQuota)
	}
	return write(dir, files)
}

func orMinusOne(n int64) string {
	if n <= 0 {
		return "-1"
	}
	return strconv.FormatInt(n, 10)
}

// inheritCPUSet copies the parent's CPUs and memory nodes down, without which
// no process may enter a v1 cpuset.
func (m *Manager) inheritCPUSet(controller, path string) error {
	parent := controller
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		dir := filepath.Join(parent, part)
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			have, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				return err
			}
			if strings.TrimSpace(string(have)) != "" {
				continue
			}
			above, err := os.ReadFile(filepath.Join(parent, file))
			if err != nil {
				return err
			}
			if err := write(dir, map[string]string{file: strings.TrimSpace(string(above))}); err != nil {
				return err
			}
		}
		parent = dir
	}
	return nil
}

func write(dir string, files map[string]string) error {
	for name, value := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Remove removes a cgroup and those below it. Processes still in it are an error.
func (m *Manager) Remove(path string) error {
	roots := m.controllers
	if m.v2 {
		roots = []string{m.mount}
	}
	for _, root := range roots {
		if err := removeTree(filepath.Join(root, path)); err != nil {
			return fmt.Errorf("removing cgroup %s: %w", path, err)
		}
	}
	return nil
}

// Prune removes a cgroup and those above it, up to the first that is in use.
func (m *Manager) Prune(path string) {
	roots := m.controllers
	if m.v2 {
		roots = []string{m.mount}
	}
	for _, root := range roots {
		for p := filepath.Clean("/" + path); p != "/"; p = filepath.Dir(p) {
			if err := os.Remove(filepath.Join(root, p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
	}
}

// removeTree removes directories bottom up; their files are the kernel's.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

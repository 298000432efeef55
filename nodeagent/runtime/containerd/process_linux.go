package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// process is a containerd process, a child of this process or not.
type process struct {
	pid int
	// pidfd becomes readable when the process ends.
	pidfd *os.File
	// exited is closed when a child was reaped; nil for a process that is no child.
	exited chan struct{}
}

// startProcess starts containerd in a session of its own, so that signals to
// this process's terminal do not reach it, and in its network namespace.
func startProcess(c *Config) (*process, error) {
	out, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening containerd's log: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(c.BinDir, "containerd"), "--config", c.configFile())
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "PATH="+c.BinDir+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := inNetns(c.Netns, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting containerd: %w", err)
	}
	p, err := openProcess(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	p.exited = make(chan struct{})
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // its log has more details than its exit code
	}()
	if err := os.WriteFile(c.pidFile(), []byte(strconv.Itoa(p.pid)), 0o600); err != nil {
		_ = cmd.Process.Kill()
		return nil, fmt.Errorf("writing containerd's pid file: %w", err)
	}
	return p, nil
}

// inNetns calls fn on a thread in a network namespace. The thread is not used
// again: it ends with its goroutine, because it is never unlocked.
func inNetns(path string, fn func() error) error {
	if path == "" {
		return fn()
	}
	done := make(chan error)
	go func() {
		goruntime.LockOSThread()
		target, err := netns.GetFromPath(path)
		if err == nil {
			defer target.Close()
			err = netns.Set(target)
		}
		if err != nil {
			done <- fmt.Errorf("entering network namespace %s: %w", path, err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// findProcess returns the running containerd of this config, or nil. The pid
// file may be stale and the number used again, so the command line must match.
func findProcess(c *Config) *process {
	text, err := os.ReadFile(c.pidFile())
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	p, err := openProcess(pid)
	if err != nil {
		return nil
	}
	if !slices.Contains(commandLine(pid), c.configFile()) {
		p.pidfd.Close()
		return nil
	}
	return p
}

func commandLine(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

func openProcess(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("watching process %d: %w", pid, err)
	}
	return &process{pid: pid, pidfd: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// alive reports whether the process runs; a zombie does not.
func (p *process) alive() bool {
	fds := []unix.PollFd{{Fd: int32(p.pidfd.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 0
}

// wait returns when the process ended or ctx is done.
func (p *process) wait(ctx context.Context) {
	if p.exited != nil {
		select {
		case <-p.exited:
		case <-ctx.Done():
		}
		return
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return
	}
	defer reader.Close()
	stop := context.AfterFunc(ctx, func() { writer.Close() })
	defer func() {
		if stop() {
			writer.Close()
		}
	}()
	for {
		fds := []unix.PollFd{{Fd: int32(p.pidfd.Fd()), Events: unix.POLLIN}, {Fd: int32(reader.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// stop ends the process with SIGTERM, after the patience with SIGKILL.
func (p *process) stop(ctx context.Context, patience time.Duration) error {
	defer p.pidfd.Close()
	if err := unix.PidfdSendSignal(int(p.pidfd.Fd()), unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stopping containerd: %w", err)
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p.wait(patient)
	if !p.alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(int(p.pidfd.Fd()), unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing containerd: %w", err)
	}
	p.wait(context.WithoutCancel(ctx))
	return nil
}

// killShims kills shims of this containerd that are left, by its socket on their
// command lines, and the processes they hold.
func killShims(ctx context.Context, c *Config) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("looking for shims: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !slices.Contains(commandLine(pid), c.socket()) {
			continue
		}
		p, err := openProcess(pid)
		if err != nil {
			continue // it ended meanwhile
		}
		for _, child := range children(pid) {
			_ = unix.Kill(child, unix.SIGKILL)
		}
		_ = unix.PidfdSendSignal(int(p.pidfd.Fd()), unix.SIGKILL, nil, 0)
		p.wait(ctx)
		p.pidfd.Close()
	}
	return nil
}

func children(pid int) []int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var out []int
	for _, f := range bytes.Fields(b) {
		if child, err := strconv.Atoi(string(f)); err == nil {
			out = append(out, child)
		}
	}
	return out
}

// unmountBelow detaches every mount below the directories, deepest first.
func unmountBelow(dirs ...string) error {
	mounts, err := mountinfo.GetMounts(func(i *mountinfo.Info) (skip, stop bool) {
		return !slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(i.Mountpoint, d+"/") }), false
	})
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	var errs []error
	for _, m := range slices.Backward(mounts) {
		if err := unix.Unmount(m.Mountpoint, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", m.Mountpoint, err))
		}
	}
	return errors.Join(errs...)
}

// hasSysResource reports whether this process may lower OOM scores.
func hasSysResource() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

func logEnd(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}

package sides

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"k8s.io/klog/v2"
)

// isolated marks the environment of a program that again began.
const isolated = "DIFFERENTIAL_ISOLATED"

// Main runs a program's work, until it has ended or a signal ends its context, and returns the
// program's exit code. Errors are printed.
//
// The work runs in a network namespace that has loopback alone: random objects name random
// addresses, which servers dial when they are asked for a node or a pod. That takes root, or
// user namespaces.
func Main(run func(ctx context.Context) error) int {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard) // messages of watches when the servers end
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if os.Getenv(isolated) == "" {
		err = again(ctx)
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			return max(exit.ExitCode(), 1) // it has printed why
		}
	} else if err = loopback(); err == nil {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		return 1
	}
	return 0
}

// again runs the program once more, in a network namespace of its own.
func again(ctx context.Context) error {
	// The child ends with the thread that began it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), isolated+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	if uid, gid := os.Getuid(), os.Getgid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running in a network namespace, which takes root or user namespaces: %w", err)
	}
	return nil
}

func loopback() error {
	link, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("setting loopback up: %w", err)
	}
	return nil
}

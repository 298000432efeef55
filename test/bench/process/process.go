// Package process measures what a running process costs, as Linux counts it.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// InMemory copies an executable to a file system in memory, whose pages are small.
// Elsewhere what is resident of it is the page cache's luck: a kernel (6.18) maps
// the whole folio that a page is in, and folios are of up to 2 MB where the file
// was just written. One binary had 42 to 113 MB resident, of which 30 to 37 were
// its own memory.
func InMemory(binary string) (string, error) {
	from, err := os.Open(binary)
	if err != nil {
		return "", fmt.Errorf("reading the binary: %w", err)
	}
	defer from.Close()
	to, err := os.CreateTemp("/dev/shm", "coracle-bench-")
	if err != nil {
		return "", fmt.Errorf("copying the binary: %w", err)
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Chmod(0o700), to.Close()); err != nil {
		os.Remove(to.Name())
		return "", fmt.Errorf("copying the binary: %w", err)
	}
	return to.Name(), nil
}

// Use is the cost of a process without requests: memory in MB, CPU in percent of a core.
type Use struct{ RSS, Anonymous, CPU float64 }

// Idle leaves a process alone for a time, and measures it for the same time.
func Idle(ctx context.Context, pid int, idleFor time.Duration) (Use, error) {
	if err := Wait(ctx, idleFor); err != nil {
		return Use{}, err
	}
	before, err := CPUTime(pid)
	if err != nil {
		return Use{}, err
	}
	if err := Wait(ctx, idleFor); err != nil {
		return Use{}, err
	}
	after, err := CPUTime(pid)
	if err != nil {
		return Use{}, err
	}
	rss, anonymous, err := Memory(pid)
	return Use{rss, anonymous, 100 * (after - before).Seconds() / idleFor.Seconds()}, err
}

// Wait waits for a time, or until ctx is done.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CPUTime returns the CPU time that a process has used, to the kernel's tick of 10 ms.
func CPUTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading CPU time: %w", err)
	}
	// utime and stime are the 12th and 13th fields after the name in parentheses.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	var ticks int
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(string(f))
		if err != nil {
			return 0, fmt.Errorf("reading CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Memory returns the resident memory of a process, in megabytes (10^6 bytes),
// and the part of it that is its own and not the executable's file.
func Memory(pid int) (rss, anonymous float64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kib); err == nil {
			rss = kib * 1024 / 1e6
		}
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &kib); err == nil {
			anonymous = kib * 1024 / 1e6
		}
	}
	return rss, anonymous, nil
}

// PeakMemory returns the most a process ever had resident, in megabytes.
func PeakMemory(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib * 1024 / 1e6, nil
		}
	}
	return 0, errors.New("reading memory: the kernel does not tell the peak")
}

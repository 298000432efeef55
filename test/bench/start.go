package main

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

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// startRuns is how often a start is measured.
const startRuns = 7

// benchStart measures from exec, on a fresh data directory.
func benchStart(ctx context.Context, b *bench) error {
	var ready, account, running []float64
	for range startRuns {
		if err := b.startOnce(ctx, &ready, &account, &running); err != nil {
			return err
		}
	}
	b.report("readyz", "s", 0.15, ready...)
	b.report("default ServiceAccount", "s", 0.3, account...)
	b.report("first simulated pod Running", "s", 0.5, running...)
	return nil
}

func (b *bench) startOnce(ctx context.Context, ready, account, running *[]float64) error {
	t, err := b.launch(ctx, "--nodes", "0", "--simulated-nodes", "1")
	if err != nil {
		return err
	}
	defer t.stop()
	took, err := t.ready(ctx)
	if err != nil {
		return err
	}
	*ready = append(*ready, took.Seconds())
	if err := t.connect(ctx); err != nil {
		return err
	}
	at, err := t.accountMade(ctx, metav1.NamespaceDefault)
	if err != nil {
		return err
	}
	*account = append(*account, at.Sub(t.started).Seconds())
	p := pod(metav1.NamespaceDefault, "first")
	if err := t.client.Create(ctx, p); err != nil {
		return fmt.Errorf("creating the first pod: %w", err)
	}
	at, err = t.await(ctx, &corev1.PodList{}, func(_ watch.EventType, o client.Object) bool {
		return o.(*corev1.Pod).Status.Phase == corev1.PodRunning
	}, client.InNamespace(p.Namespace))
	if err != nil {
		return err
	}
	*running = append(*running, at.Sub(t.started).Seconds())
	return nil
}

// accountMade waits for a namespace's default ServiceAccount, without which no
// pod is let in.
func (t *target) accountMade(ctx context.Context, namespace string) (time.Time, error) {
	return t.await(ctx, &corev1.ServiceAccountList{}, func(_ watch.EventType, o client.Object) bool { return o.GetName() == "default" },
		client.InNamespace(namespace))
}

func pod(namespace, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "bench"}}, Spec: podSpec("one")}
}

// idleFor is how long a cluster is left alone before it is looked at, and then
// how long it is looked at.
const idleFor = 30 * time.Second

// benchIdle measures a process that holds everything and has nothing to do.
func benchIdle(ctx context.Context, b *bench) error {
	own := *b
	var err error
	if own.binary, err = inMemory(b.binary); err != nil {
		return err
	}
	defer os.Remove(own.binary)
	t, err := own.launch(ctx, "--nodes", "0", "--simulated-nodes", "1")
	if err != nil {
		return err
	}
	defer t.stop()
	if err := t.settled(ctx, 1); err != nil {
		return err
	}
	use, err := idle(ctx, t.command.Process.Pid)
	if err != nil {
		return err
	}
	b.report("idle RSS", "MB", 90, use.rss)
	b.report("idle anonymous memory", "MB", none, use.anonymous)
	b.report("idle CPU", "% of a core", 1, use.cpu)
	return nil
}

// inMemory copies an executable to a file system in memory, whose pages are small.
// Elsewhere what is resident of it is the page cache's luck: a kernel (6.18) maps
// the whole folio that a page is in, and folios are of up to 2 MB where the file
// was just written. One binary had 42 to 113 MB resident, of which 30 to 37 were
// its own memory.
func inMemory(binary string) (string, error) {
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

// use is the cost of a process without requests: memory in MB, CPU in percent of a core.
type use struct{ rss, anonymous, cpu float64 }

// idle leaves a process alone, and then looks at it.
func idle(ctx context.Context, pid int) (use, error) {
	if err := wait(ctx, idleFor); err != nil {
		return use{}, err
	}
	before, err := cpuTime(pid)
	if err != nil {
		return use{}, err
	}
	if err := wait(ctx, idleFor); err != nil {
		return use{}, err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return use{}, err
	}
	rss, anonymous, err := memory(pid)
	return use{rss, anonymous, 100 * (after - before).Seconds() / idleFor.Seconds()}, err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cpuTime returns the CPU time that a process has used, to the kernel's tick of 10 ms.
func cpuTime(pid int) (time.Duration, error) {
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

// memory returns the resident memory of a process, in megabytes (10^6 bytes),
// and the part of it that is its own and not the executable's file.
func memory(pid int) (rss, anonymous float64, err error) {
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

// peakMemory returns the most a process ever had resident, in megabytes.
func peakMemory(pid int) (float64, error) {
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

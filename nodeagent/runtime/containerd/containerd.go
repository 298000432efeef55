//go:build linux

package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/nodeagent/runtime"
)

// Containerd is one containerd process and its files.
//
// It outlives this process on purpose: Start returning ends only the watching.
// Shutdown ends everything.
type Containerd struct {
	config      Config
	restrictOOM bool

	mu      sync.Mutex
	process *process // nil before Ensure and after Shutdown
	stopped bool
}

// New checks the config; nothing happens before Ensure or Start.
func New(config Config) (*Containerd, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	restrict := !hasSysResource()
	if config.RestrictOOMScore != nil {
		restrict = *config.RestrictOOMScore
	}
	return &Containerd{config: config, restrictOOM: restrict}, nil
}

// Endpoint returns the CRI and containerd socket.
func (c *Containerd) Endpoint() string { return c.config.socket() }

// CNIConfDir returns the directory for the network's configuration.
func (c *Containerd) CNIConfDir() string { return c.config.CNIConfDir }

// Ensure makes containerd run, adopting one that an earlier agent left if its
// config is the same, and returns when it answers. It is idempotent.
func (c *Containerd) Ensure(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return errors.New("starting containerd: it was shut down")
	}
	if c.process != nil && c.process.alive() {
		return nil
	}
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "runc"} {
		if _, err := os.Stat(filepath.Join(c.config.BinDir, name)); err != nil {
			return fmt.Errorf("looking for node program %s: %w", name, err)
		}
	}
	changed, err := c.writeConfig()
	if err != nil {
		return err
	}
	if old := findProcess(&c.config); old != nil {
		if !changed {
			c.process = old
			return c.await(ctx)
		}
		// Shims and containers live on while containerd restarts with its new config.
		if err := old.stop(ctx, 10*time.Second); err != nil {
			return fmt.Errorf("restarting containerd with a new config: %w", err)
		}
	}
	if c.process, err = startProcess(&c.config); err != nil {
		return err
	}
	return c.await(ctx)
}

// writeConfig writes directories and config.toml; it reports whether that changed.
func (c *Containerd) writeConfig() (bool, error) {
	for _, dir := range []string{c.config.Dir, c.config.StateDir, c.config.CNIConfDir, c.config.RegistryConfigDir} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return false, fmt.Errorf("creating containerd's directory: %w", err)
		}
	}
	text, err := c.config.configText(c.restrictOOM)
	if err != nil {
		return false, err
	}
	if old, err := os.ReadFile(c.config.configFile()); err == nil && string(old) == text {
		return false, nil
	}
	temporary := c.config.configFile() + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return false, fmt.Errorf("writing containerd's config: %w", err)
	}
	if err := os.Rename(temporary, c.config.configFile()); err != nil {
		return false, fmt.Errorf("writing containerd's config: %w", err)
	}
	return true, nil
}

// await returns when CRI answers, or with containerd's last log lines if it died.
func (c *Containerd) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.config.StartTimeoutSeconds)*time.Second)
	defer cancel()
	client, err := runtime.Dial(c.Endpoint())
	if err != nil {
		return err
	}
	defer client.Close()
	died := make(chan struct{})
	go func() {
		defer close(died)
		c.process.wait(ctx)
		cancel()
	}()
	_, err = client.Version(ctx, &runtimeapi.VersionRequest{})
	alive := c.process.alive()
	cancel()
	<-died
	switch {
	case !alive:
		return fmt.Errorf("starting containerd: it ended; its log %s says: %s", c.config.logFile(), logEnd(c.config.logFile()))
	case err != nil:
		return fmt.Errorf("waiting for containerd to answer: %w", err)
	}
	return nil
}

// Start keeps containerd running until ctx is done: a manager.Runnable.
func (c *Containerd) Start(ctx context.Context) error {
	delay := time.Duration(0)
	for {
		began := time.Now()
		if err := c.Ensure(ctx); err != nil {
			if ctx.Err() != nil || c.isStopped() {
				return nil
			}
			log.FromContext(ctx).Error(err, "Containerd does not run, trying again", "delay", delay)
		} else {
			c.mu.Lock()
			p := c.process
			c.mu.Unlock()
			if p != nil {
				p.wait(ctx)
			}
			if ctx.Err() != nil || c.isStopped() {
				return nil
			}
			log.FromContext(ctx).Info("Containerd ended, starting it again", "log", c.config.logFile())
		}
		if delay = min(2*delay+100*time.Millisecond, 10*time.Second); time.Since(began) > time.Minute {
			delay = 0
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

func (c *Containerd) isStopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// Shutdown ends every pod and container, then containerd and whatever is left
// of its processes and mounts. Files stay. Containers get grace to end by
// themselves. It is idempotent and needs no earlier Ensure.
func (c *Containerd) Shutdown(ctx context.Context, grace time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	p := c.process
	if p == nil {
		p = findProcess(&c.config)
	}
	c.process = nil
	var errs []error
	if p != nil && p.alive() {
		errs = append(errs, stopPods(ctx, c.Endpoint(), grace))
		errs = append(errs, p.stop(ctx, 10*time.Second))
	}
	errs = append(errs, killShims(ctx, &c.config), unmountBelow(c.config.StateDir, c.config.Dir))
	_ = os.Remove(c.config.pidFile())
	return errors.Join(errs...)
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// startTimeout bounds the time until the API server answers, and that until
	// all nodes are ready.
	startTimeout = 2 * time.Minute
	stopTimeout  = time.Minute
	abortTimeout = 10 * time.Second
	// The second byte of instance 0's addresses, all in 10.0.0.0/8.
	serviceRange, podRange, linkRange = 160, 176, 192
)

// testCluster is a running `coracle up` of two nodes.
type testCluster struct {
	coracle, dataDir string
	process          *exec.Cmd
	exited           chan error
	mirror           *mirror
}

// configuration keeps instances apart: each has ranges of addresses of its own.
func (o options) configuration(dataDir string) string {
	nodes, simulated := 2, 0
	if o.simulated {
		nodes, simulated = 0, 2
	}
	return fmt.Sprintf(`apiVersion: config.coracle.dev/v1alpha1
kind: Cluster
dataDir: %s
listen: 127.0.0.1:0
nodes: %d
simulatedNodes: %d
node: {name: %s}
network: {serviceCIDR: 10.%d.0.0/16, podCIDR: 10.%d.0.0/16, linkCIDR: 10.%d.0.0/24}
storage: {unsafeNoFsync: true}
`, dataDir, nodes, simulated, nodeName, serviceRange+o.instance, podRange+o.instance, linkRange+o.instance)
}

const nodeName = "conformance"

func (o options) nodeNames() []string {
	if o.simulated {
		return []string{"node/simulated-0", "node/simulated-1"}
	}
	return []string{"node/" + nodeName, "node/" + nodeName + "-1"}
}

// startCluster removes what an earlier run of the instance may have left and
// returns when all nodes are ready and, if they are real, have the images.
func (o options) startCluster(ctx context.Context) (*testCluster, error) {
	c := &testCluster{coracle: o.coracle, exited: make(chan error, 1),
		dataDir: filepath.Join(os.TempDir(), fmt.Sprintf("coracle-conformance-%d", o.instance))}
	if err := c.reset(); err != nil {
		return nil, err
	}
	config := filepath.Join(o.logs(), "cluster.yaml")
	if err := os.WriteFile(config, []byte(o.configuration(c.dataDir)), 0o644); err != nil {
		return nil, fmt.Errorf("writing the cluster's configuration: %w", err)
	}
	log, err := os.Create(filepath.Join(o.logs(), "cluster.log"))
	if err != nil {
		return nil, fmt.Errorf("writing the cluster's log: %w", err)
	}
	if err := c.up(ctx, config, log); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	if err := c.prepare(ctx, o); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	return c, nil
}

// up starts the process, in a group of its own so that Ctrl-C does not reach
// it before the specs have ended, and waits until the API server answers.
func (c *testCluster) up(ctx context.Context, config string, log *os.File) error {
	c.process = exec.Command(c.coracle, "up", "--config", config)
	c.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, in := io.Pipe()
	c.process.Stdout, c.process.Stderr = in, in
	if err := c.process.Start(); err != nil {
		c.process = nil
		return fmt.Errorf("starting the cluster: %w", err)
	}
	go func() {
		err := c.process.Wait()
		in.Close()
		c.exited <- err
	}()
	ready := make(chan struct{})
	go func() {
		defer log.Close()
		for lines := bufio.NewReader(io.TeeReader(out, log)); ; {
			line, err := lines.ReadString('\n')
			if strings.HasPrefix(line, "ready in ") {
				close(ready)
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-ready:
		return nil
	case err := <-c.exited:
		c.exited <- err
		return fmt.Errorf("starting the cluster: it ended (%v); see %s", err, log.Name())
	case <-time.After(startTimeout):
		return fmt.Errorf("starting the cluster: not ready after %s; see %s", startTimeout, log.Name())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare waits for the nodes and loads the images into them.
func (c *testCluster) prepare(ctx context.Context, o options) error {
	for _, node := range o.nodeNames() { // one by one: kubectl waits for the creation of one object only
		// A node that is short of disk takes no pods: no spec that needs one would pass.
		for _, condition := range []string{"create", "condition=Ready", "condition=DiskPressure=False"} {
			wait := exec.CommandContext(ctx, c.coracle, "kubectl", "--kubeconfig", c.kubeconfig(), "wait", "--for="+condition, "--timeout="+startTimeout.String(), node)
			if out, err := wait.CombinedOutput(); err != nil {
				return fmt.Errorf("waiting for %s of %s: %w: %s", strings.TrimPrefix(condition, "condition="), node, err, out)
			}
		}
	}
	fmt.Printf("two nodes are ready: export KUBECONFIG=%s\n", c.kubeconfig())
	if o.simulated {
		return nil
	}
	began := time.Now()
	load := exec.CommandContext(ctx, c.coracle, "image", "load", "--data-dir", c.dataDir, filepath.Join(o.build, "images.tar"))
	if out, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("loading images: %w: %s", err, out)
	}
	var err error
	if c.mirror, err = startMirror(filepath.Join(o.build, "images.tar"), fmt.Sprintf("10.%d.0.1", linkRange+o.instance), c.dataDir); err != nil {
		return err
	}
	fmt.Printf("images are loaded in %s\n", time.Since(began).Round(time.Millisecond))
	return nil
}

func (c *testCluster) kubeconfig() string { return filepath.Join(c.dataDir, "kubeconfig") }

// remove stops the cluster and everything it left on the machine.
func (c *testCluster) remove() error {
	if c.mirror != nil {
		if err := c.mirror.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the registry:", err)
		}
	}
	if c.process != nil {
		if err := c.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping the cluster: %w", err)
		}
		select {
		case err := <-c.exited:
			if err != nil {
				fmt.Fprintln(os.Stderr, "the cluster ended badly:", err)
			}
		case <-time.After(stopTimeout):
			return errors.Join(fmt.Errorf("stopping the cluster: it still runs after %s; what it waits for is at the end of its log", stopTimeout), c.abort())
		}
	}
	return c.reset()
}

// abort ends a cluster that does not stop, by the signal at which a Go program
// writes down what all its goroutines wait for.
func (c *testCluster) abort() error {
	_ = c.process.Process.Signal(syscall.SIGQUIT)
	select {
	case <-c.exited:
	case <-time.After(abortTimeout):
		_ = c.process.Process.Kill()
	}
	return c.reset()
}

func (c *testCluster) reset() error {
	if _, err := os.Stat(c.dataDir); err != nil {
		return nil
	}
	if out, err := exec.Command(c.coracle, "reset", "--data-dir", c.dataDir).CombinedOutput(); err != nil {
		return fmt.Errorf("removing the cluster: %w: %s", err, out)
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
	"github.com/coracle-k8s/coracle/cluster"
)

// target is a running cluster with an empty data directory of its own.
type target struct {
	dir     string
	started time.Time
	rest    *rest.Config
	client  client.WithWatch

	// Of a process:
	command *exec.Cmd
	output  *bytes.Buffer
	address string
	// In this process:
	cluster *cluster.Cluster
}

// retry is the interval of checks for a start that has no event.
const retry = time.Millisecond

// awaitLimit bounds each wait for a watch's event.
const awaitLimit = 20 * time.Minute

// libraryPercent is the garbage collector's percentage, runPercent of cmd/coracle.
const libraryPercent = 150

// launch runs the binary and returns at once.
func (b *bench) launch(ctx context.Context, args ...string) (*target, error) {
	dir, err := os.MkdirTemp("", "coracle-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a data directory: %w", err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	t := &target{dir: dir, address: address}
	if err := t.exec(ctx, b.binary, args...); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return t, nil
}

// exec runs the binary on the target's directory.
func (t *target) exec(ctx context.Context, binary string, args ...string) error {
	t.output = &bytes.Buffer{}
	command := exec.CommandContext(ctx, binary, append([]string{"up", "--data-dir", t.dir, "--listen", t.address}, args...)...)
	command.Stderr = t.output
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	t.started = time.Now()
	if err := command.Start(); err != nil {
		return fmt.Errorf("running %s: %w", binary, err)
	}
	t.command = command
	return nil
}

// end ends the process and keeps its data; it returns how long that took.
func (t *target) end() time.Duration {
	start := time.Now()
	_ = t.command.Process.Signal(syscall.SIGTERM)
	_ = t.command.Wait() // whatever it exits with: it is gone
	return time.Since(start)
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// up runs a cluster with simulated nodes until all are ready.
func (b *bench) up(ctx context.Context, nodes int) (*target, error) {
	if b.kubeconfig != "" {
		return b.running()
	}
	if b.library {
		return b.upLibrary(ctx, nodes)
	}
	t, err := b.launch(ctx, "--nodes", "0", "--simulated-nodes", fmt.Sprint(nodes))
	if err != nil {
		return nil, err
	}
	if err := t.settled(ctx, nodes); err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// running returns the server that the kubeconfig leads to.
func (b *bench) running() (*target, error) {
	config, err := clientcmd.BuildConfigFromFlags("", b.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS = -1
	t := &target{rest: config}
	t.client, err = client.NewWithWatch(t.rest, client.Options{Scheme: scheme.Scheme})
	return t, err
}

// upLibrary runs it in this process.
func (b *bench) upLibrary(ctx context.Context, nodes int) (*target, error) {
	dir, err := os.MkdirTemp("", "coracle-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a data directory: %w", err)
	}
	// As coracle up has it when it has started.
	debug.SetGCPercent(libraryPercent)
	none := int32(0)
	t := &target{dir: dir, started: time.Now()}
	t.cluster, err = cluster.Start(ctx, &v1alpha1.Cluster{DataDir: dir, Listen: "127.0.0.1:0", Nodes: &none, SimulatedNodes: int32(nodes)})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	t.rest = t.cluster.RESTConfig()
	if t.client, err = client.NewWithWatch(t.rest, client.Options{Scheme: scheme.Scheme}); err == nil {
		err = t.nodesReady(ctx, nodes)
	}
	if err != nil {
		t.stop()
		return nil, err
	}
	return t, nil
}

// settled waits for the API and the nodes.
func (t *target) settled(ctx context.Context, nodes int) error {
	if _, err := t.ready(ctx); err != nil {
		return err
	}
	if err := t.connect(ctx); err != nil {
		return err
	}
	return t.nodesReady(ctx, nodes)
}

// ready waits until /readyz answers 200 and returns the time since the exec.
func (t *target) ready(ctx context.Context) (time.Duration, error) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	probe := http.Client{Transport: transport}
	return t.until(ctx, "/readyz", func() error {
		response, err := probe.Get("https://" + t.address + "/readyz")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

// connect waits for the kubeconfig and makes the client from it.
func (t *target) connect(ctx context.Context) error {
	_, err := t.until(ctx, "the kubeconfig", func() error {
		config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(t.dir, "kubeconfig"))
		if err != nil {
			return err
		}
		config.QPS = -1
		t.rest = config
		return nil
	})
	if err != nil {
		return err
	}
	t.client, err = client.NewWithWatch(t.rest, client.Options{Scheme: scheme.Scheme})
	return err
}

// until repeats a try for which there is no event until it succeeds, for a
// minute, and returns the time since the start.
func (t *target) until(ctx context.Context, what string, try func() error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return time.Since(t.started), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("waiting for %s: %w; the process said: %s", what, err, t.output.String())
		}
	}
}

// await watches until done returns true for an object and returns the time then.
// It sees the existing objects first, unless it gets a version to start from.
func (t *target) await(ctx context.Context, list client.ObjectList, done func(watch.EventType, client.Object) bool, opts ...client.ListOption) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, awaitLimit)
	defer cancel()
	options := (&client.ListOptions{}).ApplyOptions(opts)
	if options.Raw == nil {
		options.Raw = &metav1.ListOptions{}
	}
	for ctx.Err() == nil {
		w, err := t.client.Watch(ctx, list, options)
		if err != nil {
			return time.Time{}, fmt.Errorf("watching %T: %w", list, err)
		}
		at, err := follow(w, options.Raw, done)
		w.Stop()
		// The server ends the watch of a client that is too slow; the next one goes on where it was.
		if err != nil || !at.IsZero() {
			return at, err
		}
	}
	return time.Time{}, fmt.Errorf("watching %T for what did not come: %w", list, context.Cause(ctx))
}

// follow follows one watch to its end, or until done.
func follow(w watch.Interface, from *metav1.ListOptions, done func(watch.EventType, client.Object) bool) (time.Time, error) {
	for e := range w.ResultChan() {
		o, ok := e.Object.(client.Object)
		if !ok {
			return time.Time{}, fmt.Errorf("watching: %w", apierrors.FromObject(e.Object))
		}
		if done(e.Type, o) {
			return time.Now(), nil
		}
		from.ResourceVersion = o.GetResourceVersion()
	}
	return time.Time{}, nil
}

func (t *target) nodesReady(ctx context.Context, want int) error {
	ready := map[string]bool{}
	if want == 0 {
		return nil
	}
	_, err := t.await(ctx, &corev1.NodeList{}, func(_ watch.EventType, o client.Object) bool {
		if nodeapi.IsReady(o.(*corev1.Node)) {
			ready[o.GetName()] = true
		}
		return len(ready) == want
	})
	return err
}

// stop ends the cluster and removes its files.
func (t *target) stop() {
	if t.cluster != nil {
		t.cluster.Stop()
	}
	if t.command != nil {
		t.end()
		// Pods of real nodes outlive it, and what they need on the host.
		if out, err := exec.Command(t.command.Path, "reset", "--data-dir", t.dir).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: removing the cluster: %v: %s\n", err, out)
		}
	}
	if t.dir != "" {
		os.RemoveAll(t.dir)
	}
}

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// clusterFlags are the common fields of the configuration as flags.
type clusterFlags struct {
	file, dataDir, listen, runtimeEndpoint string
	nodes, simulated                       int32
}

func (f *clusterFlags) add(cmd *cobra.Command, nodes bool) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "config", "", "configuration file (apiVersion "+v1alpha1.APIVersion+", kind "+v1alpha1.Kind+"); flags are set over it")
	flags.StringVar(&f.dataDir, "data-dir", "", "where the cluster keeps everything (default "+v1alpha1.DefaultDataDir()+")")
	flags.StringVar(&f.listen, "listen", "", "address and port of the API server; port 0 picks a free one (default 127.0.0.1:6443)")
	if nodes {
		flags.Int32Var(&f.nodes, "nodes", 1, "real nodes on this machine; 0 runs the control plane alone, 2 and more get a network namespace each")
		flags.Int32Var(&f.simulated, "simulated-nodes", 0, "nodes whose pods run without containers")
		flags.StringVar(&f.runtimeEndpoint, "container-runtime-endpoint", "", "CRI socket of a running containerd to use instead of starting one")
	}
}

// config reads the file and sets the flags that were given over it.
func (f *clusterFlags) config(cmd *cobra.Command) (*v1alpha1.Cluster, error) {
	config := &v1alpha1.Cluster{}
	if f.file != "" {
		var err error
		if config, err = v1alpha1.Load(f.file); err != nil {
			return nil, err
		}
	}
	given := cmd.Flags().Changed
	if given("data-dir") {
		config.DataDir = f.dataDir
	}
	if given("listen") {
		config.Listen = f.listen
	}
	if given("nodes") {
		config.Nodes = &f.nodes
	}
	if given("simulated-nodes") {
		config.SimulatedNodes = f.simulated
	}
	if given("container-runtime-endpoint") {
		config.Node.ContainerRuntimeEndpoint = f.runtimeEndpoint
	}
	config.Default()
	return config, nil
}

func upCommand() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run a cluster in the foreground until Ctrl-C",
		Long: `Run API server, controllers, scheduler and nodes in this process until Ctrl-C
or SIGTERM. The next up with the same data directory continues where it ended.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.config(cmd)
			if err != nil {
				return err
			}
			return up(cmd.Context(), config, cmd.ErrOrStderr())
		},
	}
	f.add(cmd, true)
	return cmd
}

func serverCommand() *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the control plane alone; agents join it",
		Long: `Run API server, controllers and scheduler in this process, without a node.
Nodes join from this or other machines with a token:

  coracle token create                                        here
  coracle agent --server https://ADDRESS:PORT --token TOKEN   there`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := f.config(cmd)
			if err != nil {
				return err
			}
			none := int32(0)
			config.Nodes, config.SimulatedNodes = &none, 0
			return up(cmd.Context(), config, cmd.ErrOrStderr())
		},
	}
	f.add(cmd, false)
	return cmd
}

// up runs the cluster until ctx ends.
func up(ctx context.Context, config *v1alpha1.Cluster, out io.Writer) error {
	started := processStart()
	debug.SetGCPercent(startPercent)
	quiet()
	defer klog.Flush()
	c, err := cluster.Start(ctx, config, cluster.WithLogger(klog.Background()), cluster.WithProgress(func(step string) {
		fmt.Fprintln(out, stamp(started), step)
	}))
	if err != nil {
		return oneLine(err)
	}
	fmt.Fprintf(out, "ready in %.2f s  %s\nexport KUBECONFIG=%s\n", time.Since(started).Seconds(), c.URL(), c.Kubeconfig())
	go tendMemory(ctx)
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "stopping")
	case err = <-c.Failed():
	}
	c.Stop()
	return oneLine(err)
}

// quiet turns off the libraries' own log lines, unless CORACLE_LOG is set:
// errors, events and conditions inform the user.
func quiet() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	_ = flags.Set("stderrthreshold", "FATAL") // a flag that klog has; else errors go to stderr all the same
	ctrllog.SetLogger(klog.Background())
	if os.Getenv("CORACLE_LOG") != "" {
		klog.LogToStderr(true)
	}
}

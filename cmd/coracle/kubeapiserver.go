package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cmd/coracle/kubeapiserver"
)

// kubeAPIServerCommand is for the arguments that follow: a configuration file
// among them gives the flags their defaults.
func kubeAPIServerCommand(args []string) (*cobra.Command, error) {
	config, err := apiserverConfig(valueOf(args, "--config"))
	if err != nil {
		return nil, err
	}
	cmd := &cobra.Command{
		Use:   "kube-apiserver",
		Short: "Coracle's API server under the flags of upstream's kube-apiserver",
		Long: `Coracle's control plane under the name and flags that controller-runtime's
envtest uses. As with upstream's kube-apiserver no controllers and no scheduler
run, unless --controllers or the configuration file asks for them. Every flag of
upstream is taken. Those that are not listed have no effect here, which a line on
standard error says, or take one value only.`,
		Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
	}
	flags := cmd.Flags()
	flags.String("config", "", "configuration file of Coracle; flags are set over it")
	flags.StringSliceVar(&config.Controllers.Enabled, "controllers", config.Controllers.Enabled, "controllers that run, as kube-controller-manager's --controllers: '*' is all that are not named, -name is off")
	scheduler := flags.Bool("scheduler", false, "run the scheduler (default: if any controller runs)")
	flags.Int32Var(&config.SimulatedNodes, "simulated-nodes", config.SimulatedNodes, "nodes whose pods run without containers")
	upstream, err := kubeapiserver.Add(flags, config)
	if err != nil {
		return nil, err
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if version := upstream.Version(); version != "" && version != "false" {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "Kubernetes "+apis.KubernetesVersion)
			return err
		}
		warnings, err := upstream.Complete()
		if err != nil {
			return err
		}
		for _, line := range warnings {
			fmt.Fprintln(cmd.ErrOrStderr(), line)
		}
		if flags.Changed("scheduler") {
			config.Scheduler.Enabled = scheduler
		} else if flags.Changed("controllers") {
			config.Scheduler.Enabled = new(config.Controllers.Any())
		}
		return up(cmd.Context(), config, cmd.ErrOrStderr())
	}
	cmd.SetArgs(args)
	return cmd, nil
}

// assetsConfig is the configuration file that envtest-assets puts beside the
// programs, if it is asked for more than upstream's kube-apiserver runs.
const assetsConfig = "coracle.yaml"

// apiserverConfig reads the configuration file, or else the one beside this
// program. Controllers and scheduler are off unless the file turns them on.
func apiserverConfig(file string) (*v1alpha1.Cluster, error) {
	config := &v1alpha1.Cluster{}
	if file == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program's directory: %w", err)
		}
		beside := filepath.Join(filepath.Dir(self), assetsConfig)
		if _, err := os.Stat(beside); err == nil {
			file = beside
		}
	}
	if file != "" {
		var err error
		if config, err = v1alpha1.Load(file); err != nil {
			return nil, err
		}
	}
	if config.Controllers.Enabled == nil {
		config.Controllers.Enabled = []string{}
	}
	if config.Scheduler.Enabled == nil {
		config.Scheduler.Enabled = new(config.Controllers.Any())
	}
	config.Default()
	return config, nil
}

// valueOf returns the value of a flag, "" if it is not given.
func valueOf(args []string, flag string) string {
	for i, a := range args {
		if value, ok := strings.CutPrefix(a, flag+"="); ok {
			return value
		}
		if a == flag && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

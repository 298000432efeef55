package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster/datadir"
)

func resetCommand() *cobra.Command {
	var dataDir string
	var force bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Remove every trace of a cluster or agent",
		Long: `Remove every process, mount, network link and namespace, nftables table, cgroup
and file of the cluster or agent in the data directory, and say what was
removed. Files there that are not coracle's stay. It can be repeated.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return reset(cmd.Context(), dataDir, force, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", v1alpha1.DefaultDataDir(), "data directory of the cluster or agent")
	cmd.Flags().BoolVar(&force, "force", false, "stop the process that runs in the data directory first")
	return cmd
}

func reset(ctx context.Context, dataDir string, force bool, out io.Writer) error {
	did := false
	err := datadir.Reset(ctx, dataDir, datadir.ResetConfig{Stop: force, Report: func(line string) {
		did = true
		fmt.Fprintln(out, "removed", line)
	}, Progress: func(line string) { fmt.Fprintln(out, line) }})
	var used *datadir.InUseError
	if errors.As(err, &used) && !force {
		return fmt.Errorf("%w: stop it first, or have reset stop it with --force", err)
	}
	if err == nil && !did {
		fmt.Fprintf(out, "nothing is left of a cluster in %s\n", dataDir)
	}
	return oneLine(err)
}

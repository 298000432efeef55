// Command coracle is a whole Kubernetes cluster: `coracle up` runs it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := program(ctx, os.Args)
	stop()
	var code exitCode
	switch {
	case errors.As(err, &code):
		os.Exit(int(code))
	case err != nil:
		fmt.Fprintln(os.Stderr, "coracle: "+oneLine(err).Error())
		os.Exit(1)
	}
}

// program does what the program is asked for by its name and arguments.
func program(ctx context.Context, args []string) error {
	switch filepath.Base(args[0]) {
	case "kubectl":
		return runKubectl(args[1:])
	case "etcd":
		etcd(args) // ends the process
		return nil
	case "kube-apiserver":
		cmd, err := kubeAPIServerCommand(args[1:])
		if err != nil {
			return err
		}
		return cmd.ExecuteContext(ctx)
	}
	return root().ExecuteContext(ctx)
}

// exitCode ends the program with a code and no message: it was printed already.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "coracle",
		Short: "A whole Kubernetes cluster in one binary",
		Long: `Coracle is a whole Kubernetes cluster in one binary: etcd, API server,
controllers, scheduler, nodes and service proxy.

  coracle up                 run a cluster here, until Ctrl-C
  coracle kubectl get pods   talk to it (any kubectl does, too)
  coracle reset              remove every trace of it`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.AddCommand(upCommand(), serverCommand(), agentCommand(), tokenCommand(), kubectlCommand(), imageCommand(), statusCommand(), resetCommand(), envtestAssetsCommand(), versionCommand())
	return cmd
}

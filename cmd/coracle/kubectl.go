package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	// Ways to authenticate that a kubeconfig may name.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/component-base/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	// For what its initialization does not do.
	_ "github.com/coracle-k8s/coracle/cmd/coracle/translations"
)

func kubectlCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl",
		Short:              "The stock kubectl, for this cluster unless told otherwise",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			return runKubectl(args)
		},
	}
}

// unstamped is the version in a build without the Makefile's linker flags.
const unstamped = "v0.0.0-master+$Format:%H$"

// runKubectl runs the stock kubectl. Without --kubeconfig and $KUBECONFIG it
// talks to the cluster in the default data directory.
func runKubectl(args []string) error {
	// It handles signals by itself, or ends by them.
	signal.Reset(syscall.SIGINT, syscall.SIGTERM)
	file := filepath.Join(v1alpha1.DefaultDataDir(), "kubeconfig")
	if _, err := os.Stat(file); err == nil && os.Getenv("KUBECONFIG") == "" && !names(args, "--kubeconfig") {
		if err := os.Setenv("KUBECONFIG", file); err != nil {
			return err
		}
	}
	if version.Get().GitVersion == unstamped {
		// kubectl version cannot parse what a plain go build leaves there.
		if err := version.SetDynamicVersion("v0.0.0-coracle"); err != nil {
			return fmt.Errorf("setting kubectl's version: %w", err)
		}
	}
	os.Args = append([]string{"kubectl"}, args...)
	// As upstream's main: building the command reads kuberc, whose aliases and
	// defaults change the arguments, so these must not be set again.
	if _, err := logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)); err != nil {
		return fmt.Errorf("setting kubectl's verbosity: %w", err)
	}
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err) // prints the error and ends the process
	}
	return nil
}

// names reports whether a flag is given, before a lone -- ends them.
func names(args []string, flag string) bool {
	for _, a := range args {
		if a == "--" {
			return false
		}
		if a == flag || strings.HasPrefix(a, flag+"=") {
			return true
		}
	}
	return false
}

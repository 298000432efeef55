package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/carried"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/nodeagent/images"
)

// loadTimeout bounds the loading of an archive into one node.
const loadTimeout = 10 * time.Minute

func imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Get container images into the nodes without a registry",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return errors.New("say what to do with images: coracle image load or coracle image build-sample")
		},
	}
	cmd.AddCommand(imageLoadCommand(), buildSampleCommand())
	return cmd
}

func imageLoadCommand() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "load FILE.tar",
		Short: "Load an image archive into every node of the data directory",
		Long: `Load an image archive (OCI layout, or what "docker save" writes; plain or
gzipped) into every running node whose containerd is in the data directory.
Pods use it with imagePullPolicy IfNotPresent or Never.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return loadImage(cmd.Context(), dataDir, args[0], cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", v1alpha1.DefaultDataDir(), "data directory of the running cluster or agent")
	return cmd
}

func loadImage(ctx context.Context, dataDir, file string, out io.Writer) error {
	archive, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading the archive: %w", err)
	}
	defer archive.Close()
	nodes, err := runningNodes(dataDir)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if _, err := archive.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("reading the archive: %w", err)
		}
		names, err := importInto(ctx, node, archive)
		if err != nil {
			return fmt.Errorf("loading %s into node %s: %w", file, node.Name, err)
		}
		fmt.Fprintf(out, "%s: %s\n", node.Name, strings.Join(names, ", "))
	}
	return nil
}

// runningNodes returns the nodes that images can be loaded into.
func runningNodes(dataDir string) ([]datadir.LocalNode, error) {
	_, running, err := datadir.Running(dataDir)
	if err != nil {
		return nil, err
	}
	if !running {
		return nil, fmt.Errorf("no cluster runs in %s: start it with coracle up, or name its directory with --data-dir", dataDir)
	}
	nodes, err := datadir.LocalNodes(dataDir)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("the cluster in %s has no node with a containerd of its own on this machine", dataDir)
	}
	return nodes, nil
}

func importInto(ctx context.Context, node datadir.LocalNode, archive io.Reader) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if _, err := os.Stat(node.Runtime); err != nil {
		return nil, errors.New("its containerd does not run yet")
	}
	return images.Import(ctx, node.Runtime, archive)
}

func buildSampleCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "build-sample",
		Short: "Write the archive of the sample image",
		Long: `Write the archive of the image that the samples use, ` + carried.SampleImage + ` and
` + carried.SampleImageV2 + `, built from a program in this binary. Every node that coracle starts
has it already; "docker load" and "coracle image load" take it elsewhere.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			archive, err := carried.Sample().Archive()
			if err != nil {
				return err
			}
			if output == "-" {
				_, err = cmd.OutOrStdout().Write(archive)
			} else if err = os.WriteFile(output, archive, 0o644); err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", output, strings.Join(carried.Sample().Names, ", "))
			}
			if err != nil {
				return fmt.Errorf("writing the archive: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "coracle-sample.tar", "file to write; - is the standard output")
	return cmd
}

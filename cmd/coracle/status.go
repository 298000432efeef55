package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// statusTimeout bounds the questions to a server that does not answer.
const statusTimeout = 5 * time.Second

func statusCommand() *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether a cluster runs and how it is",
		Long: `Say whether a cluster or agent runs in the data directory, and how it is.
The exit code is 0 if it runs and answers, else 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return status(cmd.Context(), dataDir, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", v1alpha1.DefaultDataDir(), "data directory of the cluster or agent")
	return cmd
}

func status(ctx context.Context, dataDir string, out io.Writer) error {
	pid, running, err := cluster.Running(dataDir)
	if err != nil {
		return err
	}
	if !running {
		return fmt.Errorf("no cluster runs in %s: start it with coracle up, or name its directory with --data-dir", dataDir)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "running\tpid %d, data directory %s\n", pid, dataDir)
	kubeconfig := filepath.Join(dataDir, "kubeconfig")
	if _, err := os.Stat(kubeconfig); errors.Is(err, fs.ErrNotExist) {
		nodes, err := cluster.LocalNodes(dataDir)
		for _, n := range nodes {
			fmt.Fprintf(w, "agent\tnode %s\n", n.Name)
		}
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	if err := serverStatus(ctx, config, w); err != nil {
		return fmt.Errorf("process %d runs, but its API server at %s does not answer: %w", pid, config.Host, err)
	}
	return nil
}

func serverStatus(ctx context.Context, config *rest.Config, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	config.ContentType, config.Timeout = runtime.ContentTypeProtobuf, statusTimeout
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	version, err := kube.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	cached := metav1.ListOptions{ResourceVersion: "0"}
	nodes, err := kube.CoreV1().Nodes().List(ctx, cached)
	if err != nil {
		return err
	}
	pods, err := kube.CoreV1().Pods("").List(ctx, cached)
	if err != nil {
		return err
	}
	namespaces, err := kube.CoreV1().Namespaces().List(ctx, cached)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "server\t%s, Kubernetes %s\n", config.Host, version.GitVersion)
	fmt.Fprintf(w, "nodes\t%d of %d ready\n", readyNodes(nodes.Items), len(nodes.Items))
	fmt.Fprintf(w, "pods\t%s\n", podPhases(pods.Items))
	fmt.Fprintf(w, "namespaces\t%d\n", len(namespaces.Items))
	return nil
}

func readyNodes(nodes []corev1.Node) int {
	ready := 0
	for _, n := range nodes {
		if slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}) {
			ready++
		}
	}
	return ready
}

// podPhases counts pods by phase, the most frequent first.
func podPhases(pods []corev1.Pod) string {
	count := map[corev1.PodPhase]int{}
	for _, p := range pods {
		count[p.Status.Phase]++
	}
	phases := slices.SortedFunc(maps.Keys(count), func(a, b corev1.PodPhase) int {
		return cmp.Or(count[b]-count[a], strings.Compare(string(a), string(b)))
	})
	if len(phases) == 0 {
		return "none"
	}
	var parts []string
	for _, p := range phases {
		parts = append(parts, fmt.Sprintf("%d %s", count[p], p))
	}
	return strings.Join(parts, ", ")
}

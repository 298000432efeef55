package main

import (
	"cmp"
	"context"
	"encoding/json"
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
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	nodeapi "github.com/coracle-k8s/coracle/apis/core/node"
	"github.com/coracle-k8s/coracle/cluster"
	"github.com/coracle-k8s/coracle/cluster/datadir"
)

// statusTimeout bounds the questions to a server that does not answer.
const statusTimeout = 5 * time.Second

// statusReport is the output of coracle status -o json.
type statusReport struct {
	PID     int    `json:"pid"`
	DataDir string `json:"dataDir"`
	// AgentNodes are the nodes of an agent, which has none of what follows.
	AgentNodes []string      `json:"agentNodes,omitempty"`
	Server     *serverReport `json:"server,omitempty"`
}

type serverReport struct {
	URL        string                  `json:"url"`
	Kubernetes string                  `json:"kubernetes"`
	Nodes      int                     `json:"nodes"`
	NodesReady int                     `json:"nodesReady"`
	Pods       map[corev1.PodPhase]int `json:"pods"`
	Namespaces int                     `json:"namespaces"`
	cluster.Status
}

func statusCommand() *cobra.Command {
	var dataDir, format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether a cluster runs and how it is, with each controller",
		Long: `Say whether a cluster or agent runs in the data directory, and how it is. Of
each controller: how many objects wait for it, wait for a time or a retry
(LATER), and are worked on; when it last did something, and its last error.
The exit code is 0 if it runs and answers, else 1.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "" && format != "json" {
				return fmt.Errorf("-o %s is not known: use -o json, or leave it out", format)
			}
			report, err := status(cmd.Context(), dataDir)
			if err != nil {
				return err
			}
			if format == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(report)
			}
			return report.print(cmd.OutOrStdout(), time.Now())
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", v1alpha1.DefaultDataDir(), "data directory of the cluster or agent")
	cmd.Flags().StringVarP(&format, "output", "o", "", "json for programs; default text")
	return cmd
}

func status(ctx context.Context, dataDir string) (*statusReport, error) {
	pid, running, err := datadir.Running(dataDir)
	if err != nil {
		return nil, err
	}
	if !running {
		return nil, fmt.Errorf("no cluster runs in %s: start it with coracle up, or name its directory with --data-dir", dataDir)
	}
	report := &statusReport{PID: pid, DataDir: dataDir}
	kubeconfig := filepath.Join(dataDir, "kubeconfig")
	if _, err := os.Stat(kubeconfig); errors.Is(err, fs.ErrNotExist) {
		nodes, err := datadir.LocalNodes(dataDir)
		for _, n := range nodes {
			report.AgentNodes = append(report.AgentNodes, n.Name)
		}
		return report, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", kubeconfig, err)
	}
	if report.Server, err = serverStatus(ctx, config); err != nil {
		return nil, fmt.Errorf("process %d runs, but its API server at %s does not answer: %w", pid, config.Host, err)
	}
	return report, nil
}

func serverStatus(ctx context.Context, config *rest.Config) (*serverReport, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	config.ContentType, config.Timeout = runtime.ContentTypeProtobuf, statusTimeout
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	version, err := kube.Discovery().ServerVersion()
	if err != nil {
		return nil, err
	}
	cached := metav1.ListOptions{ResourceVersion: "0"}
	nodes, err := kube.CoreV1().Nodes().List(ctx, cached)
	if err != nil {
		return nil, err
	}
	pods, err := kube.CoreV1().Pods("").List(ctx, cached)
	if err != nil {
		return nil, err
	}
	namespaces, err := kube.CoreV1().Namespaces().List(ctx, cached)
	if err != nil {
		return nil, err
	}
	r := &serverReport{
		URL: config.Host, Kubernetes: version.GitVersion, Namespaces: len(namespaces.Items),
		Nodes: len(nodes.Items), NodesReady: readyNodes(nodes.Items), Pods: podPhases(pods.Items),
	}
	answer, err := kube.RESTClient().Get().AbsPath(cluster.StatusPath).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, &r.Status); err != nil {
		return nil, fmt.Errorf("reading its status: %w", err)
	}
	return r, nil
}

// print writes for people.
func (r *statusReport) print(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "running\tpid %d, data directory %s\n", r.PID, r.DataDir)
	for _, n := range r.AgentNodes {
		fmt.Fprintf(w, "agent\tnode %s\n", n)
	}
	if s := r.Server; s != nil {
		fmt.Fprintf(w, "server\t%s, Kubernetes %s\n", s.URL, s.Kubernetes)
		fmt.Fprintf(w, "nodes\t%d of %d ready\n", s.NodesReady, s.Nodes)
		fmt.Fprintf(w, "pods\t%s\n", inWords(s.Pods))
		fmt.Fprintf(w, "namespaces\t%d\n", s.Namespaces)
		for _, d := range s.Duties {
			fmt.Fprintf(w, "%s\t%s\n", d.Name, where(d))
		}
	}
	if err := w.Flush(); err != nil || r.Server == nil || len(r.Server.Controllers) == 0 {
		return err
	}
	fmt.Fprintf(out, "\n")
	return printControllers(out, r.Server.Controllers, now)
}

// where describes which server does the duty.
func where(d cluster.Duty) string {
	switch {
	case d.Identity == "":
		return "runs here"
	case d.Here:
		return "leads as " + d.Identity
	case d.Leader == "" || d.Leader == d.Identity:
		return "stands for election as " + d.Identity
	default:
		return "stands by for " + d.Leader
	}
}

func printControllers(out io.Writer, list []cluster.Controller, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CONTROLLER\tQUEUED\tLATER\tBUSY\tACTIVE\tLAST ERROR")
	for _, c := range list {
		active, failed := "<never>", ""
		if !c.Active.IsZero() {
			active = duration.HumanDuration(now.Sub(c.Active))
		}
		if e := c.Error; e != nil {
			failed = duration.HumanDuration(now.Sub(e.Time)) + " ago"
			if e.Object != "" {
				failed += ", " + e.Object
			}
			failed += ": " + firstLine(e.Message)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", c.Name, c.Ready, c.Delayed, c.Busy, active, failed)
	}
	return w.Flush()
}

// longestError is about a line of a wide terminal.
const longestError = 160

func firstLine(text string) string {
	line, more, _ := strings.Cut(text, "\n")
	if len(line) > longestError {
		line, more = line[:longestError], "cut"
	}
	if more != "" {
		line += "…"
	}
	return strings.ToValidUTF8(line, "")
}

func readyNodes(nodes []corev1.Node) int {
	ready := 0
	for i := range nodes {
		if nodeapi.IsReady(&nodes[i]) {
			ready++
		}
	}
	return ready
}

func podPhases(pods []corev1.Pod) map[corev1.PodPhase]int {
	count := map[corev1.PodPhase]int{}
	for _, p := range pods {
		count[p.Status.Phase]++
	}
	return count
}

// inWords has the most frequent phase first.
func inWords(count map[corev1.PodPhase]int) string {
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

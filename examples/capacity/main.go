// Command capacity answers where pods would go in a cluster that does not exist: it simulates
// nodes of one size, creates pods of one size, and prints how full the nodes are and why what
// is left does not fit.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// question has the number and sizes of nodes and pods.
type question struct {
	nodes, pods       int
	nodeCPU, cpu      string
	nodeMemory, bytes string
}

func main() {
	q := question{}
	flag.IntVar(&q.nodes, "nodes", 100, "how many nodes")
	flag.StringVar(&q.nodeCPU, "node-cpu", "32", "CPU of a node")
	flag.StringVar(&q.nodeMemory, "node-memory", "128Gi", "memory of a node")
	flag.IntVar(&q.pods, "pods", 900, "how many pods")
	flag.StringVar(&q.cpu, "cpu", "3", "CPU that a pod requests")
	flag.StringVar(&q.bytes, "memory", "4Gi", "memory that a pod requests")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, q); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, q question) error {
	capacity, err := list(q.nodeCPU, q.nodeMemory)
	if err != nil {
		return err
	}
	capacity[corev1.ResourcePods] = resource.MustParse("110")
	requests, err := list(q.cpu, q.bytes)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "capacity-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	noRealNodes := int32(0)
	c, err := cluster.Start(ctx, &v1alpha1.Cluster{
		DataDir: dir, Listen: "127.0.0.1:0", Nodes: &noRealNodes, SimulatedNodes: int32(q.nodes),
		Simulation: v1alpha1.Simulation{Capacity: capacity}, Storage: v1alpha1.Storage{UnsafeNoFsync: true},
	})
	if err != nil {
		return err
	}
	defer c.Stop()
	if err := c.WaitForNodes(ctx); err != nil {
		return err
	}
	for i := range q.pods {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("pod-%d", i)}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "c", Image: "i", Resources: corev1.ResourceRequirements{Requests: requests}}},
		}}
		if err := c.Client().Create(ctx, pod); err != nil {
			return err
		}
	}
	perNode, left, err := settled(ctx, c, q.pods)
	if err != nil {
		return err
	}
	fewest, most := q.pods, 0
	for _, n := range perNode {
		fewest, most = min(fewest, n), max(most, n)
	}
	fmt.Fprintf(out, "%d of %d pods fit on %d nodes, %d to %d on each\n", q.pods-len(left), q.pods, len(perNode), fewest, most)
	if len(left) == 0 {
		return nil
	}
	why, err := c.Explain(ctx, left[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d are left: %s\n", len(left), why.Message)
	return nil
}

// settled waits until the scheduler has tried every pod, and returns the number of pods on each
// node and the pods that have none.
func settled(ctx context.Context, c *cluster.Cluster, pods int) (perNode map[string]int, left []types.NamespacedName, err error) {
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 10*time.Minute, true, func(ctx context.Context) (bool, error) {
		all := &corev1.PodList{}
		if err := c.Client().List(ctx, all); err != nil || len(all.Items) < pods || !c.Idle() {
			return false, err
		}
		perNode, left = map[string]int{}, nil
		tried := true
		for i := range all.Items {
			p := &all.Items[i]
			if p.Spec.NodeName != "" {
				perNode[p.Spec.NodeName]++
				continue
			}
			left = append(left, client.ObjectKeyFromObject(p))
			tried = tried && len(p.Status.Conditions) > 0
		}
		return tried, nil
	})
	return perNode, left, err
}

func list(cpu, memory string) (corev1.ResourceList, error) {
	c, err := resource.ParseQuantity(cpu)
	if err != nil {
		return nil, fmt.Errorf("reading CPU %q: %w", cpu, err)
	}
	m, err := resource.ParseQuantity(memory)
	if err != nil {
		return nil, fmt.Errorf("reading memory %q: %w", memory, err)
	}
	return corev1.ResourceList{corev1.ResourceCPU: c, corev1.ResourceMemory: m}, nil
}

package cluster_test

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
)

// Example runs a cluster inside of a test: the control plane and one simulated node, on
// a free port, in a directory of its own. In a test, use t.Context() and t.TempDir().
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "coracle-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	noRealNodes := int32(0)
	c, err := cluster.Start(ctx, &v1alpha1.Cluster{
		DataDir: dir, Listen: "127.0.0.1:0",
		Nodes: &noRealNodes, SimulatedNodes: 1,
		Storage: v1alpha1.Storage{UnsafeNoFsync: true}, // quicker; a crash of the machine loses data
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Stop()

	kube, err := client.New(c.RESTConfig(), client.Options{Scheme: c.Scheme()})
	if err != nil {
		fmt.Println(err)
		return
	}
	greeting := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "greeting"}, Data: map[string]string{"text": "hello"}}
	if err := kube.Create(ctx, greeting); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(greeting.Name, greeting.UID != "")
	// Output: greeting true
}

package env_test

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/cluster"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/test/env"
)

func TestStart(t *testing.T) {
	g := NewWithT(t)
	e := env.Start(t, env.WithNodes(2))
	g.Eventually(func(g Gomega) {
		var nodes corev1.NodeList
		g.Expect(e.Client.List(t.Context(), &nodes)).To(Succeed())
		g.Expect(nodes.Items).To(HaveLen(2))
	}).WithTimeout(10*time.Second).Should(Succeed(), "two simulated nodes register")
}

func TestStopTwice(t *testing.T) {
	e := env.Start(t)
	e.Cluster.Stop()
	e.Cluster.Stop()
}

func TestManyInOneProcess(t *testing.T) {
	g := NewWithT(t)
	envs := []*env.Env{env.Start(t)}
	for range 4 {
		envs = append(envs, env.Start(t, env.Beside()))
	}
	for i, e := range envs {
		pod := &corev1.Namespace{}
		pod.Name = "only-here-" + string(rune('a'+i))
		g.Expect(e.Client.Create(t.Context(), pod)).To(Succeed())
	}
	for _, e := range envs {
		var list corev1.NamespaceList
		g.Expect(e.Client.List(t.Context(), &list)).To(Succeed())
		own := 0
		for _, ns := range list.Items {
			if len(ns.Name) > 10 && ns.Name[:10] == "only-here-" {
				own++
			}
		}
		g.Expect(own).To(Equal(1))
	}
}

func TestOneProcessForADirectory(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	e := env.Start(t, env.WithDir(dir))
	none := int32(0)
	second := &v1alpha1.Cluster{DataDir: dir, Listen: "127.0.0.1:0", Nodes: &none}
	_, err := cluster.Start(context.Background(), second)
	var used *datadir.InUseError
	g.Expect(errors.As(err, &used)).To(BeTrue(), "%v", err)
	g.Expect(used.Dir).To(Equal(dir))
	e.Cluster.Stop()
	c, err := cluster.Start(context.Background(), second)
	g.Expect(err).NotTo(HaveOccurred())
	c.Stop()
}

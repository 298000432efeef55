package etcd

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/feature"
)

// Bounds of connections, upstream's.
const (
	keepAlive, keepAliveTimeout = 30 * time.Second, 10 * time.Second
	dialTimeout                 = 20 * time.Second
)

func connect(ctx context.Context, c Config) (*Server, error) {
	client, err := kubernetes.New(clientv3.Config{
		Endpoints: c.Endpoints, TLS: c.TLS, Logger: zap.NewNop(),
		DialTimeout: dialTimeout, DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepAliveTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to etcd: %w", err)
	}
	s := &Server{Client: client, failure: newFailure(strings.Join(c.Endpoints, ","))}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if _, err := client.Client.Get(ctx, "health"); err != nil {
		s.Stop()
		return nil, fmt.Errorf("connecting to etcd at %s: %w", strings.Join(c.Endpoints, ","), err)
	}
	feature.DefaultFeatureSupportChecker.CheckClient(client.Ctx(), client.Client, storage.RequestWatchProgress)
	return s, nil
}

// another returns a client with a watch stream of its own over the connection of c.
func another(c *clientv3.Client) *clientv3.Client {
	n := clientv3.NewCtxClient(c.Ctx())
	n.KV, n.Lease, n.Watcher, n.Maintenance = clientv3.NewKV(c), clientv3.NewLease(c), clientv3.NewWatcher(c), clientv3.NewMaintenance(c)
	return n
}

package etcd

import (
	"context"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"google.golang.org/grpc"
)

// watches are the member's ends of the watch streams of its clients in this
// process. A client that is closed does not wait for them, and they read from the
// database: with the member closed under them, they would panic.
type watches struct{ open sync.WaitGroup }

// watcher makes a client's watcher whose streams are known.
func (w *watches) watcher(member *etcdserver.EtcdServer, c *clientv3.Client) clientv3.Watcher {
	ends := endsOfWatches{WatchServer: v3rpc.NewWatchServer(member), open: &w.open}
	begins := beginsOfWatches{WatchClient: adapter.WatchServerToWatchClient(ends), open: &w.open}
	return clientv3.NewWatchFromWatchClient(begins, c)
}

type beginsOfWatches struct {
	pb.WatchClient
	open *sync.WaitGroup
}

// Watch implements pb.WatchClient. The member's end is begun by it, and not later.
func (b beginsOfWatches) Watch(ctx context.Context, opts ...grpc.CallOption) (pb.Watch_WatchClient, error) {
	b.open.Add(1)
	return b.WatchClient.Watch(ctx, opts...)
}

type endsOfWatches struct {
	pb.WatchServer
	open *sync.WaitGroup
}

// Watch implements pb.WatchServer.
func (e endsOfWatches) Watch(stream pb.Watch_WatchServer) error {
	defer e.open.Done()
	return e.WatchServer.Watch(stream)
}

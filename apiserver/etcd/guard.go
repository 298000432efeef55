package etcd

import (
	"context"
	"fmt"
	"runtime/debug"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"google.golang.org/grpc"
)

// reads are the member's for a client in this process. They run in the goroutine
// of the caller, where the database panics over a page that was damaged after the
// start: that is the member's failure, not the caller's.
type reads struct {
	pb.KVClient
	failure *failure
}

func (f *failure) kv(member *etcdserver.EtcdServer, c *clientv3.Client) clientv3.KV {
	return clientv3.NewKVFromKVClient(reads{adapter.KvServerToKvClient(v3rpc.NewQuotaKVServer(member)), f}, c)
}

// Range implements pb.KVClient.
func (r reads) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (_ *pb.RangeResponse, err error) {
	defer r.failure.recovered(&err)()
	return r.KVClient.Range(ctx, in, opts...)
}

// Txn implements pb.KVClient.
func (r reads) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (_ *pb.TxnResponse, err error) {
	defer r.failure.recovered(&err)()
	return r.KVClient.Txn(ctx, in, opts...)
}

// recovered returns what to defer so that a panic or a fault becomes an error.
func (f *failure) recovered(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			f.report(oneLine(fmt.Sprint(p)))
			*err = fmt.Errorf("reading etcd's database: %w", f.err)
		}
	}
}

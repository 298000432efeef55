package crash

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
)

// change is one revision of one key; before and after are nil where there was,
// or is, nothing.
type change struct {
	revision      int64
	key           string
	before, after runtime.Object
}

const registry = "/registry/"

// decoded are the resources whose values the witness looks at.
var decoded = []string{"pods/", "batch/jobs/", "nodes/", "apps/replicasets/"}

// historyOf reads every revision that a stopped cluster ever wrote, and calls see
// with each, in order. It returns the keys that are left.
func historyOf(ctx context.Context, config etcd.Config, see func(change)) (left []string, err error) {
	server, err := etcd.Start(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	defer server.Stop()
	client := server.NewClient()
	defer client.Close()
	const end = registry + "~end"
	if _, err := client.Client.Put(ctx, end, ""); err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	codec := serializer.NewCodecFactory(apis.NewClientScheme()).UniversalDeserializer()
	decode := func(key string, value []byte) (runtime.Object, error) {
		for _, prefix := range decoded {
			if strings.HasPrefix(key, registry+prefix) && len(value) > 0 {
				o, _, err := codec.Decode(value, nil, nil)
				return o, err
			}
		}
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for answer := range client.Watch(ctx, registry, clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithPrevKV()) {
		if err := answer.Err(); err != nil {
			return nil, fmt.Errorf("reading the history: %w", err)
		}
		for _, e := range answer.Events {
			c := change{revision: e.Kv.ModRevision, key: strings.TrimPrefix(string(e.Kv.Key), registry)}
			if string(e.Kv.Key) == end {
				return keys(ctx, client.Client)
			}
			if c.after, err = decode(string(e.Kv.Key), e.Kv.Value); err == nil && e.PrevKv != nil {
				c.before, err = decode(string(e.Kv.Key), e.PrevKv.Value)
			}
			if err != nil {
				return nil, fmt.Errorf("decoding %s at %d: %w", e.Kv.Key, e.Kv.ModRevision, err)
			}
			if e.Type == clientv3.EventTypeDelete {
				c.after = nil
			}
			see(c)
		}
	}
	return nil, fmt.Errorf("reading the history: %w", ctx.Err())
}

func keys(ctx context.Context, client *clientv3.Client) ([]string, error) {
	answer, err := client.Get(ctx, registry, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	var all []string
	for _, kv := range answer.Kvs {
		all = append(all, strings.TrimPrefix(string(kv.Key), registry))
	}
	return all, nil
}

package cluster

import (
	"net/netip"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/cluster/host"
)

// Option changes what a configuration file cannot express.
type Option func(*options)

type options struct {
	progress func(string)
	clock    clock.WithTicker
	logger   logr.Logger
	cloud    cloudprovider.Interface // nil without a cloud
	types    []func(*runtime.Scheme) error
	// machine returns the addresses of this machine.
	machine func() ([]netip.Addr, error)
}

func newOptions(opts []Option) options {
	o := options{progress: func(string) {}, clock: clock.RealClock{}, logger: logr.Discard(), machine: host.Addresses}
	for _, change := range opts {
		change(&o)
	}
	return o
}

// WithProgress calls a function with what the start is doing, a short phrase a step, one at a
// time. Nodes go on reporting after Start has returned.
func WithProgress(report func(step string)) Option {
	var mu sync.Mutex
	return func(o *options) {
		o.progress = func(step string) {
			mu.Lock()
			defer mu.Unlock()
			report(step)
		}
	}
}

// WithClock gives all parts another clock, for tests.
func WithClock(c clock.WithTicker) Option { return func(o *options) { o.clock = c } }

// WithLogger sets the logger of the parts. Default: nothing is logged.
func WithLogger(l logr.Logger) Option { return func(o *options) { o.logger = l } }

// WithTypes adds types to the cluster's scheme, such as those of custom resources: the AddToScheme
// of their packages. Clients and controllers of Cluster.Manager know them then.
func WithTypes(add ...func(*runtime.Scheme) error) Option {
	return func(o *options) { o.types = append(o.types, add...) }
}

// WithCloudProvider lets a cloud make the load balancers of Services, if it has
// any, instead of the built-in one.
func WithCloudProvider(cloud cloudprovider.Interface) Option {
	return func(o *options) { o.cloud = cloud }
}

// Package shared makes what all parts of a cluster share: one manager, with one client and one
// cache, whose objects are those of the API server.
//
// The API of this package is not stable: see docs/api.md.
package shared

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/coracle-k8s/coracle/apiserver"
	"github.com/coracle-k8s/coracle/cluster/informers"
)

// Config describes a manager. All fields are required.
type Config struct {
	Server *apiserver.Server
	// Scheme has the types of clients.
	Scheme *runtime.Scheme
	Logger logr.Logger
	// Metrics gets the metrics of the requests to the server.
	Metrics prometheus.Registerer
	// StopTimeout bounds the wait for the parts when the manager stops.
	StopTimeout time.Duration
}

// NewManager makes the manager of all parts. The caller runs it until ctx ends.
func NewManager(ctx context.Context, c Config) (manager.Manager, error) {
	yes := true
	config := c.Server.RESTConfig()
	config.ContentType = "" // clients write protobuf or JSON, by type
	config.Wrap(newRequests(c.Metrics).wrap)
	mgr, err := manager.New(config, manager.Options{
		Scheme:         c.Scheme,
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return c.Server.Mapper(), nil },
		NewCache: func(config *rest.Config, options cache.Options) (cache.Cache, error) {
			return c.newCache(ctx, config, options)
		},
		Cache: cache.Options{
			// Nothing here reads managed fields, which are most of a small object.
			DefaultTransform: cache.TransformStripManagedFields(),
		},
		Logger:                  c.Logger,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: &c.StopTimeout,
		Controller:              ctrlconfig.Controller{SkipNameValidation: &yes, Logger: c.Logger},
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	return mgr, addIndexes(ctx, mgr.GetFieldIndexer())
}

// newCache makes the manager's cache, see cache.NewCacheFunc.
func (c Config) newCache(ctx context.Context, config *rest.Config, options cache.Options) (cache.Cache, error) {
	return informers.New(config, options, informers.Config{
		Stopped: ctx, Scheme: c.Scheme, Logger: c.Logger, Share: c.share, BeforeFirst: c.Server.BeforeFirst,
	})
}

// share implements informers.Sharing: objects of typed informers are those of the server.
func (c Config) share(example runtime.Object, otherwise toolscache.ListerWatcherWithContext) toolscache.ListerWatcherWithContext {
	kind, err := apiutil.GVKForObject(example, c.Scheme)
	if err != nil {
		return otherwise // not a kind of the scheme
	}
	return c.Server.Share(kind, example, otherwise)
}

package cluster

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/etcd/client/pkg/v3/transport"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
	"github.com/coracle-k8s/coracle/apiserver/etcd"
	"github.com/coracle-k8s/coracle/apiserver/registry"
	"github.com/coracle-k8s/coracle/apiserver/registry/all"
	"github.com/coracle-k8s/coracle/cluster/datadir"
	"github.com/coracle-k8s/coracle/cluster/host"
	"github.com/coracle-k8s/coracle/cluster/node"
	"github.com/coracle-k8s/coracle/controllers/nodeipam"
)

// plan is a cluster to be started: what its configuration and options ask for, and what is to be
// undone when it stops.
type plan struct {
	// config is the configuration in force, valid and with an absolute data directory.
	config  *v1alpha1.Cluster
	options options
	// id is in the names of what the cluster makes on this machine.
	id        string
	resources []*registry.Resource
	etcd      etcd.Config
	// podRanges keeps the first ranges for this process's own nodes, which need
	// theirs before they are registered.
	podRanges *nodeipam.Ranges
	// metrics are those of this cluster's parts, where they have any of their own.
	metrics *prometheus.Registry
	// stops are run by undo, the last one first.
	stops []func()
}

// newPlan reads the configuration and what it refers to. It changes nothing on the machine.
func newPlan(config *v1alpha1.Cluster, o options) (*plan, error) {
	p := &plan{config: config.DeepCopy(), options: o, metrics: prometheus.NewRegistry()}
	p.config.Default()
	if errs := p.config.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("checking the configuration: %w", errs.ToAggregate())
	}
	var err error
	if p.podRanges, err = node.NewPodRanges(p.config); err != nil {
		return nil, fmt.Errorf("checking the configuration: %w", err)
	}
	if *p.config.Nodes > 0 {
		if err := host.Check(); err != nil {
			return nil, fmt.Errorf("%w, or run with --nodes 0 --simulated-nodes 1", err)
		}
	}
	if p.config.DataDir, err = filepath.Abs(p.config.DataDir); err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	p.id = datadir.ID(p.config.DataDir)
	var warnings []string
	if p.resources, warnings, err = all.Configured(p.config.APIServer.RuntimeConfig, p.config.FeatureGates); err != nil {
		return nil, err
	}
	for _, w := range warnings {
		p.options.progress(w)
	}
	p.etcd, err = p.storage()
	return p, err
}

// onStop has stop called when the cluster stops, before what was added earlier.
func (p *plan) onStop(stop func()) { p.stops = append(p.stops, stop) }

// undo stops what runs and releases what was taken.
func (p *plan) undo() {
	for _, stop := range slices.Backward(p.stops) {
		stop()
	}
}

func (p *plan) path(elements ...string) string {
	return filepath.Join(append([]string{p.config.DataDir}, elements...)...)
}

// storage returns the configuration of the server's storage.
func (p *plan) storage() (etcd.Config, error) {
	s := p.config.Storage
	config := etcd.Config{Dir: p.path("etcd"), UnsafeNoFsync: s.UnsafeNoFsync, Endpoints: s.Endpoints, Errors: func(msg string) { p.options.logger.Info(msg) }}
	if s.CAFile == "" && s.CertFile == "" {
		return config, nil
	}
	var err error
	config.TLS, err = transport.TLSInfo{TrustedCAFile: s.CAFile, CertFile: s.CertFile, KeyFile: s.KeyFile}.ClientConfig()
	if err != nil {
		return etcd.Config{}, fmt.Errorf("reading the files for etcd: %w", err)
	}
	return config, nil
}

package apiserver

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apiserver/access"
	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
	"github.com/coracle-k8s/coracle/apiserver/bootstrap"
)

func (s *Server) accessConfig() access.Config {
	c := s.config
	return access.Config{
		Settings: c.Settings, Authority: c.Authority, ServiceAccountKey: c.ServiceAccountKey, ServiceAccountKeys: c.ServiceAccountKeys, Issuer: c.Issuer,
		Tokens: c.Tokens, Resources: c.Resources, Stores: s.stores, Kept: s.kept, Self: s.RESTConfig(), Mapper: s.Mapper(), Schemas: s.typeConverter,
		Services: s.services, UncheckedPolicies: c.UncheckedPolicies, ServerID: s.id(), Clock: c.Clock, Report: c.Report,
	}
}

// typeConverter has the merge schema of any kind that is served, nil of others.
func (s *Server) typeConverter(gvk schema.GroupVersionKind) managedfields.TypeConverter {
	if s.config.Scheme.Recognizes(gvk) {
		return s.docs.TypeConverter()
	}
	return s.custom.TypeConverter(gvk.GroupKind())
}

// kept counts keys, which opens no watch cache. Another server on the same etcd
// may store objects at any time, so there the answer is yes.
func (s *Server) kept(ctx context.Context, gr schema.GroupResource) (bool, error) {
	if len(s.config.Etcd.Endpoints) > 0 {
		return true, nil
	}
	n, err := s.getter.Stored(ctx, gr)
	return n > 0, err
}

// runAccess runs what feeds access control, what follows files, priority and fairness, and
// stores the objects of the system that these need.
func (s *Server) runAccess() {
	ctx, a := s.ctx, s.access
	s.control(func() { s.health.informers.during(func() { _ = a.Roles.Run(ctx) }) }) // ends with ctx, without error
	s.control(func() { _ = a.Graph.Run(ctx) })
	s.control(func() { s.health.admission.during(func() { _ = a.Chain.Run(ctx) }) })
	for _, run := range a.Runners {
		s.control(func() { _ = run(ctx) })
	}
	if s.encryption != nil {
		s.control(func() { _ = s.encryption.Run(ctx) })
	}
	s.control(func() { s.health.fairness.during(func() { _ = s.fairness.Run(ctx) }) })
	a.Live.Warm()
	s.control(func() {
		if s.ensure(ctx, rbac.Reconcile) {
			a.Roles.Reconciled()
			s.health.roles.ended.Store(true)
		}
	})
	s.control(func() { s.health.classes.ended.Store(s.ensure(ctx, bootstrap.SystemClasses)) })
	s.control(func() {
		s.health.services.ended.Store(s.ensure(ctx, bootstrap.ServiceRange(s.config.Services.CIDR)))
	})
}

func (s *Server) control(run func()) { s.controlling.Go(run) }

// ensureRetry is how long after a failure the system's objects are written again.
const ensureRetry = time.Second

// ensure writes objects of the system until it succeeds or ctx is done, and
// reports whether it succeeded.
func (s *Server) ensure(ctx context.Context, write func(context.Context, client.Client) error) bool {
	for ctx.Err() == nil {
		c, err := client.New(s.RESTConfig(), client.Options{Scheme: apis.NewClientScheme(), Mapper: s.Mapper()})
		if err == nil {
			err = write(ctx, c)
		}
		if err == nil {
			return true
		}
		select {
		case <-ctx.Done():
		case <-s.config.Clock.After(ensureRetry):
		}
	}
	return false
}

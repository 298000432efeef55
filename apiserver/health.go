package apiserver

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/mux"
	"k8s.io/klog/v2"

	"github.com/coracle-k8s/coracle/apiserver/storage"
)

// health holds what the checks of /healthz, /livez and /readyz are bound to.
type health struct {
	// admission, informers, custom, aggregator and fairness run for as long as the
	// server does.
	admission, informers, custom, aggregator, fairness lifetime
	// roles, classes and services are written once.
	roles, classes, services lifetime
	log                      logCheck
}

// lifetime is the time in which a part runs, or a job that ends.
type lifetime struct{ begun, ended atomic.Bool }

// during runs a part.
func (l *lifetime) during(run func()) {
	l.begun.Store(true)
	defer l.ended.Store(true)
	run()
}

// errNotFinished has upstream's words of a hook that has not ended.
var errNotFinished = errors.New("not finished")

// running fails before the part runs, and after it ended.
func (l *lifetime) running() error {
	if !l.begun.Load() {
		return errNotFinished
	}
	if l.ended.Load() {
		return errors.New("has ended")
	}
	return nil
}

// done fails until the job is finished.
func (l *lifetime) done() error {
	if !l.ended.Load() {
		return errNotFinished
	}
	return nil
}

// once passes for good when the check has passed: a hook of upstream's ends once,
// while what is made on demand may begin, and be unfinished for a moment, later.
func once(check func() error) func() error {
	var passed atomic.Bool
	return func() error {
		if passed.Load() {
			return nil
		}
		err := check()
		passed.Store(err == nil)
		return err
	}
}

// hook is the check of what upstream starts in a hook of that name.
type hook struct {
	name string
	// check is nil for what the cluster around this server runs: see Config.Checks.
	check func() error
	// later is set if the server answers before it is done.
	later bool
}

// hooks returns the hooks in upstream's order. Left out are
// start-kube-apiserver-identity-lease-* of servers without others, unless the cluster has
// them, and peer-endpoint-reconciler-controller: no server passes requests on to another.
func (s *Server) hooks() []hook {
	h := &s.health
	aggregator := h.aggregator.running
	return []hook{
		{name: "start-apiserver-admission-initializer", check: h.admission.running},
		{name: "generic-apiserver-start-informers", check: h.informers.running},
		{name: "priority-and-fairness-config-consumer", check: h.fairness.running},
		{name: "priority-and-fairness-filter", check: h.fairness.running},
		{name: "storage-object-count-tracker-hook", check: once(s.checkStorages)},
		{name: "start-apiextensions-informers", check: h.custom.running},
		{name: "start-apiextensions-controllers", check: h.custom.running},
		{name: "crd-informer-synced", check: once(s.checkCustom)},
		{name: "start-system-namespaces-controller"},
		{name: "start-cluster-authentication-info-controller"},
		{name: "start-kube-apiserver-identity-lease-controller"},
		{name: "start-kube-apiserver-identity-lease-garbage-collector"},
		{name: "storage-readiness", check: once(s.checkStorages)},
		{name: "start-legacy-token-tracking-controller"},
		{name: "start-service-ip-repair-controllers"},
		{name: "rbac/bootstrap-roles", check: h.roles.done, later: true},
		{name: "scheduling/bootstrap-system-priority-classes", check: h.classes.done, later: true},
		{name: "priority-and-fairness-config-producer", check: once(s.fairness.Ready), later: true},
		{name: "bootstrap-controller"},
		{name: "start-kubernetes-service-cidr-controller", check: h.services.done, later: true},
		{name: "start-kube-aggregator-informers", check: aggregator},
		{name: "apiservice-status-local-available-controller", check: aggregator},
		{name: "apiservice-status-remote-available-controller", check: aggregator},
		{name: "apiservice-registration-controller", check: aggregator},
		{name: "apiservice-discovery-controller", check: aggregator},
		{name: "kube-apiserver-autoregistration", check: aggregator},
		{name: autoregister, check: once(s.aggregator.Ready), later: true},
		{name: "apiservice-openapi-controller", check: aggregator},
		{name: "apiservice-openapiv3-controller", check: aggregator},
	}
}

// autoregister is a check that is no hook's.
const autoregister = "autoregister-completion"

func (h hook) path() string {
	if h.name == autoregister {
		return h.name
	}
	return "poststarthook/" + h.name
}

// hookChecks returns the checks of hooks that exist here.
func (s *Server) hookChecks() []healthz.HealthChecker {
	var checks []healthz.HealthChecker
	for _, h := range s.hooks() {
		check := h.check
		if check == nil {
			check = s.config.Checks[h.name]
		}
		if check != nil {
			checks = append(checks, healthz.NamedCheck(h.path(), func(*http.Request) error { return check() }))
		}
	}
	return checks
}

// readyPath asks for readiness apart from what becomes so later.
func (s *Server) readyPath() string {
	excluded := url.Values{}
	for _, h := range s.hooks() {
		if h.later || h.check == nil && s.config.Checks[h.name] != nil {
			excluded.Add("exclude", h.path())
		}
	}
	return "/readyz?" + excluded.Encode()
}

// installHealth serves the checks in upstream's order. It replaces the library's endpoints,
// which check the library's own hooks only. more are checks of encryption at rest.
func (s *Server) installHealth(m *mux.PathRecorderMux, more []healthz.HealthChecker) {
	for _, path := range m.ListedPaths() {
		if root, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); slices.Contains([]string{"healthz", "livez", "readyz"}, root) {
			m.Unregister(path)
		}
	}
	first := []healthz.HealthChecker{healthz.PingHealthz, healthz.NamedCheck("log", s.health.log.check), healthz.NamedCheck("etcd", s.checkEtcd)}
	hooks := s.hookChecks()
	healthz.InstallHandler(m, slices.Concat(first, more, hooks)...)
	healthz.InstallLivezHandler(m, slices.Concat(first, more, s.delayed(hooks))...)
	synced := once(s.checkCustom)
	ready := []healthz.HealthChecker{
		healthz.NamedCheck("etcd-readiness", s.checkEtcd),
		healthz.NamedCheck("informer-sync", func(*http.Request) error { return synced() }),
	}
	healthz.InstallReadyzHandler(m, slices.Concat(first, ready, more, hooks, []healthz.HealthChecker{healthz.NamedCheck("shutdown", s.checkShutdown)})...)
}

// delayed passes over checks that fail within the grace period after the start.
func (s *Server) delayed(checks []healthz.HealthChecker) []healthz.HealthChecker {
	grace := s.config.Settings.LivezGracePeriod.Duration
	if grace == 0 {
		return checks
	}
	end := s.config.Clock.Now().Add(grace)
	out := make([]healthz.HealthChecker, 0, len(checks))
	for _, c := range checks {
		out = append(out, healthz.NamedCheck(c.Name(), func(r *http.Request) error {
			if s.config.Clock.Now().After(end) {
				return c.Check(r)
			}
			return nil
		}))
	}
	return out
}

// checkStorages fails while a watch cache that was opened is not ready.
func (s *Server) checkStorages() error {
	for _, store := range s.dispatcher.Opened() {
		waiter, ok := store.Storage.Storage.(storage.Waiter)
		if !ok || !waiter.Cached() {
			continue
		}
		if err := store.Storage.Storage.ReadinessCheck(); err != nil {
			return fmt.Errorf("%s: %w", store.DefaultQualifiedResource, err)
		}
	}
	return nil
}

// logPatience is how long writing the log may take, as upstream.
const logPatience = 2 * time.Minute

// logCheck fails when the log is blocked. The library's own keeps a goroutine for
// ever; this one has one while the log is written.
type logCheck struct {
	mu    sync.Mutex
	since time.Time // of the flush under way, zero without
}

func (l *logCheck) check(*http.Request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.since.IsZero() {
		if time.Since(l.since) >= logPatience {
			return errors.New("logging blocked")
		}
		return nil
	}
	l.since = time.Now()
	go func() {
		klog.Flush()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.since = time.Time{}
	}()
	return nil
}

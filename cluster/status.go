package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/coracle-k8s/coracle/cluster/leader"
)

// StatusPath serves Status as JSON to clients authorized to get it.
const StatusPath = "/coracle/v1/status"

// Status describes the work that a server does for the whole cluster.
type Status struct {
	// Duties are the controllers and the scheduler.
	Duties []Duty `json:"duties"`
	// Controllers are those that run here.
	Controllers []Controller `json:"controllers"`
	// Idle is Cluster.Idle.
	Idle bool `json:"idle"`
}

// Duty is work that one server does for all that share an etcd.
type Duty = leader.Status

// Controller describes a controller that runs in this process, or the scheduler.
type Controller = leader.Controller

// ControllerError is an error that a controller logged.
type ControllerError = leader.ControllerError

// Controllers returns the controllers that run in this process now, the
// scheduler last: none if another server leads.
func (c *Cluster) Controllers() []Controller { return c.parts.duties.Controllers() }

// Idle reports whether no controller of this process, nor the scheduler, has
// anything to do before some delay is over or something changes. A change that
// was just made may not have reached them: call Idle again.
func (c *Cluster) Idle() bool { return c.parts.duties.Idle() }

// Status describes the work of this server.
func (c *Cluster) Status() Status { return c.parts.status() }

func (p *parts) status() Status {
	return Status{Duties: p.duties.Status(), Controllers: p.duties.Controllers(), Idle: p.duties.Idle()}
}

// state is how far a start has come, for handlers and checks of the API server: it
// answers before the rest of the cluster runs.
type state struct {
	// bootstrapped is set once the objects of every cluster are stored.
	bootstrapped atomic.Bool
	// parts are nil until they run.
	parts atomic.Pointer[parts]
}

var _ prometheus.Gatherer = (*state)(nil)

// healthChecks returns the checks of what upstream's API server runs and here
// the cluster does.
func (s *state) healthChecks(elected bool) map[string]func() error {
	bootstrapped := func() error {
		if !s.bootstrapped.Load() {
			return errors.New("not finished")
		}
		return nil
	}
	runs := func() error { return s.checkParts(context.Background()) }
	checks := map[string]func() error{
		"start-system-namespaces-controller": bootstrapped, "bootstrap-controller": bootstrapped, "start-cluster-authentication-info-controller": bootstrapped,
		"start-legacy-token-tracking-controller": runs, "start-service-ip-repair-controllers": runs,
	}
	if elected {
		checks["start-kube-apiserver-identity-lease-controller"] = runs
		checks["start-kube-apiserver-identity-lease-garbage-collector"] = runs
	}
	return checks
}

// checkParts returns why controllers and scheduler do not run: they share a manager.
func (s *state) checkParts(context.Context) error {
	p := s.parts.Load()
	if p == nil {
		return errors.New("not started yet")
	}
	select {
	case <-p.done:
		return errors.New("has ended")
	default:
		return nil
	}
}

func (s *state) serveStatus(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "GET the status", http.StatusMethodNotAllowed)
		return
	}
	p := s.parts.Load()
	if p == nil {
		http.Error(w, "the cluster is starting", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A failed write is the client's going away.
	_ = json.NewEncoder(w).Encode(p.status())
}

// Gather implements prometheus.Gatherer: the metrics are those of controllers and scheduler.
func (s *state) Gather() ([]*dto.MetricFamily, error) {
	if p := s.parts.Load(); p != nil {
		return p.duties.Gather()
	}
	return nil, nil
}

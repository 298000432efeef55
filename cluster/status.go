package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
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
type Duty struct {
	// Name is that of the Lease, kube-controller-manager or kube-scheduler.
	Name string `json:"name"`
	// Here is set if this server does it.
	Here bool `json:"here"`
	// Identity is this server's in the Lease, and Leader that of the holder it
	// last saw; both are empty without leader election.
	Identity string `json:"identity,omitempty"`
	Leader   string `json:"leader,omitempty"`
}

// Controller describes a controller that runs in this process, or the scheduler.
type Controller struct {
	// Name is upstream's, such as deployment-controller.
	Name string `json:"name"`
	// Ready objects wait for a worker, Delayed ones for their time, and Busy ones
	// are with a worker. An object may be busy and ready, or busy and delayed.
	Ready   int `json:"ready"`
	Delayed int `json:"delayed"`
	Busy    int `json:"busy"`
	// Adds is how often an object became ready, Retries how often one was delayed.
	Adds    uint64 `json:"adds"`
	Retries uint64 `json:"retries"`
	// Active is when a worker last took or finished an object; zero if never.
	Active time.Time `json:"active,omitzero"`
	// Error is the last one that it logged.
	Error *ControllerError `json:"error,omitempty"`
}

// ControllerError is an error that a controller logged.
type ControllerError struct {
	Time time.Time `json:"time"`
	// Object is NAMESPACE/NAME or NAME of what was worked on; empty if unknown.
	Object  string `json:"object,omitempty"`
	Message string `json:"message"`
}

// Controllers returns the controllers that run in this process now, the
// scheduler last: none if another server leads.
func (c *Cluster) Controllers() []Controller { return c.parts.controllers() }

// Idle reports whether no controller of this process, nor the scheduler, has
// anything to do before some delay is over or something changes. A change that
// was just made may not have reached them: call Idle again.
func (c *Cluster) Idle() bool { return c.parts.duties.Idle() }

// Status describes the work of this server.
func (c *Cluster) Status() Status { return c.parts.status() }

func (p *parts) status() Status {
	s := Status{Controllers: p.controllers(), Idle: p.duties.Idle()}
	for _, d := range p.duties.Status() {
		s.Duties = append(s.Duties, Duty(d))
	}
	return s
}

func (p *parts) controllers() []Controller {
	var list []Controller
	for _, c := range p.duties.Controllers() {
		list = append(list, Controller{
			Name: c.Name, Ready: c.Ready, Delayed: c.Delayed, Busy: c.Busy, Adds: c.Adds, Retries: c.Retries, Active: c.Active,
			Error: (*ControllerError)(c.Error),
		})
	}
	return list
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

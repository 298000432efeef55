package cluster

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/coracle-k8s/coracle/cluster/queue"
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

// Controller is a controller that runs in this process.
type Controller struct {
	// Name is upstream's, such as deployment-controller.
	Name string `json:"name"`
	// Numbers are its queue's.
	queue.Numbers
	// Error is the last one that it logged.
	Error *ControllerError `json:"error,omitempty"`

	own bool
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
func (c *Cluster) Controllers() []Controller {
	var list []Controller
	for _, d := range c.duties {
		if t := d.current.Load(); t != nil {
			list = append(list, t.states.list()...)
		}
	}
	return list
}

// Idle reports whether no controller of this process, nor the scheduler, has
// anything to do before some delay is over or something changes. A change that
// was just made may not have reached them: call Idle again.
func (c *Cluster) Idle() bool {
	for _, d := range c.duties {
		t := d.current.Load()
		if t == nil {
			continue
		}
		for _, one := range t.states.list() {
			if !one.Idle() {
				return false
			}
		}
	}
	return true
}

// Status describes the work of this server.
func (c *Cluster) Status() Status {
	s := Status{Controllers: c.Controllers(), Idle: c.Idle()}
	for _, d := range c.duties {
		duty := Duty{Name: d.lease, Here: d.current.Load() != nil}
		if d.election != nil {
			duty.Identity = d.election.lock.Identity()
			if leader := d.election.leader.Load(); leader != nil {
				duty.Leader = *leader
			}
		}
		s.Duties = append(s.Duties, duty)
	}
	return s
}

func (c *Cluster) serveStatus(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		http.Error(w, "GET the status", http.StatusMethodNotAllowed)
		return
	}
	if c.working.Load() == nil {
		http.Error(w, "the cluster is starting", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A failed write is the client's going away.
	_ = json.NewEncoder(w).Encode(c.Status())
}

// dutyMetrics are those of the terms that run here.
type dutyMetrics struct{ cluster *Cluster }

var _ prometheus.Gatherer = dutyMetrics{}

// Gather implements prometheus.Gatherer.
func (m dutyMetrics) Gather() ([]*dto.MetricFamily, error) {
	if m.cluster.working.Load() == nil {
		return nil, nil
	}
	var all prometheus.Gatherers
	for _, d := range m.cluster.duties {
		if t := d.current.Load(); t != nil {
			all = append(all, t.metrics)
		}
	}
	return all.Gather()
}

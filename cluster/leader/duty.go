package leader

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/coracle-k8s/coracle/apis/config/v1alpha1"
)

// Config holds what all duties of a server need. All fields are required.
type Config struct {
	// Manager runs the duties. Their parts use its client and its cache.
	Manager manager.Manager
	// Server connects to the API server, which has the Leases.
	Server *rest.Config
	// Election configures whether servers are elected, and how often a Lease is renewed.
	Election v1alpha1.LeaderElection
	Clock    clock.WithTicker
	Logger   logr.Logger
	// Metrics gets the metrics of the elections.
	Metrics prometheus.Registerer
	// QueueName returns the name of a controller's queue in metrics.
	QueueName func(controller string) string
	// StopTimeout bounds the wait for the parts of a duty that this server has lost.
	StopTimeout time.Duration
}

// Duty is work that one server of a cluster does for all.
type Duty struct {
	// Lease names the Lease of the server that does it.
	Lease string
	// Component is the source of the Lease's events.
	Component string
	// Begin adds the parts that do the work to a new term. It is called once by a server
	// alone, and each time this server was elected otherwise.
	Begin func(*Term) error
}

// Duties are those of one server, in the order in which they were added.
type Duties struct{ list []*duty }

var _ prometheus.Gatherer = (*Duties)(nil)

type duty struct {
	Duty
	// current is the term that runs here, if any.
	current atomic.Pointer[Term]
	// election elects the server that does it; nil without other servers.
	election *candidate
}

// Add makes the manager run the duties: from its start on, or whenever this server is elected.
func Add(config Config, duties ...Duty) (*Duties, error) {
	all := &Duties{}
	for _, one := range duties {
		d := &duty{Duty: one}
		part, err := config.runnable(d)
		if err != nil {
			return nil, err
		}
		if err := config.Manager.Add(part); err != nil {
			return nil, fmt.Errorf("adding the duty of %s: %w", d.Lease, err)
		}
		all.list = append(all.list, d)
	}
	return all, nil
}

func (c Config) runnable(d *duty) (manager.Runnable, error) {
	if *c.Election.LeaderElect {
		return newCandidate(c, d)
	}
	t, err := newTerm(c, d)
	if err != nil {
		return nil, err
	}
	d.current.Store(t)
	return manager.RunnableFunc(t.run), nil
}

// Status is the state of a duty.
type Status struct {
	// Name is that of the Lease, kube-controller-manager or kube-scheduler.
	Name string
	// Here is set if this server does it.
	Here bool
	// Identity is this server's in the Lease, and Leader that of the holder it
	// last saw; both are empty without leader election.
	Identity string
	Leader   string
}

// Status describes each duty.
func (d *Duties) Status() []Status {
	var all []Status
	for _, one := range d.list {
		s := Status{Name: one.Lease, Here: one.current.Load() != nil}
		if one.election != nil {
			s.Identity = one.election.lock.Identity()
			if leader := one.election.leader.Load(); leader != nil {
				s.Leader = *leader
			}
		}
		all = append(all, s)
	}
	return all
}

// Controllers returns the controllers that run in this process now, ordered by duty and name:
// none if other servers lead.
func (d *Duties) Controllers() []Controller {
	var list []Controller
	for _, t := range d.terms() {
		list = append(list, t.states.list()...)
	}
	return list
}

// Idle reports whether no controller that runs here has work that is due.
func (d *Duties) Idle() bool {
	for _, one := range d.Controllers() {
		if !one.Idle() {
			return false
		}
	}
	return true
}

// Gather implements prometheus.Gatherer: the metrics are those of the terms that run here.
func (d *Duties) Gather() ([]*dto.MetricFamily, error) {
	var all prometheus.Gatherers
	for _, t := range d.terms() {
		all = append(all, t.metrics)
	}
	return all.Gather()
}

func (d *Duties) terms() []*Term {
	var all []*Term
	for _, one := range d.list {
		if t := one.current.Load(); t != nil {
			all = append(all, t)
		}
	}
	return all
}

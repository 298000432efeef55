// Package connections bounds what the clients of a server take of the process's
// file descriptors, so that etcd finds one for its next file whatever they do.
//
// Invariants, between two calls of a Pool:
//
//  1. No more connections are open than Limits.Total.
//  2. No more of them are unauthenticated than Limits.Unauthenticated, nor than
//     Limits.PerAddress from one address.
//  3. A connection that had an authenticated request is closed only while it has
//     none, and only when no unauthenticated one is left.
//
// A new connection is accepted as long as there is one to close for it: the oldest of the
// address that has the most unauthenticated ones. So a flood closes its own connections, and
// a client that shows credentials within the time that a flood needs to fill the pool stays.
//
// The API of this package is not stable: see docs/api.md.
package connections

import (
	"container/list"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"k8s.io/utils/clock"
)

// reason is the reason for which a Pool closed a connection.
type reason string

const (
	perAddress      reason = "per_address"
	unauthenticated reason = "unauthenticated"
	idle            reason = "idle"
	refused         reason = "refused"
)

// reasons are all of them, for metrics.
var reasons = [...]reason{perAddress, unauthenticated, idle, refused}

// reportEvery is the shortest time between two reports of closed connections.
const reportEvery = time.Minute

// Pool holds the open connections of the listeners of one server.
type Pool struct {
	limits Limits
	clock  clock.PassiveClock
	report func(error)

	mu sync.Mutex
	// open counts all connections, waiting the unauthenticated ones.
	open, waiting int
	// sources holds the unauthenticated connections of an address, oldest first.
	sources map[netip.Addr]*list.List
	// idle holds authenticated connections without a request, longest idle first.
	idle     *list.List
	closed   map[reason]uint64
	reported time.Time
	// unreported counts what was closed since reported.
	unreported uint64
}

// New returns an empty Pool. report is called now and then while connections
// are closed.
func New(l Limits, c clock.PassiveClock, report func(error)) *Pool {
	return &Pool{limits: l, clock: c, report: report, sources: map[netip.Addr]*list.List{}, idle: list.New(), closed: map[reason]uint64{}}
}

// Listener returns a listener whose connections are of the pool.
func (p *Pool) Listener(l net.Listener) net.Listener { return &listener{Listener: l, pool: p} }

// Wrap returns a function that listens as listen does, with connections of the pool.
func (p *Pool) Wrap(listen func(network, address string) (net.Listener, error)) func(network, address string) (net.Listener, error) {
	return func(network, address string) (net.Listener, error) {
		l, err := listen(network, address)
		if err != nil {
			return nil, err
		}
		return p.Listener(l), nil
	}
}

type listener struct {
	net.Listener
	pool *Pool
}

// Accept implements net.Listener. It closes connections that the limits do not
// allow and goes on with the next.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			// The rest of the process has taken all descriptors: an unauthenticated
			// client's is better used for the next one. net/http waits a while and
			// tries again if there is none.
			if outOfDescriptors(err) && l.pool.shed() {
				continue
			}
			return nil, err
		}
		if c := l.pool.admit(raw, descriptor(raw)); c != nil {
			return c, nil
		}
	}
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// descriptor returns the number of a connection's file descriptor, 0 if it has none.
func descriptor(c net.Conn) int {
	var n int
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			// An error means that the connection is closed: then it has none.
			_ = raw.Control(func(fd uintptr) { n = int(fd) })
		}
	}
	return n
}

// admit makes room for raw and returns its Conn, or closes it and returns nil.
func (p *Pool) admit(raw net.Conn, descriptor int) net.Conn {
	c := &conn{Conn: raw, pool: p, source: source(raw.RemoteAddr())}
	p.mu.Lock()
	victim, why := p.victim(c.source)
	full := p.limits.Highest > 0 && descriptor > p.limits.Highest
	if full && victim == nil {
		victim, why = p.dispensable()
	}
	if victim != nil {
		p.drop(victim)
		p.count(why)
	}
	if full || victim == nil && p.open >= p.limits.Total {
		p.count(refused)
		c = nil
	} else {
		p.open++
		p.await(c)
	}
	report := p.due()
	p.mu.Unlock()
	if victim != nil {
		victim.Conn.Close()
	}
	if report != nil {
		p.report(report)
	}
	if c == nil {
		raw.Close()
		return nil
	}
	return c
}

// victim returns the connection that a new one of from takes the place of, nil
// if there is room or no connection to spare.
func (p *Pool) victim(from netip.Addr) (*conn, reason) {
	if own := p.sources[from]; own != nil && !from.IsLoopback() && own.Len() >= p.limits.PerAddress {
		return own.Front().Value.(*conn), perAddress
	}
	if p.waiting >= p.limits.Unauthenticated || p.open >= p.limits.Total {
		return p.dispensable()
	}
	return nil, ""
}

// dispensable returns the connection that is the least loss: the oldest of the
// address with the most unauthenticated ones, or else the longest idle.
func (p *Pool) dispensable() (*conn, reason) {
	var most *list.List
	for _, s := range p.sources {
		if most == nil || s.Len() > most.Len() || s.Len() == most.Len() && s.Front().Value.(*conn).accepted.Before(most.Front().Value.(*conn).accepted) {
			most = s
		}
	}
	if most != nil {
		return most.Front().Value.(*conn), unauthenticated
	}
	if first := p.idle.Front(); first != nil {
		return first.Value.(*conn), idle
	}
	return nil, ""
}

// shed closes a connection for the good of the process, and reports whether
// there was one.
func (p *Pool) shed() bool {
	p.mu.Lock()
	victim, why := p.dispensable()
	if victim != nil {
		p.drop(victim)
		p.count(why)
	}
	report := p.due()
	p.mu.Unlock()
	if report != nil {
		p.report(report)
	}
	if victim == nil {
		return false
	}
	victim.Conn.Close()
	return true
}

// await adds c to the unauthenticated ones.
func (p *Pool) await(c *conn) {
	of := p.sources[c.source]
	if of == nil {
		of = list.New()
		p.sources[c.source] = of
	}
	c.accepted = p.clock.Now()
	c.at = of.PushBack(c)
	c.state = waiting
	p.waiting++
}

// leave takes c from the list that it is on.
func (p *Pool) leave(c *conn) {
	switch c.state {
	case waiting:
		of := p.sources[c.source]
		of.Remove(c.at)
		if of.Len() == 0 {
			delete(p.sources, c.source)
		}
		p.waiting--
	case spare:
		p.idle.Remove(c.at)
	}
	c.at = nil
}

// drop forgets c. It may be called more than once.
func (p *Pool) drop(c *conn) {
	if c.state == gone {
		return
	}
	p.leave(c)
	c.state = gone
	p.open--
}

func (p *Pool) count(why reason) {
	p.closed[why]++
	p.unreported++
}

// due returns what is to be reported now, nil if nothing is.
func (p *Pool) due() error {
	now := p.clock.Now()
	if p.unreported == 0 || !p.reported.IsZero() && now.Sub(p.reported) < reportEvery {
		return nil
	}
	n := p.unreported
	p.reported, p.unreported = now, 0
	return fmt.Errorf("closed %d connections to make room: %d are open of %d that the limit of open files allows, %d unauthenticated of %d",
		n, p.open, p.limits.Total, p.waiting, p.limits.Unauthenticated)
}

package connections

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	clocktesting "k8s.io/utils/clock/testing"
)

// fake is a connection from an address.
type fake struct {
	net.Conn
	from   string
	closed bool
}

func (f *fake) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.from), 1))
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

// opened is a connection of a pool and its state in the test.
type opened struct {
	*fake
	conn                net.Conn
	authenticated, idle bool
}

func (o *opened) authenticate() {
	Authenticated(context.WithValue(context.Background(), key{}, of(o.conn)))
	o.authenticated = true
}

func (o *opened) become(s http.ConnState) {
	observe(o.conn, s)
	o.idle = s == http.StateIdle
}

func newPool(l Limits) *Pool {
	return New(l, clocktesting.NewFakeClock(time.Unix(0, 0)), func(error) {})
}

func (p *Pool) accept(from string) *opened {
	f := &fake{from: from}
	return &opened{fake: f, conn: p.admit(f, 0)}
}

func TestLimitsOf(t *testing.T) {
	for _, descriptors := range []int{128, 256, 1024, 4096, 20_000, unlimited} {
		l := limitsOf(descriptors)
		if taken := 2*l.Total + reserve; taken > descriptors {
			t.Errorf("%d descriptors: %d connections with another descriptor each leave none for etcd", descriptors, l.Total)
		}
		if l.PerAddress < 2 || l.PerAddress >= l.Unauthenticated || l.Unauthenticated > l.Total/2 || l.Unauthenticated > maxUnauthenticated {
			t.Errorf("%d descriptors: %+v", descriptors, l)
		}
		if o := l.Open(); l.Total+o.Total+reserve > descriptors || o.PerAddress < 2 {
			t.Errorf("%d descriptors: %+v and %+v", descriptors, l, o)
		}
	}
}

// TestInvariants does at random what clients and the HTTP server do, and looks
// at all connections after each step.
func TestInvariants(t *testing.T) {
	const steps = 20_000
	random := rand.New(rand.NewPCG(1, 2))
	limits := Limits{Total: 40, Unauthenticated: 20, PerAddress: 6}
	p := newPool(limits)
	var all []*opened
	for step := range steps {
		before := slices.Clone(all)
		switch n := random.IntN(10); {
		case n < 5 || len(all) == 0:
			from := "127.0.0.1"
			if n > 0 {
				from = fmt.Sprintf("10.0.0.%d", random.IntN(8))
			}
			if o := p.accept(from); o.conn != nil {
				all = append(all, o)
			} else if !o.closed {
				t.Fatalf("step %d: a connection is neither taken nor closed", step)
			}
		case n < 6:
			all[random.IntN(len(all))].conn.Close()
		case n < 7:
			all[random.IntN(len(all))].authenticate()
		default:
			if o := all[random.IntN(len(all))]; o.authenticated {
				o.become([]http.ConnState{http.StateIdle, http.StateActive}[random.IntN(2)])
			}
		}
		checkVictims(t, step, before)
		all = slices.DeleteFunc(all, func(o *opened) bool { return o.closed })
		check(t, step, p, limits, all)
	}
	for _, o := range all {
		o.conn.Close()
	}
	if p.open != 0 || p.waiting != 0 || len(p.sources) != 0 || p.idle.Len() != 0 {
		t.Errorf("nothing is open: %+v", p)
	}
}

// checkVictims compares what is open with invariant 3; connections that a test
// closes itself are let pass, as it closes one at a time.
func checkVictims(t *testing.T, step int, before []*opened) {
	t.Helper()
	var busy, idle, waiting int
	for _, o := range before {
		switch {
		case o.closed && o.authenticated && !o.idle:
			busy++
		case o.closed && o.authenticated:
			idle++
		case !o.closed && !o.authenticated:
			waiting++
		}
	}
	if busy+idle > 1 {
		t.Fatalf("step %d: %d authenticated connections were closed, %d of them with a request; %d unauthenticated ones are open", step, busy+idle, busy, waiting)
	}
}

func check(t *testing.T, step int, p *Pool, l Limits, all []*opened) {
	t.Helper()
	waiting := map[string]int{}
	sum := 0
	for _, o := range all {
		if !o.authenticated {
			waiting[o.from]++
			sum++
		}
	}
	for from, n := range waiting {
		if n > l.PerAddress && from != "127.0.0.1" {
			t.Fatalf("step %d: %d unauthenticated connections from %s", step, n, from)
		}
	}
	if len(all) > l.Total || sum > l.Unauthenticated || p.open != len(all) || p.waiting != sum {
		t.Fatalf("step %d: open %d, the pool says %d; unauthenticated %d, the pool says %d", step, len(all), p.open, sum, p.waiting)
	}
}

func TestFloodClosesItsOwn(t *testing.T) {
	p := newPool(Limits{Total: 40, Unauthenticated: 20, PerAddress: 6})
	user, proxied := p.accept("10.0.0.1"), p.accept("127.0.0.1")
	for i := range 1000 {
		for _, from := range []string{"10.0.0.2", "10.0.0.3", "fd00::1:0:0:0:" + fmt.Sprintf("%x", i)} {
			if o := p.accept(from); o.conn == nil {
				t.Fatalf("connection %d from %s was refused", i, from)
			}
		}
	}
	if user.closed || proxied.closed {
		t.Error("the flood closed a connection of an address that has one")
	}
	if n := p.sources[netip.MustParseAddr("fd00:0:0:1::")]; n == nil || n.Len() > 6 {
		t.Errorf("the addresses of a /64 are one address: %v", n)
	}
	for range 1000 {
		p.accept("127.0.0.1")
	}
	if user.closed || !proxied.closed {
		t.Error("a flood from loopback has no limit of its own, and closes its own oldest")
	}
}

func TestAuthenticatedGoLast(t *testing.T) {
	p := newPool(Limits{Total: 4, Unauthenticated: 2, PerAddress: 2})
	var known []*opened
	for range 4 {
		o := p.accept("10.0.0.1")
		o.authenticate()
		known = append(known, o)
	}
	if o := p.accept("10.0.0.2"); o.conn != nil || !o.closed {
		t.Error("all have a request: a new one has no place")
	}
	known[2].become(http.StateIdle)
	known[1].become(http.StateIdle)
	known[3].become(http.StateIdle)
	known[2].become(http.StateActive)
	if o := p.accept("10.0.0.2"); o.conn == nil || !known[1].closed {
		t.Error("the longest idle has to go")
	}
	if o := p.accept("10.0.0.2"); o.conn == nil || known[3].closed {
		t.Error("an unauthenticated one has to go before an idle one")
	}
	if err := testutil.CollectAndCompare(p, strings.NewReader(`
# HELP coracle_connections Open connections of the server, by whether a request on them was authenticated.
# TYPE coracle_connections gauge
coracle_connections{authenticated="false"} 1
coracle_connections{authenticated="true"} 3
# HELP coracle_connections_closed_total Connections that the server closed to keep file descriptors, by the limit that asked for it: per_address, unauthenticated, idle, refused.
# TYPE coracle_connections_closed_total counter
coracle_connections_closed_total{reason="idle"} 1
coracle_connections_closed_total{reason="per_address"} 0
coracle_connections_closed_total{reason="refused"} 1
coracle_connections_closed_total{reason="unauthenticated"} 1
`)); err != nil {
		t.Error(err)
	}
}

// TestOthersUseTheDescriptors has the rest of the process take what the limits
// count on.
func TestOthersUseTheDescriptors(t *testing.T) {
	p := newPool(Limits{Total: 40, Unauthenticated: 20, PerAddress: 6, Highest: 100})
	first := p.accept("10.0.0.1")
	late := &fake{from: "10.0.0.2"}
	if p.admit(late, 101) != nil || !late.closed || !first.closed {
		t.Error("a connection with a high descriptor was kept, or none was closed for the next")
	}
	again := p.accept("10.0.0.1")
	l := p.Listener(&exhausted{conns: []net.Conn{nil, &fake{from: "10.0.0.2"}, nil, nil}})
	if c, err := l.Accept(); err != nil || c == nil || !again.closed {
		t.Errorf("no connection was closed for the next: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("with nothing to close, the server has to wait: %v", err)
	}
}

// exhausted is a listener that finds no descriptor where conns has nil.
type exhausted struct {
	net.Listener
	conns []net.Conn
}

func (e *exhausted) Accept() (net.Conn, error) {
	c := e.conns[0]
	e.conns = e.conns[1:]
	if c == nil {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return c, nil
}

func TestReportsNowAndThen(t *testing.T) {
	now := clocktesting.NewFakeClock(time.Unix(0, 0))
	var reports []string
	p := New(Limits{Total: 4, Unauthenticated: 2, PerAddress: 1}, now, func(err error) { reports = append(reports, err.Error()) })
	for range 3 {
		for range 100 {
			p.accept("10.0.0.1")
		}
		now.Step(reportEvery)
	}
	if want := "closed 100 connections to make room: 1 are open of 4 that the limit of open files allows, 1 unauthenticated of 2"; len(reports) != 3 || reports[2] != want {
		t.Errorf("reports: %q", reports)
	}
}

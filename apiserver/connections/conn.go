package connections

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// state names the list of a Pool that a connection is in.
type state int

const (
	// waiting connections have had no authenticated request.
	waiting state = iota
	// busy ones have had one, and have a request now.
	busy
	// spare ones have had one, and have none now.
	spare
	// gone ones are closed.
	gone
)

// conn is a connection of a Pool; all but Conn is under the Pool's lock.
type conn struct {
	net.Conn
	pool     *Pool
	source   netip.Addr
	accepted time.Time
	state    state
	at       *list.Element // nil while busy or gone
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.pool.mu.Lock()
	c.pool.drop(c)
	c.pool.mu.Unlock()
	return c.Conn.Close()
}

// source returns the address that a connection counts for.
func source(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is4() || ip.IsLoopback() {
		return ip
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return ip
	}
	return prefix.Addr()
}

// of returns the Pool's connection below c, nil if there is none.
func of(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// key is that of a request's connection in its context.
type key struct{}

// Attach makes s, which serves listeners of pools, report the state of its
// connections, and its requests know theirs.
func Attach(s *http.Server) {
	s.ConnState = observe
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, key{}, of(c)) }
}

// observe keeps authenticated connections without a request apart.
func observe(raw net.Conn, s http.ConnState) {
	c := of(raw)
	if c == nil {
		return
	}
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	switch {
	case s == http.StateIdle && c.state == busy:
		c.state, c.at = spare, c.pool.idle.PushBack(c)
	case s == http.StateActive && c.state == spare:
		c.pool.leave(c)
		c.state = busy
	}
}

// Authenticated marks the connection of a request: it is no longer subject to
// the limits of unauthenticated ones.
func Authenticated(ctx context.Context) {
	c, _ := ctx.Value(key{}).(*conn)
	if c == nil {
		return
	}
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if c.state == waiting {
		c.pool.leave(c)
		c.state = busy
	}
}

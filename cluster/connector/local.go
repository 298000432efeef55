package connector

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// localAgent serves an agent's API to this process.
type localAgent struct {
	server    *http.Server
	listener  *pairListener
	transport *http.Transport
	done      chan struct{}
}

func serve(h http.Handler) *localAgent {
	l := &pairListener{accepted: make(chan net.Conn), closed: make(chan struct{})}
	a := &localAgent{listener: l, server: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}, done: make(chan struct{})}
	a.transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }, DisableCompression: true}
	go func() {
		defer close(a.done)
		// Serve returns when close closes the listener; that error needs no report.
		_ = a.server.Serve(l)
	}()
	return a
}

func (a *localAgent) close() {
	a.server.Close()
	a.listener.Close()
	a.transport.CloseIdleConnections()
	<-a.done
}

// pairListener accepts the other ends of the connections that dial makes.
type pairListener struct {
	accepted chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

func (l *pairListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := pair()
	var err error
	select {
	case l.accepted <- far:
		return near, nil
	case <-l.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	near.Close()
	far.Close()
	return nil, err
}

// Accept implements net.Listener.
func (l *pairListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *pairListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (*pairListener) Addr() net.Addr { return &net.UnixAddr{Name: "agent", Net: "pipe"} }

// pair returns the two ends of a connection in memory. Between them each direction has a buffer, as
// a socket has: both ends may write before either reads.
func pair() (near, far net.Conn) {
	near, a := net.Pipe()
	b, far := net.Pipe()
	go relay(a, b)
	go relay(b, a)
	return near, far
}

// relay copies until one of the ends is closed, and then closes both.
func relay(to, from net.Conn) {
	_, _ = io.Copy(to, from) // the ends report their own errors
	to.Close()
	from.Close()
}

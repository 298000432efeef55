package connector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
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
	a := &localAgent{listener: l, server: &http.Server{Handler: h}, done: make(chan struct{})}
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

// pairListener accepts the other ends of the connections that dial makes: pairs of sockets
// that only this process has.
type pairListener struct {
	accepted chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

func (l *pairListener) dial(ctx context.Context) (net.Conn, error) {
	near, far, err := pair()
	if err != nil {
		return nil, err
	}
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
func (*pairListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// pair returns the two ends of a connection.
func pair() (near, far net.Conn, err error) {
	syscall.ForkLock.RLock() // programs that this process starts must not get them
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("making a pair of sockets: %w", err)
	}
	near, nearErr := conn(fds[0])
	far, farErr := conn(fds[1])
	if err := errors.Join(nearErr, farErr); err != nil {
		for _, c := range []net.Conn{near, far} {
			if c != nil {
				c.Close()
			}
		}
		return nil, nil, err
	}
	return near, far, nil
}

// conn returns the connection of a socket, which it takes over.
func conn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "agent")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("using a pair of sockets: %w", err)
	}
	return c, nil
}

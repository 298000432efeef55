package controllers

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd runs an etcd with a socket, and returns its address.
func startEtcd(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync = t.TempDir(), "panic", true
	config.LogOutputs = []string{"/dev/null"}
	local := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenClientUrls, config.ListenPeerUrls = local, local
	e, err := embed.StartEtcd(config)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(e.Close)
	g.Eventually(e.Server.ReadyNotify()).WithTimeout(time.Minute).Should(BeClosed(), "etcd is ready")
	return e.Clients[0].Addr().String()
}

// wire leads to an address, until it is cut.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	whole bool
	mute  bool
	conns map[net.Conn]bool
	ended sync.WaitGroup
}

func startWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, to: to, whole: true, conns: map[net.Conn]bool{}}
	w.ended.Go(w.accept)
	t.Cleanup(func() {
		l.Close()
		w.set(false)
		w.ended.Wait()
	})
	return w
}

func (w *wire) address() string { return w.listener.Addr().String() }

// set cuts the wire, or mends it.
func (w *wire) set(whole bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = whole
	if !whole {
		for c := range w.conns {
			c.Close()
		}
	}
}

// silence makes the wire swallow everything, as a network that drops packets does.
func (w *wire) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = true
}

// sink is an end of the wire.
type sink struct {
	net.Conn
	wire *wire
}

// Write implements io.Writer.
func (s sink) Write(p []byte) (int, error) {
	s.wire.mu.Lock()
	mute := s.wire.mute
	s.wire.mu.Unlock()
	if mute {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

// keep reports whether the wire is whole; the connection is closed when it is cut.
func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[c] = w.whole
	return w.whole
}

func (w *wire) accept() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.ended.Go(func() { w.lead(from) })
	}
}

func (w *wire) lead(from net.Conn) {
	defer from.Close()
	if !w.keep(from) {
		return
	}
	to, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer to.Close()
	if !w.keep(to) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
		both.Go(func() {
			_, _ = io.Copy(sink{way[0], w}, way[1])
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, from)
	delete(w.conns, to)
}

// Package etcd runs one etcd member inside this process, without a socket, or
// connects to one that runs elsewhere.
//
// The API of this package is not stable: see docs/api.md.
package etcd

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/feature"
)

// Config holds what a member needs.
type Config struct {
	// Endpoints are URLs of an etcd that runs elsewhere; with any, no member
	// runs here and of the other fields only TLS counts.
	Endpoints []string
	// TLS is for https endpoints; nil trusts the system's authorities.
	TLS *tls.Config
	// Dir holds the member's log and database; it is created if it is missing.
	Dir string
	// UnsafeNoFsync acknowledges writes that a crash of the machine may lose.
	UnsafeNoFsync bool
	// Errors receives what etcd logs at error level and above; nil discards it.
	Errors func(msg string)
}

// Server is a running member, or the connection to one elsewhere.
type Server struct {
	// Client talks to the member, by function calls if it is here; Stop closes it.
	Client *kubernetes.Client
	etcd   *embed.Etcd // nil if it runs elsewhere
	// watches are the clients'.
	watches watches
	failure failure
	stop    sync.Once
}

// readyTimeout bounds the replay of a large log on a slow disk.
const readyTimeout = 5 * time.Minute

// Start runs a single-member etcd, or connects to one elsewhere, and returns
// when it can serve.
//
// The caller must hold the data directory for itself: a second member on the
// same directory waits for bbolt's file lock.
func Start(ctx context.Context, c Config) (*Server, error) {
	if len(c.Endpoints) > 0 {
		return connect(ctx, c)
	}
	s := &Server{failure: newFailure(c.Dir)}
	cfg := config(c, &s.failure)
	var err error
	if s.etcd, err = s.failure.begin(cfg); err != nil {
		return nil, fmt.Errorf("starting etcd in %s: %w", c.Dir, err)
	}
	go s.failure.forward(s.etcd.Err())
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := s.elect(ctx); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting etcd in %s: %w", c.Dir, err)
	}
	s.Client = s.NewClient()
	// This client has no endpoints, which is where the checker looks for what
	// the server can do; without it every consistent read would go to disk.
	feature.DefaultFeatureSupportChecker.CheckClient(s.Client.Ctx(), named{s.Client.Client}, storage.RequestWatchProgress)
	return s, nil
}

// NewClient makes another client, which the caller closes.
//
// All watches of one client share a stream, and the member sends progress on a
// stream only while all its watches are up to date. So a caller that waits for
// progress, as a watch cache does, needs a client for itself.
func (s *Server) NewClient() *kubernetes.Client {
	var c *clientv3.Client
	if s.etcd != nil {
		c = v3client.New(s.etcd.Server)
		c.KV = s.failure.kv(s.etcd.Server, c)
		c.Watcher = s.watches.watcher(s.etcd.Server, c)
	} else {
		c = another(s.Client.Client)
	}
	k := &kubernetes.Client{Client: c}
	k.Kubernetes = k
	return k
}

func config(c Config, f *failure) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "coracle"
	cfg.Dir = filepath.Clean(c.Dir)
	cfg.UnsafeNoFsync = c.UnsafeNoFsync
	cfg.QuotaBackendBytes = 8 << 30
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logger(c.Errors, f))
	// No listeners: the member's only client is in this process. The
	// addresses are names that etcd wants to have; nothing is bound.
	peer := url.URL{Scheme: "http", Host: "127.0.0.1:2380"}
	cfg.AdvertisePeerUrls = []url.URL{peer}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2379"}}
	cfg.ListenPeerUrls, cfg.ListenClientUrls, cfg.ListenMetricsUrls = nil, nil, nil
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	return cfg
}

// elect makes the member its own leader now, instead of after an election
// timeout: there is no other candidate.
func (s *Server) elect(ctx context.Context) error {
	id := uint64(s.etcd.Server.MemberID())
	retry := time.NewTicker(500 * time.Microsecond)
	defer retry.Stop()
	for s.etcd.Server.Leader() == 0 {
		// An error means that raft is not up yet. Raft refuses while changes of
		// the membership wait to be applied. The next tick tries again.
		_ = s.etcd.Server.Process(ctx, &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), To: &id, From: &id})
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the member to lead: %w", ctx.Err())
		case <-s.failure.happened:
			return s.failure.err
		case <-retry.C:
		}
	}
	select {
	case <-s.etcd.Server.ReadyNotify():
		return nil
	case <-s.failure.happened:
		return s.failure.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the member to be ready: %w", ctx.Err())
	}
}

// Err yields the error that stopped the member by itself; one elsewhere has none.
func (s *Server) Err() <-chan error { return s.failure.errs }

// failedPatience is how long the end of a member that failed may take: what it
// waits for may be a goroutine that has ended.
const failedPatience = time.Second

// Stop closes the member; what was acknowledged is on disk. Others'
// clients must have been closed. It may be called more than once.
func (s *Server) Stop() {
	s.stop.Do(func() {
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			s.close()
		}()
		select {
		case <-closed:
			return
		case <-s.failure.happened:
		}
		timer := time.NewTimer(failedPatience)
		defer timer.Stop()
		select {
		case <-closed:
		case <-timer.C:
		}
	})
}

func (s *Server) close() {
	if s.Client != nil {
		s.Client.Close()
	}
	s.watches.open.Wait()
	if s.etcd != nil {
		s.etcd.Close()
	}
}

func logger(report func(string), f *failure) *zap.Logger {
	if report == nil {
		report = func(string) {}
	}
	core := zapcore.NewNopCore()
	return zap.New(core, zap.WrapCore(func(zapcore.Core) zapcore.Core { return errorCore{Core: core, report: report} }),
		zap.WithFatalHook(f), zap.WithPanicHook(f))
}

// errorCore reports entries at error level as one line each.
type errorCore struct {
	zapcore.Core
	report func(string)
}

func (c errorCore) Enabled(l zapcore.Level) bool { return l >= zapcore.ErrorLevel }

func (c errorCore) With([]zapcore.Field) zapcore.Core { return c }

func (c errorCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c errorCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.report("etcd: " + failed(e.Message, fields).Error())
	return nil
}

// named gives the in-process client the one endpoint the feature checker needs.
type named struct{ *clientv3.Client }

func (named) Endpoints() []string { return []string{"in-process"} }

package etcd

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/raft/v3"
	"go.uber.org/zap/zapcore"
)

// failure is the end of a member that cannot go on: with a full disk, a broken log.
// etcd means to end the process there. Here the goroutine that found the failure
// ends instead, with everything that waits for it, and Err yields the first
// failure: the caller that runs the member decides what becomes of the process.
type failure struct {
	where string
	once  *sync.Once
	errs  chan error
	// happened is closed after err is set.
	happened chan struct{}
	err      error
}

func newFailure(where string) failure {
	return failure{where: where, once: &sync.Once{}, errs: make(chan error, 1), happened: make(chan struct{})}
}

func (f *failure) report(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.happened)
		f.errs <- fmt.Errorf("etcd in %s: %w", f.where, err)
	})
}

// OnWrite implements zapcore.CheckWriteHook.
func (f *failure) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	if alreadyApplied(e.Message) {
		return
	}
	f.report(failed(e.Message, fields))
	runtime.Goexit()
}

// alreadyApplied reports whether raft panics because the entries that it looks
// through before an election have left memory. It looks for changes of the
// membership not yet applied. While a member replays its log, etcd drops entries
// as soon as it has applied them, a moment before it reports that to raft. The
// memberships of those are in force, so raft goes on as if it had found none.
func alreadyApplied(message string) bool {
	return strings.HasPrefix(message, "error scanning unapplied entries") &&
		strings.HasSuffix(message, raft.ErrCompacted.Error())
}

// forward reports the errors with which the member ends.
func (f *failure) forward(errs <-chan error) {
	for err := range errs {
		if err != nil {
			f.report(err)
		}
	}
}

// begin starts a member. Where a goroutine of its own fails, it is left waiting
// for that for ever.
func (f *failure) begin(cfg *embed.Config) (*embed.Etcd, error) {
	type result struct {
		etcd *embed.Etcd
		err  error
	}
	started := make(chan result, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				started <- result{err: oneLine(fmt.Sprint(p))}
			}
		}()
		e, err := embed.StartEtcd(cfg)
		started <- result{e, err}
	}()
	select {
	case r := <-started:
		return r.etcd, r.err
	case <-f.happened:
		return nil, f.err
	}
}

// failed returns what etcd logged as an error.
func failed(message string, fields []zapcore.Field) error {
	var causes []error
	for _, field := range fields {
		switch v := field.Interface.(type) {
		case error:
			causes = append(causes, v)
		default:
			if field.Key == "panic" {
				causes = append(causes, fmt.Errorf("%v", v))
			}
		}
	}
	if len(causes) == 0 {
		return oneLine(message)
	}
	return fmt.Errorf("%w: %w", oneLine(message), errors.Join(causes...))
}

func oneLine(text string) error { return errors.New(strings.Join(strings.Fields(text), " ")) }

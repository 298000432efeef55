package leader

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/cluster/queue"
)

// Controller describes a controller that runs in this process, or the scheduler.
type Controller struct {
	// Name is upstream's, such as deployment-controller.
	Name string
	// Numbers are its queue's.
	queue.Numbers
	// Error is the last one that it logged.
	Error *ControllerError

	// own is set if it has metrics of its own for its queue.
	own bool
}

// ControllerError is an error that a controller logged.
type ControllerError struct {
	Time time.Time
	// Object is NAMESPACE/NAME or NAME of what was worked on; empty if unknown.
	Object  string
	Message string
}

// states has the state of each controller of one term, and collects the metrics of their queues.
type states struct {
	clock     clock.WithTicker
	queueName func(controller string) string

	mu     sync.Mutex
	byName map[string]*controllerState
}

type controllerState struct {
	numbers func() queue.Numbers
	own     bool
	failure *ControllerError
}

func newStates(clk clock.WithTicker, queueName func(string) string) *states {
	return &states{clock: clk, queueName: queueName, byName: map[string]*controllerState{}}
}

func (s *states) of(name string) *controllerState {
	state := s.byName[name]
	if state == nil {
		state = &controllerState{}
		s.byName[name] = state
	}
	return state
}

func newQueue[T comparable](s *states) func(string, workqueue.TypedRateLimiter[T]) workqueue.TypedRateLimitingInterface[T] {
	return func(name string, limiter workqueue.TypedRateLimiter[T]) workqueue.TypedRateLimitingInterface[T] {
		q := queue.New(limiter, s.clock)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.of(name).numbers = q.Numbers
		return q
	}
}

func (s *states) report(name string, numbers func() queue.Numbers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.of(name)
	state.numbers, state.own = numbers, true
}

// failed records a controller's error.
func (s *states) failed(controller, object, message string) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(controller).failure = &ControllerError{Time: now, Object: object, Message: message}
}

// list returns the controllers in alphabetical order.
func (s *states) list() []Controller {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Controller, 0, len(s.byName))
	for name, state := range s.byName {
		c := Controller{Name: name, Error: state.failure, own: state.own}
		if state.numbers != nil {
			c.Numbers = state.numbers()
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Controller) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// logger returns l, with controllers' errors recorded. Their loggers have the
// keys that controller-runtime documents: controller, namespace and name.
func (s *states) logger(l logr.Logger) logr.Logger {
	inner := l.GetSink()
	if deep, ok := inner.(logr.CallDepthLogSink); ok {
		inner = deep.WithCallDepth(1)
	}
	return l.WithSink(errorSink{inner: inner, states: s})
}

// errorSink records the errors that controllers log, and passes everything on to inner,
// which is nil if there is no logger.
type errorSink struct {
	inner                       logr.LogSink
	states                      *states
	controller, namespace, name string
}

// Init implements logr.LogSink. The inner sink was initialized by its own logger.
func (errorSink) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink.
func (e errorSink) Enabled(level int) bool { return e.inner != nil && e.inner.Enabled(level) }

// Info implements logr.LogSink.
func (e errorSink) Info(level int, msg string, keysAndValues ...any) {
	e.inner.Info(level, msg, keysAndValues...) // if Enabled
}

// Error implements logr.LogSink.
func (e errorSink) Error(err error, msg string, keysAndValues ...any) {
	if e.controller != "" {
		object, message := e.name, msg
		if e.namespace != "" {
			object = e.namespace + "/" + e.name
		}
		if err != nil {
			message = err.Error()
		}
		e.states.failed(e.controller, object, message)
	}
	if e.inner != nil {
		e.inner.Error(err, msg, keysAndValues...)
	}
}

// WithValues implements logr.LogSink.
func (e errorSink) WithValues(keysAndValues ...any) logr.LogSink {
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		value, _ := keysAndValues[i+1].(string)
		switch keysAndValues[i] {
		case "controller":
			e.controller = cmp.Or(e.controller, value)
		case "namespace":
			e.namespace = cmp.Or(e.namespace, value)
		case "name":
			e.name = cmp.Or(e.name, value)
		}
	}
	if e.inner != nil {
		e.inner = e.inner.WithValues(keysAndValues...)
	}
	return e
}

// WithName implements logr.LogSink.
func (e errorSink) WithName(name string) logr.LogSink {
	if e.inner != nil {
		e.inner = e.inner.WithName(name)
	}
	return e
}

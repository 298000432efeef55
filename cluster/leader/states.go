package cluster

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

// states are those of the controllers of one term, and their queues' metrics.
type states struct {
	clock clock.WithTicker

	mu     sync.Mutex
	byName map[string]*controllerState
}

type controllerState struct {
	numbers func() queue.Numbers
	// own is set if the controller has metrics of its own for its queue.
	own     bool
	failure *ControllerError
}

func newStates(clk clock.WithTicker) *states {
	return &states{clock: clk, byName: map[string]*controllerState{}}
}

func (s *states) of(name string) *controllerState {
	state := s.byName[name]
	if state == nil {
		state = &controllerState{}
		s.byName[name] = state
	}
	return state
}

// newQueue implements controller.TypedOptions.NewQueue. The queue goes by the
// cluster's clock, and is known to s.
func newQueue[T comparable](s *states) func(string, workqueue.TypedRateLimiter[T]) workqueue.TypedRateLimitingInterface[T] {
	return func(name string, limiter workqueue.TypedRateLimiter[T]) workqueue.TypedRateLimitingInterface[T] {
		q := queue.New(limiter, s.clock)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.of(name).numbers = q.Numbers
		return q
	}
}

// tell registers a part that has a queue of another kind.
func (s *states) tell(name string, numbers func() queue.Numbers) {
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
	return l.WithSink(noting{inner: inner, states: s})
}

// noting records the errors that controllers log, and passes all on to inner,
// which is nil if there is no logger.
type noting struct {
	inner                       logr.LogSink
	states                      *states
	controller, namespace, name string
}

// Init implements logr.LogSink. The inner one has been initialised.
func (noting) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink.
func (n noting) Enabled(level int) bool { return n.inner != nil && n.inner.Enabled(level) }

// Info implements logr.LogSink.
func (n noting) Info(level int, msg string, keysAndValues ...any) {
	n.inner.Info(level, msg, keysAndValues...) // if Enabled
}

// Error implements logr.LogSink.
func (n noting) Error(err error, msg string, keysAndValues ...any) {
	if n.controller != "" {
		object, message := n.name, msg
		if n.namespace != "" {
			object = n.namespace + "/" + n.name
		}
		if err != nil {
			message = err.Error()
		}
		n.states.failed(n.controller, object, message)
	}
	if n.inner != nil {
		n.inner.Error(err, msg, keysAndValues...)
	}
}

// WithValues implements logr.LogSink.
func (n noting) WithValues(keysAndValues ...any) logr.LogSink {
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		value, _ := keysAndValues[i+1].(string)
		switch keysAndValues[i] {
		case "controller":
			n.controller = cmp.Or(n.controller, value)
		case "namespace":
			n.namespace = cmp.Or(n.namespace, value)
		case "name":
			n.name = cmp.Or(n.name, value)
		}
	}
	if n.inner != nil {
		n.inner = n.inner.WithValues(keysAndValues...)
	}
	return n
}

// WithName implements logr.LogSink.
func (n noting) WithName(name string) logr.LogSink {
	if n.inner != nil {
		n.inner = n.inner.WithName(name)
	}
	return n
}

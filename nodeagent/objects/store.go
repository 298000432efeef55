package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ChangeFunc is called when an object changed, appeared or went, with the registered
// pods that name it. It runs on the watch's goroutine and must not block.
type ChangeFunc func(key Key, pods []types.UID)

// Store reads the objects its registered pods name. Its methods may be called
// from any goroutine.
type Store struct {
	client client.WithWatch
	log    logr.Logger

	mu          sync.Mutex
	runCtx      context.Context // nil until Start
	watches     sync.WaitGroup
	entries     map[Key]*entry
	pods        map[types.UID]map[Key]struct{}
	subscribers []ChangeFunc
}

// entry is one referenced object. All fields but the channels are guarded by
// Store.mu.
type entry struct {
	pods   map[types.UID]struct{}
	object client.Object // nil: not there
	synced bool
	// asked is set when the server answered a reader before the watch did: the
	// first object of the watch may then be a change.
	asked  bool
	cancel context.CancelFunc // nil while no watch runs
	// settled is closed once the object's state is known or the first attempt
	// to learn it has failed.
	settled chan struct{}
}

func (e *entry) settle() {
	select {
	case <-e.settled:
	default:
		close(e.settled)
	}
}

// New returns a Store that reads through c, which should not be cache-backed.
// Nothing is read before Start. The logger may be the zero value.
func New(c client.WithWatch, log logr.Logger) *Store {
	return &Store{
		client:  c,
		log:     log,
		entries: map[Key]*entry{},
		pods:    map[types.UID]map[Key]struct{}{},
	}
}

// Subscribe has fn called on changes. Call it before Start.
func (s *Store) Subscribe(fn ChangeFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = append(s.subscribers, fn)
}

// Start opens the watches of the pods registered so far and of those to come,
// until ctx is done; then it ends them all and returns nil.
func (s *Store) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mu.Lock()
	if s.runCtx != nil {
		s.mu.Unlock()
		return errors.New("starting the object store: it was started before")
	}
	s.runCtx = ctx
	for key, e := range s.entries {
		s.watchLocked(key, e)
	}
	s.mu.Unlock()
	<-ctx.Done()
	s.watches.Wait()
	return nil
}

// Register watches all that the pod names. Registering a pod again takes its
// new references (an ephemeral container may add some).
func (s *Store) Register(pod *corev1.Pod) {
	refs := References(pod)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.pods[pod.UID]
	s.pods[pod.UID] = refs
	for key := range refs {
		e := s.entries[key]
		if e == nil {
			e = &entry{pods: map[types.UID]struct{}{}, settled: make(chan struct{})}
			s.entries[key] = e
			s.watchLocked(key, e)
		}
		e.pods[pod.UID] = struct{}{}
	}
	for key := range old {
		if _, kept := refs[key]; !kept {
			s.releaseLocked(key, pod.UID)
		}
	}
}

// Unregister ends the watches that only this pod needed.
func (s *Store) Unregister(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.pods[uid] {
		s.releaseLocked(key, uid)
	}
	delete(s.pods, uid)
}

func (s *Store) releaseLocked(key Key, uid types.UID) {
	e := s.entries[key]
	if e == nil {
		return
	}
	delete(e.pods, uid)
	if len(e.pods) > 0 {
		return
	}
	if e.cancel != nil {
		e.cancel()
	}
	e.settle()
	delete(s.entries, key)
}

// ConfigMap returns the named ConfigMap, which the caller must not change, or
// an error satisfying apierrors.IsNotFound.
func (s *Store) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	obj, err := s.get(ctx, Key{ConfigMap, namespace, name})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.ConfigMap), nil
}

// Secret returns the named Secret, which the caller must not change, or an
// error satisfying apierrors.IsNotFound.
func (s *Store) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	obj, err := s.get(ctx, Key{Secret, namespace, name})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Secret), nil
}

// get answers from the watch where there is a synced one, else asks the server.
func (s *Store) get(ctx context.Context, key Key) (client.Object, error) {
	s.mu.Lock()
	e, running := s.entries[key], s.runCtx != nil
	s.mu.Unlock()
	if e != nil && running {
		select {
		case <-e.settled:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s %s/%s: %w", key.Kind, key.Namespace, key.Name, ctx.Err())
		}
		s.mu.Lock()
		object, synced := e.object, e.synced
		s.mu.Unlock()
		if synced && object == nil {
			return nil, notFound(key)
		}
		if synced {
			return object, nil
		}
	}
	if e != nil {
		s.mu.Lock()
		e.asked = true
		s.mu.Unlock()
	}
	object := newObject(key.Kind)
	err := s.client.Get(ctx, types.NamespacedName{Namespace: key.Namespace, Name: key.Name}, object)
	if apierrors.IsNotFound(err) {
		return nil, notFound(key)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s/%s: %w", key.Kind, key.Namespace, key.Name, err)
	}
	return object, nil
}

// notFound words a missing object as the kubelet does (configmap "x" not
// found): users know it from a pod's events.
func notFound(key Key) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: strings.ToLower(string(key.Kind))}, key.Name)
}

func newObject(kind Kind) client.Object {
	if kind == Secret {
		return &corev1.Secret{}
	}
	return &corev1.ConfigMap{}
}

// set records an object from the watch and notifies the subscribers if it changed.
func (s *Store) set(key Key, e *entry, object client.Object) {
	s.mu.Lock()
	if s.entries[key] != e {
		s.mu.Unlock()
		return
	}
	changed := !sameVersion(e.object, object) && (e.synced || e.asked)
	e.object, e.synced = object, true
	e.settle()
	if immutable(object) && e.cancel != nil {
		e.cancel()
	}
	var uids []types.UID
	subscribers := s.subscribers
	if changed {
		for uid := range e.pods {
			uids = append(uids, uid)
		}
	}
	s.mu.Unlock()
	if !changed {
		return
	}
	slices.Sort(uids)
	for _, fn := range subscribers {
		fn(key, uids)
	}
}

func sameVersion(a, b client.Object) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.GetUID() == b.GetUID() && a.GetResourceVersion() == b.GetResourceVersion()
}

func immutable(object client.Object) bool {
	var flag *bool
	switch o := object.(type) {
	case *corev1.ConfigMap:
		flag = o.Immutable
	case *corev1.Secret:
		flag = o.Immutable
	}
	return flag != nil && *flag
}

package customresources

import (
	"cmp"
	"context"
	"fmt"

	"github.com/coracle-k8s/coracle/apis/listwatch"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// follow lists and watches the definitions until ctx is done.
func (s *Server) follow(ctx context.Context) {
	client := s.config.Definitions.CustomResourceDefinitions()
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, o)
		},
	}
	cache.NewReflectorWithOptions(listwatch.Listing(source), &definitionCRD{}, &feed{server: s}, cache.ReflectorOptions{}).RunWithContext(ctx)
}

// feed is the store that the reflector writes into.
type feed struct{ server *Server }

var _ cache.ReflectorStore = &feed{}

func (f *feed) Add(obj any) error { return f.Update(obj) }

func (f *feed) Update(obj any) error {
	crd, ok := obj.(*definitionCRD)
	if !ok {
		return fmt.Errorf("following definitions: unexpected %T", obj)
	}
	f.server.take(false, crd)
	return nil
}

func (f *feed) Delete(obj any) error {
	crd, ok := obj.(*definitionCRD)
	if !ok {
		return fmt.Errorf("following definitions: unexpected %T", obj)
	}
	f.server.forget(crd.Name)
	return nil
}

func (f *feed) Replace(list []any, _ string) error {
	crds, present := make([]*definitionCRD, 0, len(list)), map[string]bool{}
	for _, obj := range list {
		crd, ok := obj.(*definitionCRD)
		if !ok {
			return fmt.Errorf("following definitions: unexpected %T", obj)
		}
		crds, present[crd.Name] = append(crds, crd), true
	}
	for _, name := range f.server.names() {
		if !present[name] {
			f.server.forget(name)
		}
	}
	f.server.take(false, crds...)
	f.server.stored.Complete()
	return nil
}

func (f *feed) Resync() error { return nil }

func (s *Server) names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for name := range s.byName {
		names = append(names, name)
	}
	return names
}

// work writes statuses and ends definitions until the queue is shut down.
func (s *Server) work(ctx context.Context) {
	for {
		name, shutdown := s.queue.Get()
		if shutdown {
			return
		}
		if err := s.process(ctx, name); err != nil && ctx.Err() == nil {
			s.queue.AddRateLimited(name)
		} else {
			s.queue.Forget(name)
		}
		s.queue.Done(name)
	}
}

func (s *Server) process(ctx context.Context, name string) error {
	s.mu.RLock()
	d := s.byName[name]
	s.mu.RUnlock()
	switch {
	case d == nil:
		return nil
	case finalizing(d.crd):
		return s.finalize(ctx, d)
	case d.unwritten:
		_, err := s.write(ctx, d.crd)
		return err
	}
	return nil
}

// write stores the status, and finalizers with it. A conflict is no error: the
// definition comes again as it is.
func (s *Server) write(ctx context.Context, crd *definitionCRD) (*definitionCRD, error) {
	written, err := s.config.Definitions.CustomResourceDefinitions().UpdateStatus(ctx, crd, metav1.UpdateOptions{})
	switch {
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("writing the status of definition %s: %w", crd.Name, err)
	}
	// It may be gone meanwhile, by this very write.
	if written.DeletionTimestamp == nil || len(written.Finalizers) > 0 {
		s.take(true, written)
	}
	return written, nil
}

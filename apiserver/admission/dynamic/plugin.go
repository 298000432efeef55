package dynamic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/coracle-k8s/coracle/apiserver/ondemand"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// patience bounds a request's wait for a plugin that is being made, upstream's
// figure. Making one takes a few milliseconds.
const patience = 10 * time.Second

// plugin makes the plugin behind it when the first object of its resources
// appears. T is admission.MutationInterface or admission.ValidationInterface.
type plugin[T admission.Interface] struct {
	*admission.Handler
	config    Config
	resources []schema.GroupResource
	build     func(ctx context.Context, running *sync.WaitGroup) (T, error)
	running   sync.WaitGroup // what build started, which ends with its ctx

	checked chan struct{} // closed when the storage was asked
	// making is demanded when there is an object, or soon may be, and complete when inner or
	// err is set.
	making *ondemand.Work
	inner  T
	err    error
}

func newPlugin[T admission.Interface](c Config, build func(context.Context, *sync.WaitGroup) (T, error), resources ...string) *plugin[T] {
	p := &plugin[T]{
		Handler: admission.NewHandler(admission.Connect, admission.Create, admission.Delete, admission.Update),
		config:  c, build: build,
		checked: make(chan struct{}), making: ondemand.New(),
	}
	for _, r := range resources {
		p.resources = append(p.resources, resource(r))
	}
	return p
}

// Run asks the storage, waits for the first object and then makes the plugin,
// which runs until ctx is done. A plugin runs once.
func (p *plugin[T]) Run(ctx context.Context) error {
	for _, r := range p.resources {
		// After an error it is not known whether there are objects: the plugin is made.
		if kept, err := p.config.Kept(ctx, r); kept || err != nil {
			p.making.Demand()
		}
	}
	close(p.checked)
	select {
	case <-ctx.Done():
		return nil
	case <-p.making.Demanded():
	}
	p.inner, p.err = p.build(ctx, &p.running)
	p.making.Complete()
	<-ctx.Done()
	p.running.Wait()
	return nil
}

var errNotReady = errors.New("not yet ready to handle request") // upstream's words

// awake gives the plugin that a request has to pass, nil if there is none.
func (p *plugin[T]) awake(ctx context.Context, a admission.Attributes) (inner T, err error) {
	if a.GetOperation() == admission.Create && slices.Contains(p.resources, a.GetResource().GroupResource()) {
		p.making.Demand()
	}
	if exempt(a) {
		return inner, nil
	}
	if p.making.IsComplete() {
		return p.result(a)
	}
	return p.wait(ctx, a)
}

func (p *plugin[T]) wait(ctx context.Context, a admission.Attributes) (inner T, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-p.checked:
	case <-ctx.Done():
		return inner, admission.NewForbidden(a, errNotReady)
	}
	if !p.making.IsDemanded() {
		return inner, nil
	}
	if p.making.Await(ctx) != nil {
		return inner, admission.NewForbidden(a, errNotReady)
	}
	return p.result(a)
}

func (p *plugin[T]) result(a admission.Attributes) (inner T, err error) {
	if p.err != nil {
		return inner, admission.NewForbidden(a, fmt.Errorf("making dynamic admission: %w", p.err))
	}
	return p.inner, nil
}

// Package admission puts the admission plugins, each a package below this one,
// into upstream's order:
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
//
// The API of this package is not stable: see docs/api.md.
package admission

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"
	admissionmetrics "k8s.io/apiserver/pkg/admission/metrics"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apiserver/admission/dynamic"
)

// Deps holds what the chain is made from.
type Deps struct {
	// Live gives the plugins their objects. The chain runs it.
	Live  *Live
	Clock clock.WithTicker
	// Quota has the evaluators, normally apis/quota.NewConfiguration; nil
	// leaves quotas out.
	Quota quota.Configuration
	// PodSecurityMetrics may be nil.
	PodSecurityMetrics metrics.Recorder
	// Authorizer and Mapper are for plugins that ask for rights; nil leaves
	// those out.
	Authorizer authorizer.UnconditionalAuthorizer
	Mapper     meta.RESTMapper
	// Dynamic configures webhooks and policies; nil leaves them out.
	Dynamic *dynamic.Config
	// Selection turns plugins on and off.
	Selection Selection
	// NotReadySeconds and UnreachableSeconds are for DefaultTolerationSeconds; nil is
	// five minutes.
	NotReadySeconds, UnreachableSeconds *int64
}

// tolerationSeconds is how long pods stay on a node that has trouble.
const tolerationSeconds = 300

// DefaultNames returns the names of the plugins that are on unless they are
// disabled.
func DefaultNames() []string {
	var names []string
	for _, p := range ordered() {
		if !p.off {
			names = append(names, p.name)
		}
	}
	return names
}

// Names returns the names of all plugins in the order in which they run.
func Names() []string {
	var names []string
	for _, p := range ordered() {
		names = append(names, p.name)
	}
	return names
}

// chain is a list of plugins as one.
type chain interface {
	admission.MutationInterface
	admission.ValidationInterface
}

// Admission is the whole chain.
type Admission struct {
	chain
	run []func(context.Context) error
	// life is Run's context, nil before.
	life atomic.Pointer[context.Context]
}

// Chain makes the chain. Requests wait for what Run feeds.
func Chain(d Deps) (*Admission, error) {
	a := &Admission{run: []func(context.Context) error{d.Live.Run}}
	var plugins []admission.Interface
	for _, p := range ordered() {
		if !d.Selection.has(p) {
			continue
		}
		config, err := d.Selection.config(p.name)
		if err != nil {
			return nil, err
		}
		made, err := p.make(d, config)
		if err != nil {
			return nil, fmt.Errorf("making the admission plugin %s: %w", p.name, err)
		}
		if made == nil {
			continue
		}
		if r, ok := made.(interface{ Run(context.Context) error }); ok {
			a.run = append(a.run, r.Run)
		}
		plugins = append(plugins, admissionmetrics.WithControllerMetrics(made, p.name))
	}
	// Both phases are measured as wholes, too: upstream's step metrics.
	measured, ok := admissionmetrics.WithStepMetrics(reinvoking{admission.NewChainHandler(plugins...)}).(chain)
	if !ok {
		return nil, errors.New("making the admission chain: it cannot be measured")
	}
	a.chain = measured
	return a, nil
}

// reinvoking runs a chain once more where a webhook or policy has changed the object
// and others want to see that.
type reinvoking struct{ chain }

// Admit implements admission.MutationInterface.
func (r reinvoking) Admit(ctx context.Context, attrs admission.Attributes, o admission.ObjectInterfaces) error {
	if err := r.chain.Admit(ctx, attrs, o); err != nil {
		return err
	}
	again := attrs.GetReinvocationContext()
	if !again.ShouldReinvoke() {
		return nil
	}
	again.SetIsReinvoke()
	return r.chain.Admit(ctx, attrs, o)
}

// Admit implements admission.MutationInterface.
func (a *Admission) Admit(ctx context.Context, attrs admission.Attributes, o admission.ObjectInterfaces) error {
	return a.refusal(a.chain.Admit(ctx, attrs, o))
}

// Validate implements admission.ValidationInterface.
func (a *Admission) Validate(ctx context.Context, attrs admission.Attributes, o admission.ObjectInterfaces) error {
	return a.refusal(a.chain.Validate(ctx, attrs, o))
}

// refusal returns err, or that the server is shutting down: plugins of a server
// that stops refuse because they lack objects, not because of the client's request.
func (a *Admission) refusal(err error) error {
	if life := a.life.Load(); err != nil && life != nil && (*life).Err() != nil {
		return apierrors.NewServiceUnavailable("the server is shutting down")
	}
	return err
}

// Run feeds the chain until ctx is done.
func (a *Admission) Run(ctx context.Context) error {
	a.life.Store(&ctx)
	g, running := errgroup.WithContext(ctx)
	for _, run := range a.run {
		g.Go(func() error { return run(running) })
	}
	return g.Wait()
}

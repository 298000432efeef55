package dynamic

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"

	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
)

func validatingPolicies(ctx context.Context, running *sync.WaitGroup, c Config) (admission.ValidationInterface, error) {
	p := &policies[*validating.Policy, *validating.PolicyBinding, validating.PolicyEvaluator]{
		config: c, compile: compileValidating,
		policy:     func(p *validating.Policy) *admissionv1.ParamKind { return p.Spec.ParamKind },
		binding:    func(b *validating.PolicyBinding) string { return b.Spec.PolicyName },
		policies:   mirror.New[*validating.Policy](c.Watch(resource("validatingadmissionpolicies")), nil),
		bindings:   mirror.New[*validating.PolicyBinding](c.Watch(resource("validatingadmissionpolicybindings")), nil),
		dispatcher: validating.NewDispatcher(c.Authorizer, generic.NewPolicyMatcher(c.matcher())),
	}
	if err := p.start(ctx, running); err != nil {
		return nil, err
	}
	if c.WriteStatus != nil {
		running.Go(func() { (&checker{config: c, policies: p.policies}).run(ctx) })
	}
	return p, nil
}

func mutatingPolicies(ctx context.Context, running *sync.WaitGroup, c Config) (admission.MutationInterface, error) {
	p := &policies[*mutating.Policy, *mutating.PolicyBinding, mutating.PolicyEvaluator]{
		config: c, compile: compileMutating,
		policy:     func(p *mutating.Policy) *admissionv1.ParamKind { return p.Spec.ParamKind },
		binding:    func(b *mutating.PolicyBinding) string { return b.Spec.PolicyName },
		policies:   mirror.New[*mutating.Policy](c.Watch(resource("mutatingadmissionpolicies")), nil),
		bindings:   mirror.New[*mutating.PolicyBinding](c.Watch(resource("mutatingadmissionpolicybindings")), nil),
		dispatcher: mutating.NewDispatcher(c.Authorizer, c.matcher(), converters{c.TypeConverter}),
	}
	return p, p.start(ctx, running)
}

func (c Config) matcher() *matching.Matcher {
	return matching.NewMatcher(namespaceLister{namespaces: c.Namespaces}, client{namespaces: c.Namespaces})
}

// converters gives the mutating dispatcher the server's own merge schemas; the
// stock ones ask for OpenAPI every five seconds.
type converters struct {
	of func(schema.GroupVersionKind) managedfields.TypeConverter
}

var _ patch.TypeConverterManager = converters{}

// GetTypeConverter implements patch.TypeConverterManager.
func (c converters) GetTypeConverter(gvk schema.GroupVersionKind) managedfields.TypeConverter {
	return c.of(gvk)
}

// Run implements patch.TypeConverterManager.
func (converters) Run(context.Context) {}

// policies holds the compiled policies that have bindings, and dispatches
// requests to them.
type policies[P, B mirror.Object, E any] struct {
	config  Config
	compile func(P) E
	policy  func(P) *admissionv1.ParamKind
	binding func(B) string

	policies   *mirror.Mirror[P]
	bindings   *mirror.Mirror[B]
	dispatcher generic.Dispatcher[generic.PolicyHook[P, B, E]]

	hooks    atomic.Pointer[[]generic.PolicyHook[P, B, E]]
	compiled map[types.UID]compiled[E] // of the goroutine that follows
}

// compiled is good until the policy's spec changes.
type compiled[E any] struct {
	generation int64
	evaluator  E
}

// start returns when all policies there are have been compiled; it follows
// them until ctx is done.
func (p *policies[P, B, E]) start(ctx context.Context, running *sync.WaitGroup) error {
	if err := p.dispatcher.Start(ctx); err != nil {
		return fmt.Errorf("starting the dispatcher of policies: %w", err)
	}
	running.Go(func() { _ = p.policies.Run(ctx) }) // both end without error
	running.Go(func() { _ = p.bindings.Run(ctx) })
	if err := p.policies.Sync(ctx); err != nil {
		return fmt.Errorf("listing policies: %w", err)
	}
	if err := p.bindings.Sync(ctx); err != nil {
		return fmt.Errorf("listing bindings of policies: %w", err)
	}
	var ready sync.Once
	compiled := make(chan struct{})
	running.Go(func() { p.follow(ctx, func() { ready.Do(func() { close(compiled) }) }) })
	<-compiled
	return nil
}

func (p *policies[P, B, E]) follow(ctx context.Context, done func()) {
	for {
		policy, binding := p.policies.Changed(), p.bindings.Changed()
		p.refresh()
		done()
		select {
		case <-ctx.Done():
			return
		case <-policy:
		case <-binding:
		}
	}
}

// refresh joins policies and bindings, in the order of their names.
func (p *policies[P, B, E]) refresh() {
	bound := map[string][]B{}
	for _, b := range p.bindings.List() {
		bound[p.binding(b)] = append(bound[p.binding(b)], b)
	}
	hooks := make([]generic.PolicyHook[P, B, E], 0, len(bound))
	kept := make(map[types.UID]compiled[E], len(bound))
	for name, bindings := range bound {
		policy, ok := p.policies.Get("", name)
		if !ok {
			continue
		}
		c, ok := p.compiled[policy.GetUID()]
		if !ok || c.generation != policy.GetGeneration() {
			c = compiled[E]{policy.GetGeneration(), p.compile(policy)}
		}
		kept[policy.GetUID()] = c
		slices.SortFunc(bindings, byName[B])
		hooks = append(hooks, generic.PolicyHook[P, B, E]{Policy: policy, Bindings: bindings, Evaluator: c.evaluator})
	}
	slices.SortFunc(hooks, func(a, b generic.PolicyHook[P, B, E]) int { return byName(a.Policy, b.Policy) })
	p.compiled = kept
	p.hooks.Store(&hooks)
}

func byName[T mirror.Object](a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) }

// resolved returns the hooks with what is known now about the kinds of their
// params: such a kind may be defined after the policy.
func (p *policies[P, B, E]) resolved() []generic.PolicyHook[P, B, E] {
	hooks := *p.hooks.Load()
	cloned := false
	for i := range hooks {
		kind := p.policy(hooks[i].Policy)
		if kind == nil {
			continue
		}
		if !cloned {
			hooks, cloned = slices.Clone(hooks), true
		}
		p.resolve(&hooks[i], kind)
	}
	return hooks
}

func (p *policies[P, B, E]) resolve(hook *generic.PolicyHook[P, B, E], kind *admissionv1.ParamKind) {
	gv, err := schema.ParseGroupVersion(kind.APIVersion)
	if err != nil {
		hook.ConfigurationError = fmt.Errorf("failed to parse paramKind APIVersion: %w", err)
		return
	}
	gvk := gv.WithKind(kind.Kind)
	mapping, err := p.config.Mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		hook.ConfigurationError = fmt.Errorf("failed to find resource referenced by paramKind: '%v'", gvk)
		return
	}
	hook.ParamInformer, hook.ParamScope = params{source: p.config.Params, resource: mapping.Resource}, mapping.Scope
}

// Handles implements admission.Interface.
func (p *policies[P, B, E]) Handles(admission.Operation) bool { return true }

// Validate implements admission.ValidationInterface.
func (p *policies[P, B, E]) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	return p.dispatch(ctx, a, o)
}

// Admit implements admission.MutationInterface. A delete has nothing to mutate.
func (p *policies[P, B, E]) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if a.GetOperation() == admission.Delete {
		return nil
	}
	return p.dispatch(ctx, a, o)
}

func (p *policies[P, B, E]) dispatch(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	hooks := p.resolved()
	if len(hooks) == 0 {
		return nil
	}
	return p.dispatcher.Dispatch(ctx, a, o, hooks)
}

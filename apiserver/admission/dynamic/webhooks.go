package dynamic

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/coracle-k8s/coracle/apis/listwatch"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/generic"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	"k8s.io/client-go/tools/cache"
)

// read takes a plugin's configuration in, for the plugin is made later.
func read(config io.Reader) (func() io.Reader, error) {
	if config == nil {
		return func() io.Reader { return nil }, nil
	}
	data, err := io.ReadAll(config)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of webhooks: %w", err)
	}
	// Errors in it are reported now.
	if _, err := validating.NewValidatingAdmissionWebhook(bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("reading the configuration of webhooks: %w", err)
	}
	if err := refuseManifests(data); err != nil {
		return nil, fmt.Errorf("reading the configuration of webhooks: %w", err)
	}
	return func() io.Reader { return bytes.NewReader(data) }, nil
}

func mutatingWebhooks(ctx context.Context, running *sync.WaitGroup, c Config, config io.Reader) (admission.MutationInterface, error) {
	p, err := mutating.NewMutatingWebhook(config)
	if err != nil {
		return nil, err
	}
	kept := newInformer(c.Watch(resource("mutatingwebhookconfigurations")), &admissionregistrationv1.MutatingWebhookConfiguration{})
	return p, run(ctx, running, c, p.Webhook, kept, p)
}

func validatingWebhooks(ctx context.Context, running *sync.WaitGroup, c Config, config io.Reader) (admission.ValidationInterface, error) {
	p, err := validating.NewValidatingAdmissionWebhook(config)
	if err != nil {
		return nil, err
	}
	kept := newInformer(c.Watch(resource("validatingwebhookconfigurations")), &admissionregistrationv1.ValidatingWebhookConfiguration{})
	return p, run(ctx, running, c, p.Webhook, kept, p)
}

// run completes a plugin and returns when it has all configurations; it follows
// them until ctx is done.
func run(ctx context.Context, running *sync.WaitGroup, c Config, w *generic.Webhook, configurations *informer, v admission.InitializationValidator) error {
	w.SetExternalKubeClientSet(client{namespaces: c.Namespaces})
	w.SetExternalKubeInformerFactory(factory{configurations: configurations, namespaces: c.Namespaces})
	w.SetUnconditionalAuthorizer(c.Authorizer)
	w.SetServiceResolver(c.Services)
	w.SetAuthenticationInfoResolverWrapper(c.Wrap)
	w.SetDrainedNotification(ctx.Done())
	if err := v.ValidateInitialization(); err != nil {
		return fmt.Errorf("completing webhooks: %w", err)
	}
	running.Go(func() { configurations.RunWithContext(ctx) })
	select {
	case <-configurations.handled():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// informer is a shared informer that reports when its handler has seen the
// first list: the plugins themselves can only be polled for that.
type informer struct {
	cache.SharedIndexInformer
	registration cache.ResourceEventHandlerRegistration
}

func newInformer(lw cache.ListerWatcher, of runtime.Object) *informer {
	return &informer{SharedIndexInformer: cache.NewSharedIndexInformer(listwatch.Listing(cache.ToListerWatcherWithContext(lw)), of, 0, cache.Indexers{})}
}

// AddEventHandler implements cache.SharedInformer. The plugins call it once.
func (i *informer) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	var err error
	i.registration, err = i.SharedIndexInformer.AddEventHandler(h)
	return i.registration, err
}

func (i *informer) handled() <-chan struct{} {
	return i.registration.HasSyncedChecker().Done()
}

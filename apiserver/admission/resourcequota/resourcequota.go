// Package resourcequota charges requests to the ResourceQuotas of their
// namespace before they are stored:
// https://kubernetes.io/docs/concepts/policy/resource-quotas/. The evaluation is
// that of k8s.io/apiserver; requests into namespaces without quotas do not
// reach it.
//
// The API of this package is not stable: see docs/api.md.
package resourcequota

import (
	"context"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	generic "k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	resourcequotaapi "k8s.io/apiserver/pkg/admission/plugin/resourcequota/apis/resourcequota"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota/apis/resourcequota/validation"
	quota "k8s.io/apiserver/pkg/quota/v1"
	quotaregistry "k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/apiserver/pkg/storage"
)

// workers evaluate namespaces in parallel; requests of one namespace are
// evaluated together.
const workers = 5

// Quotas reads and charges quotas.
type Quotas interface {
	// ResourceQuotas gives those of the namespace. They are not changed.
	ResourceQuotas(ctx context.Context, namespace string) ([]*corev1.ResourceQuota, error)
	// UpdateQuotaStatus stores a quota's status if the quota has not changed
	// since, and gives it as stored. It returns a Conflict otherwise.
	UpdateQuotaStatus(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error)
	// LatestQuota gives a quota as it is stored now.
	LatestQuota(ctx context.Context, namespace, name string) (*corev1.ResourceQuota, error)
}

// Plugin is ResourceQuota. Requests that need evaluation wait until Run runs.
type Plugin struct {
	*admission.Handler
	quotas        Quotas
	configuration quota.Configuration
	limited       *resourcequotaapi.Configuration

	running   chan struct{} // closed when evaluator is set
	once      sync.Once
	evaluator generic.Evaluator
	done      <-chan struct{}
}

var _ admission.ValidationInterface = &Plugin{}

// New makes the plugin. configuration has the evaluators of resources, normally
// those of package apis/quota. config is the plugin's part of an
// AdmissionConfiguration, which may limit resources to where a quota covers
// them; nil limits none.
func New(quotas Quotas, configuration quota.Configuration, config io.Reader) (*Plugin, error) {
	limited, err := generic.LoadConfiguration(config)
	if err != nil {
		return nil, fmt.Errorf("reading the quota configuration: %w", err)
	}
	if errs := validation.ValidateConfiguration(limited); len(errs) > 0 {
		return nil, fmt.Errorf("checking the quota configuration: %w", errs.ToAggregate())
	}
	return &Plugin{
		limited: limited,
		Handler: admission.NewHandler(admission.Create, admission.Update),
		quotas:  quotas, configuration: configuration, running: make(chan struct{}),
	}, nil
}

// Run evaluates until ctx is done. A Plugin runs once.
func (p *Plugin) Run(ctx context.Context) error {
	p.once.Do(func() {
		accessor := &accessor{ctx: ctx, quotas: p.quotas, newer: map[string]*corev1.ResourceQuota{}}
		p.evaluator = generic.NewQuotaEvaluator(accessor, p.configuration.IgnoredResources(),
			quotaregistry.NewRegistry(p.configuration.Evaluators()), nil, p.limited, workers, ctx.Done())
		p.done = ctx.Done()
		close(p.running)
	})
	<-ctx.Done()
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetNamespace() == "" || a.GetKind().GroupKind() == corev1.SchemeGroupVersion.WithKind("Namespace").GroupKind() {
		return nil
	}
	quotas, err := p.quotas.ResourceQuotas(ctx, a.GetNamespace())
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("error resolving quota: %w", err))
	}
	// Limited resources need a quota that covers them.
	if len(quotas) == 0 && len(p.limited.LimitedResources) == 0 {
		return nil
	}
	select {
	case <-p.running:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-p.done:
		return apierrors.NewServiceUnavailable("the server is shutting down")
	default:
	}
	return p.evaluator.Evaluate(a)
}

// accessor reads and writes quotas for the generic evaluator.
type accessor struct {
	ctx    context.Context // of Run: evaluation serves several requests at once
	quotas Quotas

	mu    sync.Mutex
	newer map[string]*corev1.ResourceQuota // what is stored and not yet seen, by namespace/name
}

var _ generic.QuotaAccessor = &accessor{}

// UpdateQuotaStatus implements generic.QuotaAccessor.
func (a *accessor) UpdateQuotaStatus(q *corev1.ResourceQuota) error {
	stored, err := a.quotas.UpdateQuotaStatus(a.ctx, q)
	if apierrors.IsConflict(err) {
		// Another server wrote it. The next try might not see that write
		// either, so it reads the stored quota.
		var failed error
		if stored, failed = a.quotas.LatestQuota(a.ctx, q.Namespace, q.Name); failed != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.newer[q.Namespace+"/"+q.Name] = stored
	return err
}

// GetQuotas implements generic.QuotaAccessor. It prefers what is known to be stored
// over what has been seen, so that requests in a row do not conflict.
func (a *accessor) GetQuotas(namespace string) ([]corev1.ResourceQuota, error) {
	seen, err := a.quotas.ResourceQuotas(a.ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("error resolving quota: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]corev1.ResourceQuota, 0, len(seen))
	for _, q := range seen {
		key := q.Namespace + "/" + q.Name
		if latest, ok := a.newer[key]; ok {
			if latest.UID != q.UID || (storage.APIObjectVersioner{}).CompareResourceVersion(q, latest) >= 0 {
				delete(a.newer, key)
			} else {
				q = latest
			}
		}
		out = append(out, *q.DeepCopy())
	}
	return out, nil
}

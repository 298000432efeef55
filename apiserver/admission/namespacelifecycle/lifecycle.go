// Package namespacelifecycle keeps objects out of namespaces that do not exist
// or are going away, and the three namespaces of the system from deletion. It
// is NamespaceLifecycle of
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/,
// without the waiting of the one in k8s.io/apiserver.
//
// The API of this package is not stable: see docs/api.md.
package namespacelifecycle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/clock"
)

// distrust is how long after the deletion of a namespace a cached one that
// still looks active is not believed.
const distrust = 30 * time.Second

// Namespaces looks namespaces up.
type Namespaces interface {
	// CachedNamespace answers from memory; it may be a little behind.
	CachedNamespace(name string) (*corev1.Namespace, bool)
	// LiveNamespace asks the storage.
	LiveNamespace(ctx context.Context, name string) (*corev1.Namespace, error)
}

// Plugin is NamespaceLifecycle.
type Plugin struct {
	*admission.Handler
	namespaces Namespaces
	clock      clock.PassiveClock

	mu      sync.Mutex
	deleted map[string]time.Time // namespaces deleted lately, when
}

var _ admission.MutationInterface = &Plugin{}

// New makes the plugin.
func New(namespaces Namespaces, clk clock.PassiveClock) *Plugin {
	return &Plugin{
		Handler:    admission.NewHandler(admission.Create, admission.Update, admission.Delete),
		namespaces: namespaces, clock: clk, deleted: map[string]time.Time{},
	}
}

// Admit implements admission.MutationInterface. It is no validation, because
// the plugins after it should not run for nothing.
func (p *Plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetKind().GroupKind() == corev1.SchemeGroupVersion.WithKind("Namespace").GroupKind() {
		if a.GetOperation() != admission.Delete {
			return nil
		}
		switch a.GetName() {
		case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
			return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), errors.New("this namespace may not be deleted"))
		}
		p.remember(a.GetName())
		return nil
	}
	if a.GetNamespace() == "" || a.GetOperation() != admission.Create {
		return nil
	}
	// A "not found" here would reveal to users which namespaces exist.
	if gr := a.GetResource().GroupResource(); gr.Group == "authorization.k8s.io" && gr.Resource == "localsubjectaccessreviews" {
		return nil
	}
	ns, ok := p.namespaces.CachedNamespace(a.GetNamespace())
	if !ok || (ns.Status.Phase == corev1.NamespaceActive && p.distrusted(ns.Name)) {
		var err error
		ns, err = p.namespaces.LiveNamespace(ctx, a.GetNamespace())
		switch {
		case apierrors.IsNotFound(err):
			return err
		case err != nil:
			return apierrors.NewInternalError(err)
		}
	}
	if ns.Status.Phase != corev1.NamespaceTerminating {
		return nil
	}
	return terminating(a)
}

func terminating(a admission.Attributes) error {
	err := admission.NewForbidden(a, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", a.GetNamespace()))
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		// Controllers look for the cause and stop trying.
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{
			Type:    corev1.NamespaceTerminatingCause,
			Message: fmt.Sprintf("namespace %s is being terminated", a.GetNamespace()),
			Field:   "metadata.namespace",
		})
	}
	return err
}

func (p *Plugin) remember(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.Now()
	for n, at := range p.deleted {
		if now.Sub(at) > distrust {
			delete(p.deleted, n)
		}
	}
	p.deleted[name] = now
}

func (p *Plugin) distrusted(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.deleted[name]
	return ok && p.clock.Since(at) <= distrust
}

package credentials

import (
	"context"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// references holds the names in a pod's projected volumes.
type references struct {
	bundles, signers sets.Set[string]
	certificates     bool
}

func referencesOf(pod *corev1.Pod) references {
	r := references{bundles: sets.New[string](), signers: sets.New[string]()}
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Projected == nil {
			continue
		}
		for _, s := range pod.Spec.Volumes[i].Projected.Sources {
			r.certificates = r.certificates || s.PodCertificate != nil
			switch b := s.ClusterTrustBundle; {
			case b == nil:
			case b.Name != nil:
				r.bundles.Insert(*b.Name)
			case b.SignerName != nil:
				r.signers.Insert(*b.SignerName)
			}
		}
	}
	return r
}

func (r *references) none() bool {
	return !r.certificates && len(r.bundles) == 0 && len(r.signers) == 0
}

// watched is a kind whose changes are followed.
type watched int

const (
	bundles watched = iota
	requests
)

func (w watched) object() client.Object {
	if w == requests {
		return &certificatesv1.PodCertificateRequest{}
	}
	return &certificatesv1.ClusterTrustBundle{}
}

// watch returns when the cache has the kind and its changes are heard of, which
// is so from the first call on.
func (m *Manager) watch(ctx context.Context, kind watched) error {
	m.mu.Lock()
	on := m.watches[kind] != nil
	m.mu.Unlock()
	if on {
		return nil
	}
	informer, err := m.cfg.Cache.GetInformer(ctx, kind.object())
	if err != nil {
		return fmt.Errorf("watching %T: %w", kind.object(), err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watches[kind] != nil {
		return nil
	}
	// Also those there already are heard of: an object may come before its
	// informer does, and a mount have missed it.
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    m.changed,
		UpdateFunc: func(_, obj any) { m.changed(obj) },
		DeleteFunc: func(obj any) {
			if unknown, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
				obj = unknown.Obj
			}
			m.tell(obj)
		},
	})
	if err != nil {
		return fmt.Errorf("watching %T: %w", kind.object(), err)
	}
	m.watches[kind] = func() error { return informer.RemoveEventHandler(registration) }
	return nil
}

func (m *Manager) changed(obj any) {
	if r, ok := obj.(*certificatesv1.PodCertificateRequest); ok && verdictOf(r) == nil {
		return
	}
	m.tell(obj)
}

// tell notifies the subscribers of the pods that the object concerns.
func (m *Manager) tell(obj any) {
	var concerns func(uid types.UID, r *references) bool
	switch o := obj.(type) {
	case *certificatesv1.PodCertificateRequest:
		concerns = func(uid types.UID, r *references) bool { return r.certificates && uid == o.Spec.PodUID }
	case *certificatesv1.ClusterTrustBundle:
		concerns = func(_ types.UID, r *references) bool {
			return r.bundles.Has(o.Name) || r.signers.Has(o.Spec.SignerName)
		}
	default:
		return
	}
	m.mu.Lock()
	var pods []types.UID
	for uid, t := range m.pods {
		if concerns(uid, &t.refs) {
			pods = append(pods, uid)
		}
	}
	subscribers := m.subscribers
	m.mu.Unlock()
	if len(pods) == 0 {
		return
	}
	for _, fn := range subscribers {
		fn(pods)
	}
}

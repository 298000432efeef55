package credentials

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Config holds the dependencies of a Manager. All fields are required.
type Config struct {
	// NodeName is the node whose pods these are.
	NodeName string
	// Cache has all ClusterTrustBundles, and at least the node's
	// PodCertificateRequests.
	Cache cache.Cache
	// Live reads from the server the node, service accounts and requests, by
	// name; it makes requests.
	Live client.Client
	// Recorder takes events about refusals and certificates not renewed in time.
	Recorder record.EventRecorder
	Clock    clock.PassiveClock
}

// Manager has the credentials of a node's pods. Its methods may be called from
// any goroutine, but for one pod at a time.
type Manager struct {
	cfg Config

	mu          sync.Mutex
	pods        map[types.UID]*tracked
	subscribers []func(pods []types.UID)
	watches     map[watched]func() error // what ends them
}

// tracked is a pod with credentials.
type tracked struct {
	refs references
	// held is used only by the caller that asks for the pod's certificates.
	held map[source]*credential
}

// New returns a Manager that watches nothing yet.
func New(cfg Config) (*Manager, error) {
	if cfg.NodeName == "" || cfg.Cache == nil || cfg.Live == nil || cfg.Recorder == nil || cfg.Clock == nil {
		return nil, errors.New("making the credentials manager: every field of Config is required")
	}
	return &Manager{cfg: cfg, pods: map[types.UID]*tracked{}, watches: map[watched]func() error{}}, nil
}

// Subscribe has fn called with pods whose credentials may have changed, or come.
// It must not block.
func (m *Manager) Subscribe(fn func(pods []types.UID)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscribers = append(m.subscribers, fn)
}

// Start waits for ctx and then stops hearing of changes: the cache may live on.
func (m *Manager) Start(ctx context.Context) error {
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, stop := range m.watches {
		errs = append(errs, stop())
	}
	clear(m.watches)
	return errors.Join(errs...)
}

// Register has subscribers notified of changes to the objects in the pod's projected volumes.
func (m *Manager) Register(pod *corev1.Pod) {
	refs := referencesOf(pod)
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.pods[pod.UID]
	if t == nil {
		if refs.none() {
			return
		}
		t = &tracked{held: map[source]*credential{}}
		m.pods[pod.UID] = t
	}
	t.refs = refs
}

// Unregister forgets the pod, and its keys.
func (m *Manager) Unregister(pod types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pods, pod)
}

// Certificate returns the key and the certificate chain, as PEM, of the
// podCertificate source with that index in the registered pod's volume, and
// when to ask again (zero: when a subscriber is notified). It makes the request
// for it; until the signer has answered it returns an error.
func (m *Manager) Certificate(ctx context.Context, pod *corev1.Pod, volume string, index int, p *corev1.PodCertificateProjection) (key, chain []byte, next time.Time, err error) {
	if err := m.watch(ctx, requests); err != nil {
		return nil, nil, time.Time{}, err
	}
	s := source{volume, index}
	c, err := m.credential(pod.UID, s)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	request, err := m.request(ctx, pod.Namespace, c.request)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	now := m.cfg.Clock.Now()
	known, ask, events := step(*c, request, jitterOf(pod.UID, s), now)
	*c = known
	for _, e := range events {
		m.cfg.Recorder.Event(pod, corev1.EventTypeWarning, e.reason, e.message)
	}
	if ask {
		if err := m.ask(ctx, c, pod, p); err != nil && (c.chain == nil || now.After(c.notAfter)) {
			return nil, nil, time.Time{}, err
		} else if err != nil {
			// The old one still serves.
			return c.key, c.chain, now.Add(retryAfter), nil
		}
	}
	key, chain, err = c.bundle()
	return key, chain, c.nextLook(), err
}

// retryAfter is how long a refresh that could not be asked for waits.
const retryAfter = 30 * time.Second

func (m *Manager) credential(pod types.UID, s source) (*credential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.pods[pod]
	if t == nil {
		return nil, fmt.Errorf("no credentials for pod %s: it is not registered", pod)
	}
	if t.held[s] == nil {
		t.held[s] = &credential{}
	}
	return t.held[s], nil
}

// request returns the named request, nil if it is gone or no name is given.
func (m *Manager) request(ctx context.Context, namespace, name string) (*certificatesv1.PodCertificateRequest, error) {
	if name == "" {
		return nil, nil
	}
	key, r := client.ObjectKey{Namespace: namespace, Name: name}, &certificatesv1.PodCertificateRequest{}
	err := m.cfg.Cache.Get(ctx, key, r)
	if apierrors.IsNotFound(err) {
		// It may be too new for the cache.
		err = m.cfg.Live.Get(ctx, key, r)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading PodCertificateRequest %s: %w", key, err)
	}
	return r, nil
}

// ask makes a key and a request for it.
func (m *Manager) ask(ctx context.Context, c *credential, pod *corev1.Pod, p *corev1.PodCertificateProjection) error {
	node, account := &corev1.Node{}, &corev1.ServiceAccount{}
	if err := m.cfg.Live.Get(ctx, client.ObjectKey{Name: m.cfg.NodeName}, node); err != nil {
		return fmt.Errorf("requesting a pod certificate: reading the node: %w", err)
	}
	if err := m.cfg.Live.Get(ctx, client.ObjectKey{Namespace: pod.Namespace, Name: pod.Spec.ServiceAccountName}, account); err != nil {
		return fmt.Errorf("requesting a pod certificate: reading the service account: %w", err)
	}
	key, stub, err := newKey(p.KeyType)
	if err != nil {
		return fmt.Errorf("requesting a pod certificate: %w", err)
	}
	request := &certificatesv1.PodCertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, GenerateName: "req-",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}},
		},
		Spec: certificatesv1.PodCertificateRequestSpec{
			SignerName: p.SignerName, PodName: pod.Name, PodUID: pod.UID,
			ServiceAccountName: account.Name, ServiceAccountUID: account.UID,
			NodeName: types.NodeName(node.Name), NodeUID: node.UID,
			MaxExpirationSeconds: p.MaxExpirationSeconds, StubPKCS10Request: stub, UnverifiedUserAnnotations: p.UserAnnotations,
		},
	}
	if err := m.cfg.Live.Create(ctx, request); err != nil {
		return fmt.Errorf("requesting a pod certificate from %s: %w", p.SignerName, err)
	}
	c.request, c.requestKey = request.Name, key
	return nil
}

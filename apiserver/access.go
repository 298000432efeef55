package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/server/mux"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics"
	"k8s.io/pod-security-admission/api"
	podsecurity "k8s.io/pod-security-admission/metrics"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/coracle-k8s/coracle/apis"
	"github.com/coracle-k8s/coracle/apis/quota"
	"github.com/coracle-k8s/coracle/apiserver/admission"
	"github.com/coracle-k8s/coracle/apiserver/auth/mirror"
	"github.com/coracle-k8s/coracle/apiserver/auth/node"
	"github.com/coracle-k8s/coracle/apiserver/auth/rbac"
	"github.com/coracle-k8s/coracle/apiserver/auth/tokens"
	"github.com/coracle-k8s/coracle/apiserver/bootstrap"
	"github.com/coracle-k8s/coracle/apiserver/registry"
)

// access holds authentication, authorization, admission and the issuing of
// tokens, over the server's own storages.
type access struct {
	authenticator authenticator.Request
	authorizer    authorizer.Authorizer
	rules         authorizer.RuleResolver
	tokens        registry.TokenIssuer
	signer        *tokens.Signer
	audiences     authenticator.Audiences
	discovery     *tokens.Discovery
	escalation    registry.EscalationChecker

	// runners follow files while the server runs.
	runners []func(context.Context) error
	// requestHeader configures the trust in a front proxy's headers, nil without one.
	requestHeader *authenticatorfactory.RequestHeaderConfig

	server *Server
	roles  *rbac.Live
	graph  *node.Graph
	// metrics are those that authentication and admission count for this server.
	metrics metrics.KubeRegistry
	live    *admission.Live
	chain   *admission.Admission
	running sync.WaitGroup
}

func newAccess(ctx context.Context, s *Server) (*access, error) {
	a := &access{server: s, metrics: metrics.NewKubeRegistry(), audiences: s.config.Settings.ServiceAccounts.Audiences}
	if len(a.audiences) == 0 {
		a.audiences = authenticator.Audiences(a.ownIssuers())
	}
	if err := a.authentication(ctx); err != nil {
		return nil, err
	}
	if err := a.authorization(); err != nil {
		return nil, err
	}
	if err := a.admit(); err != nil {
		return nil, err
	}
	return a, nil
}

// admit makes the admission chain over the server's own storages.
func (a *access) admit() error {
	a.live = admission.NewLive(admission.LiveConfig{
		Watch:             a.watch,
		Get:               a.get,
		ListPods:          a.listPods,
		UpdateQuotaStatus: a.updateQuotaStatus,
		CreateNamespace:   a.createNamespace,
		PriorityClasses:   true,
	})
	chosen := a.server.config.Settings.Admission
	selection, err := admission.NewSelection(chosen.EnablePlugins, chosen.DisablePlugins, chosen.ConfigFile)
	if err != nil {
		return fmt.Errorf("apiServer.admission: %w", err)
	}
	podSecurity := podsecurity.NewPrometheusRecorder(podSecurityVersion())
	podSecurity.MustRegister(a.metrics.MustRegister)
	a.chain, err = admission.Chain(admission.Deps{
		PodSecurityMetrics: podSecurity,
		Live:               a.live, Clock: a.server.config.Clock, Quota: quota.NewConfiguration(a.listForQuota, a.server.config.Clock),
		Authorizer: a.authorizer, Mapper: a.server.Mapper(), Dynamic: a.dynamicAdmission(), Selection: selection,
		NotReadySeconds: chosen.NotReadyTolerationSeconds, UnreachableSeconds: chosen.UnreachableTolerationSeconds,
	})
	return err
}

// podSecurityVersion returns the newest version of the pod security standards.
func podSecurityVersion() api.Version {
	v := version.MustParseSemantic(apis.KubernetesVersion)
	return api.MajorMinorVersion(int(v.Major()), int(v.Minor()))
}

func (a *access) watch(gr schema.GroupResource) cache.ListerWatcher {
	return mirror.FromStorage(&lazyStorage{server: a.server, resource: gr})
}

// get reads from storage, not from the watch cache.
func (a *access) get(ctx context.Context, gr schema.GroupResource, namespace, name string) (runtime.Object, error) {
	store, err := a.server.dispatcher.Store(gr)
	if err != nil {
		return nil, err
	}
	return store.Get(reading(ctx, gr, namespace), name, &metav1.GetOptions{})
}

// reading returns the context of a read that some request needs: a storage
// calls what it does not find after the request in its context.
func reading(ctx context.Context, gr schema.GroupResource, namespace string) context.Context {
	info := &request.RequestInfo{IsResourceRequest: true, APIGroup: gr.Group, Resource: gr.Resource, Namespace: namespace}
	return request.WithRequestInfo(request.WithNamespace(ctx, namespace), info)
}

func (a *access) listPods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	store, err := a.server.dispatcher.Store(corev1.Resource("pods"))
	if err != nil {
		return nil, err
	}
	list, err := store.List(reading(ctx, corev1.Resource("pods"), namespace), &metainternalversion.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	pods := list.(*corev1.PodList)
	out := make([]*corev1.Pod, len(pods.Items))
	for i := range pods.Items {
		out[i] = &pods.Items[i]
	}
	return out, nil
}

// quotaListTimeout bounds a list that the charge of a quota waits for.
const quotaListTimeout = 10 * time.Second

// listForQuota lists what the evaluators of quotas compare an object with.
func (a *access) listForQuota(resource schema.GroupVersionResource, namespace string) ([]runtime.Object, error) {
	gr := resource.GroupResource()
	store, err := a.server.dispatcher.Store(gr)
	if err != nil {
		return nil, err
	}
	// The evaluators' interface has no context; the watch cache answers at once.
	ctx, cancel := context.WithTimeout(context.Background(), quotaListTimeout)
	defer cancel()
	list, err := store.List(reading(ctx, gr, namespace), &metainternalversion.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	return meta.ExtractList(list)
}

func (a *access) updateQuotaStatus(ctx context.Context, q *corev1.ResourceQuota) (*corev1.ResourceQuota, error) {
	core, err := coreclient.NewForConfig(a.server.RESTConfig())
	if err != nil {
		return nil, err
	}
	return core.ResourceQuotas(q.Namespace).UpdateStatus(ctx, q, metav1.UpdateOptions{})
}

func (a *access) createNamespace(ctx context.Context, name string) error {
	core, err := coreclient.NewForConfig(a.server.RESTConfig())
	if err != nil {
		return err
	}
	_, err = core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	return err
}

func (a *access) install(m *mux.PathRecorderMux) { a.discovery.Install(m.Handle) }

// start feeds the authorizers and stores the default roles. The authorizers
// watch nothing until the first request of a user who is not an administrator.
func (a *access) start(ctx context.Context) {
	health := &a.server.health
	a.running.Go(func() { health.informers.during(func() { _ = a.roles.Run(ctx) }) }) // ends with ctx, without error
	a.running.Go(func() { _ = a.graph.Run(ctx) })
	a.running.Go(func() { health.admission.during(func() { _ = a.chain.Run(ctx) }) })
	for _, run := range a.runners {
		a.running.Go(func() { _ = run(ctx) })
	}
	a.live.Warm()
	a.running.Go(func() {
		if a.server.ensure(ctx, rbac.Reconcile) {
			a.roles.Reconciled()
			health.roles.ended.Store(true)
		}
	})
	a.running.Go(func() { health.classes.ended.Store(a.server.ensure(ctx, bootstrap.SystemClasses)) })
	a.running.Go(func() {
		health.services.ended.Store(a.server.ensure(ctx, bootstrap.ServiceRange(a.server.config.Services.CIDR)))
	})
}

// ensureRetry is how long after a failure the system's objects are written again.
const ensureRetry = time.Second

// ensure writes objects of the system until it succeeds or ctx is done, and
// reports whether it succeeded.
func (s *Server) ensure(ctx context.Context, write func(context.Context, client.Client) error) bool {
	for ctx.Err() == nil {
		c, err := client.New(s.RESTConfig(), client.Options{Scheme: apis.NewClientScheme(), Mapper: s.Mapper()})
		if err == nil {
			err = write(ctx, c)
		}
		if err == nil {
			return true
		}
		select {
		case <-ctx.Done():
		case <-s.config.Clock.After(ensureRetry):
		}
	}
	return false
}

// stop waits for what start started; its context has ended.
func (a *access) stop() { a.running.Wait() }

// lazyStorage opens a resource when it is listed first.
type lazyStorage struct {
	server   *Server
	resource schema.GroupResource
}

var (
	_ rest.Lister  = &lazyStorage{}
	_ rest.Watcher = &lazyStorage{}
)

func (l *lazyStorage) store() (*genericregistry.Store, error) {
	return l.server.dispatcher.Store(l.resource)
}

func (l *lazyStorage) List(ctx context.Context, o *metainternalversion.ListOptions) (runtime.Object, error) {
	s, err := l.store()
	if err != nil {
		return nil, err
	}
	return s.List(ctx, o)
}

func (l *lazyStorage) Watch(ctx context.Context, o *metainternalversion.ListOptions) (watch.Interface, error) {
	s, err := l.store()
	if err != nil {
		return nil, err
	}
	return s.Watch(ctx, o)
}

// NewList is part of rest.Lister and not asked for by mirrors.
func (l *lazyStorage) NewList() runtime.Object { return nil }

// ConvertToTable is part of rest.Lister and not asked for by mirrors.
func (l *lazyStorage) ConvertToTable(context.Context, runtime.Object, runtime.Object) (*metav1.Table, error) {
	return nil, http.ErrNotSupported
}

// Package admission puts the admission plugins, each a package below this one,
// into upstream's order:
// https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/.
package admission

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/utils/clock"

	"github.com/coracle-k8s/coracle/apiserver/admission/certificateapproval"
	"github.com/coracle-k8s/coracle/apiserver/admission/certificatesigning"
	"github.com/coracle-k8s/coracle/apiserver/admission/certificatesubjectrestriction"
	"github.com/coracle-k8s/coracle/apiserver/admission/clustertrustbundleattest"
	"github.com/coracle-k8s/coracle/apiserver/admission/defaultingressclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/defaultstorageclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/limitranger"
	"github.com/coracle-k8s/coracle/apiserver/admission/namespacelifecycle"
	"github.com/coracle-k8s/coracle/apiserver/admission/noderestriction"
	"github.com/coracle-k8s/coracle/apiserver/admission/ownerreferencespermission"
	"github.com/coracle-k8s/coracle/apiserver/admission/podsecurity"
	"github.com/coracle-k8s/coracle/apiserver/admission/podtopologylabels"
	"github.com/coracle-k8s/coracle/apiserver/admission/priority"
	"github.com/coracle-k8s/coracle/apiserver/admission/resourcequota"
	"github.com/coracle-k8s/coracle/apiserver/admission/runtimeclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/serviceaccount"
	"github.com/coracle-k8s/coracle/apiserver/admission/storageobjectinuse"
	"github.com/coracle-k8s/coracle/apiserver/admission/taintnodesbycondition"
	"github.com/coracle-k8s/coracle/apiserver/admission/tainttolerationdefaults"
	"github.com/coracle-k8s/coracle/apiserver/admission/volumeresize"
)

// Deps is what the chain is made from.
type Deps struct {
	// Live gives the plugins their objects. The chain runs it.
	Live  *Live
	Clock clock.PassiveClock
	// Quota has the evaluators, normally apis/quota.NewConfiguration; nil
	// leaves quotas out.
	Quota quota.Configuration
	// PodSecurityMetrics may be nil.
	PodSecurityMetrics metrics.Recorder
	// OwnerReferences turns on what upstream leaves off by default: setting
	// owners needs rights on them.
	OwnerReferences *OwnerReferences
	// Authorizer says who approves, signs and attests for signers of
	// certificates; nil leaves that to authorization of the requests alone.
	Authorizer authorizer.UnconditionalAuthorizer
	// Dynamic are webhooks and policies; they come after the built-in plugins
	// and before quota.
	Dynamic []admission.Interface
}

// OwnerReferences is what ownerreferencespermission needs.
type OwnerReferences struct {
	Authorizer authorizer.UnconditionalAuthorizer
	Mapper     meta.RESTMapper
}

// both is what a chain is.
type both interface {
	admission.MutationInterface
	admission.ValidationInterface
}

// Admission is the whole chain.
type Admission struct {
	both
	run []func(context.Context) error
}

// Chain makes the chain. Requests wait for what Run feeds.
func Chain(d Deps) (*Admission, error) {
	security, err := podsecurity.New(podsecurity.Config{Objects: d.Live, Metrics: d.PodSecurityMetrics})
	if err != nil {
		return nil, fmt.Errorf("making the admission chain: %w", err)
	}
	plugins := []admission.Interface{
		namespacelifecycle.New(d.Live, d.Clock),
		limitranger.New(d.Live),
		serviceaccount.New(d.Live, names.SimpleNameGenerator),
		noderestriction.New(d.Live),
		taintnodesbycondition.New(),
		security,
		priority.New(d.Live),
		tainttolerationdefaults.New(),
		defaultstorageclass.New(d.Live),
		storageobjectinuse.New(),
	}
	if o := d.OwnerReferences; o != nil {
		plugins = append(plugins, ownerreferencespermission.New(o.Authorizer, o.Mapper))
	}
	plugins = append(plugins, volumeresize.New(d.Live), runtimeclass.New(d.Live))
	if d.Authorizer != nil {
		plugins = append(plugins, certificateapproval.New(d.Authorizer), certificatesigning.New(d.Authorizer), clustertrustbundleattest.New(d.Authorizer))
	}
	plugins = append(plugins, certificatesubjectrestriction.New(), defaultingressclass.New(d.Live), podtopologylabels.New(d.Live))
	plugins = append(plugins, d.Dynamic...)
	a := &Admission{run: []func(context.Context) error{d.Live.Run}}
	if d.Quota != nil {
		quotas := resourcequota.New(d.Live, d.Quota)
		plugins = append(plugins, quotas)
		a.run = append(a.run, quotas.Run)
	}
	a.both = admission.NewChainHandler(plugins...)
	return a, nil
}

// Run feeds the chain until ctx is done.
func (a *Admission) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range a.run {
		g.Go(func() error { return run(ctx) })
	}
	return g.Wait()
}

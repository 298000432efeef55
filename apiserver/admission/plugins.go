package admission

import (
	"io"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/storage/names"

	"github.com/coracle-k8s/coracle/apiserver/admission/always"
	"github.com/coracle-k8s/coracle/apiserver/admission/alwayspullimages"
	"github.com/coracle-k8s/coracle/apiserver/admission/antiaffinity"
	"github.com/coracle-k8s/coracle/apiserver/admission/certificateapproval"
	"github.com/coracle-k8s/coracle/apiserver/admission/certificatesigning"
	"github.com/coracle-k8s/coracle/apiserver/admission/certificatesubjectrestriction"
	"github.com/coracle-k8s/coracle/apiserver/admission/clustertrustbundleattest"
	"github.com/coracle-k8s/coracle/apiserver/admission/defaultingressclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/defaultstorageclass"
	"github.com/coracle-k8s/coracle/apiserver/admission/denyserviceexternalips"
	"github.com/coracle-k8s/coracle/apiserver/admission/dynamic"
	"github.com/coracle-k8s/coracle/apiserver/admission/eventratelimit"
	"github.com/coracle-k8s/coracle/apiserver/admission/extendedresourcetoleration"
	"github.com/coracle-k8s/coracle/apiserver/admission/imagepolicy"
	"github.com/coracle-k8s/coracle/apiserver/admission/limitranger"
	"github.com/coracle-k8s/coracle/apiserver/admission/namespaceautoprovision"
	"github.com/coracle-k8s/coracle/apiserver/admission/namespaceexists"
	"github.com/coracle-k8s/coracle/apiserver/admission/namespacelifecycle"
	"github.com/coracle-k8s/coracle/apiserver/admission/nodedeclaredfeatures"
	"github.com/coracle-k8s/coracle/apiserver/admission/noderestriction"
	"github.com/coracle-k8s/coracle/apiserver/admission/ownerreferencespermission"
	"github.com/coracle-k8s/coracle/apiserver/admission/podnodeselector"
	"github.com/coracle-k8s/coracle/apiserver/admission/podresize"
	"github.com/coracle-k8s/coracle/apiserver/admission/podsecurity"
	"github.com/coracle-k8s/coracle/apiserver/admission/podtolerationrestriction"
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

// plugin is one line of the list.
type plugin struct {
	// name is upstream's.
	name string
	// off is set if the plugin must be enabled by name.
	off bool
	// make returns nil if the chain's dependencies leave the plugin out. A
	// plugin with a method Run(context.Context) error is run with the chain.
	make func(d Deps, config io.Reader) (admission.Interface, error)
}

// plain makes a plugin that has no configuration and cannot fail.
func plain(of func(d Deps) admission.Interface) func(Deps, io.Reader) (admission.Interface, error) {
	return func(d Deps, _ io.Reader) (admission.Interface, error) { return of(d), nil }
}

// authorized makes a plugin that asks for rights; a chain without an
// authorizer has none of these.
func authorized(of func(authorizer.UnconditionalAuthorizer) admission.Interface) func(Deps, io.Reader) (admission.Interface, error) {
	return func(d Deps, _ io.Reader) (admission.Interface, error) {
		if d.Authorizer == nil {
			return nil, nil
		}
		return of(d.Authorizer), nil
	}
}

// ordered lists the plugins in the order in which they run. It is upstream's.
// PodGroupProtection is left out: its feature is off by default upstream, too.
func ordered() []plugin {
	return []plugin{
		{name: "AlwaysAdmit", off: true, make: plain(func(Deps) admission.Interface { return always.Admit{} })},
		{name: "NamespaceAutoProvision", off: true, make: plain(func(d Deps) admission.Interface { return namespaceautoprovision.New(d.Live) })},
		{name: "NamespaceLifecycle", make: plain(func(d Deps) admission.Interface { return namespacelifecycle.New(d.Live, d.Clock) })},
		{name: "NamespaceExists", off: true, make: plain(func(d Deps) admission.Interface { return namespaceexists.New(d.Live) })},
		{name: "LimitPodHardAntiAffinityTopology", off: true, make: plain(func(Deps) admission.Interface { return antiaffinity.New() })},
		{name: "LimitRanger", make: plain(func(d Deps) admission.Interface { return limitranger.New(d.Live) })},
		{name: "ServiceAccount", make: plain(func(d Deps) admission.Interface { return serviceaccount.New(d.Live, names.SimpleNameGenerator) })},
		// Upstream's installers turn NodeRestriction on; agents are held to it here, too.
		{name: "NodeRestriction", make: plain(func(d Deps) admission.Interface { return noderestriction.New(d.Live, d.Authorizer) })},
		{name: "TaintNodesByCondition", make: plain(func(Deps) admission.Interface { return taintnodesbycondition.New() })},
		{name: "AlwaysPullImages", off: true, make: plain(func(Deps) admission.Interface { return alwayspullimages.New() })},
		{name: "ImagePolicyWebhook", off: true, make: imagePolicy},
		{name: "PodSecurity", make: podSecurity},
		{name: "PodNodeSelector", off: true, make: func(d Deps, config io.Reader) (admission.Interface, error) {
			return podnodeselector.New(d.Live, config)
		}},
		{name: "Priority", make: plain(func(d Deps) admission.Interface { return priority.New(d.Live) })},
		{name: "DefaultTolerationSeconds", make: plain(defaultTolerations)},
		{name: "PodTolerationRestriction", off: true, make: func(d Deps, config io.Reader) (admission.Interface, error) {
			return podtolerationrestriction.New(d.Live, config)
		}},
		{name: "EventRateLimit", off: true, make: eventRateLimit},
		{name: "ExtendedResourceToleration", off: true, make: plain(func(Deps) admission.Interface { return extendedresourcetoleration.New() })},
		{name: "DefaultStorageClass", make: plain(func(d Deps) admission.Interface { return defaultstorageclass.New(d.Live) })},
		{name: "StorageObjectInUseProtection", make: plain(func(Deps) admission.Interface { return storageobjectinuse.New() })},
		{name: "OwnerReferencesPermissionEnforcement", off: true, make: plain(ownerReferences)},
		{name: "PersistentVolumeClaimResize", make: plain(func(d Deps) admission.Interface { return volumeresize.New(d.Live) })},
		{name: "RuntimeClass", make: plain(func(d Deps) admission.Interface { return runtimeclass.New(d.Live) })},
		{name: "CertificateApproval", make: authorized(func(a authorizer.UnconditionalAuthorizer) admission.Interface { return certificateapproval.New(a) })},
		{name: "CertificateSigning", make: authorized(func(a authorizer.UnconditionalAuthorizer) admission.Interface { return certificatesigning.New(a) })},
		{name: "ClusterTrustBundleAttest", make: authorized(func(a authorizer.UnconditionalAuthorizer) admission.Interface { return clustertrustbundleattest.New(a) })},
		{name: "CertificateSubjectRestriction", make: plain(func(Deps) admission.Interface { return certificatesubjectrestriction.New() })},
		{name: "DefaultIngressClass", make: plain(func(d Deps) admission.Interface { return defaultingressclass.New(d.Live) })},
		{name: "DenyServiceExternalIPs", off: true, make: plain(func(Deps) admission.Interface { return denyserviceexternalips.New() })},
		{name: "PodTopologyLabels", make: plain(func(d Deps) admission.Interface { return podtopologylabels.New(d.Live) })},
		{name: "NodeDeclaredFeatureValidator", make: plain(func(d Deps) admission.Interface { return nodedeclaredfeatures.New(d.Live) })},
		{name: "PodResizeValidator", make: plain(func(d Deps) admission.Interface { return podresize.New(d.Live) })},
		{name: "MutatingAdmissionPolicy", make: policies(mutatingPolicies)},
		{name: "MutatingAdmissionWebhook", make: mutatingWebhooks},
		{name: "ValidatingAdmissionPolicy", make: policies(validatingPolicies)},
		{name: "ValidatingAdmissionWebhook", make: validatingWebhooks},
		{name: "ResourceQuota", make: resourceQuota},
		{name: "AlwaysDeny", off: true, make: plain(func(Deps) admission.Interface { return always.Deny{} })},
	}
}

func defaultTolerations(d Deps) admission.Interface {
	notReady, unreachable := int64(tolerationSeconds), int64(tolerationSeconds)
	if d.NotReadySeconds != nil {
		notReady = *d.NotReadySeconds
	}
	if d.UnreachableSeconds != nil {
		unreachable = *d.UnreachableSeconds
	}
	return tainttolerationdefaults.New(notReady, unreachable)
}

func podSecurity(d Deps, config io.Reader) (admission.Interface, error) {
	defaults, err := podsecurity.Load(config)
	if err != nil {
		return nil, err
	}
	return podsecurity.New(podsecurity.Config{Objects: d.Live, Metrics: d.PodSecurityMetrics, Defaults: defaults})
}

func imagePolicy(_ Deps, config io.Reader) (admission.Interface, error) {
	p, err := imagepolicy.New(config)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func eventRateLimit(d Deps, config io.Reader) (admission.Interface, error) {
	p, err := eventratelimit.New(config, d.Clock)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func ownerReferences(d Deps) admission.Interface {
	if d.Authorizer == nil || d.Mapper == nil {
		return nil
	}
	return ownerreferencespermission.New(d.Authorizer, d.Mapper)
}

// policies makes a plugin whose policies are in the API alone.
func policies(of func(Deps) admission.Interface) func(Deps, io.Reader) (admission.Interface, error) {
	return func(d Deps, config io.Reader) (admission.Interface, error) {
		if err := dynamic.RefuseManifests(config); err != nil {
			return nil, err
		}
		return of(d), nil
	}
}

func mutatingPolicies(d Deps) admission.Interface {
	if d.Dynamic == nil {
		return nil
	}
	return dynamic.MutatingPolicies(*d.Dynamic)
}

func mutatingWebhooks(d Deps, config io.Reader) (admission.Interface, error) {
	if d.Dynamic == nil {
		return nil, nil
	}
	return dynamic.MutatingWebhooks(*d.Dynamic, config)
}

func validatingPolicies(d Deps) admission.Interface {
	if d.Dynamic == nil {
		return nil
	}
	return dynamic.ValidatingPolicies(*d.Dynamic)
}

func validatingWebhooks(d Deps, config io.Reader) (admission.Interface, error) {
	if d.Dynamic == nil {
		return nil, nil
	}
	return dynamic.ValidatingWebhooks(*d.Dynamic, config)
}

func resourceQuota(d Deps, config io.Reader) (admission.Interface, error) {
	if d.Quota == nil {
		return nil, nil
	}
	return resourcequota.New(d.Live, d.Quota, config)
}

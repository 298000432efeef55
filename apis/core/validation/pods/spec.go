package pods

import (
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/coracle-k8s/coracle/apis/core/validation/container"
	"github.com/coracle-k8s/coracle/apis/core/validation/options"
	"github.com/coracle-k8s/coracle/apis/core/validation/resources"
	"github.com/coracle-k8s/coracle/apis/core/validation/scheduling"
	"github.com/coracle-k8s/coracle/apis/core/validation/volume"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidatePodTemplateSpec validates a template of pods.
func ValidatePodTemplateSpec(t *corev1.PodTemplateSpec, fldPath *field.Path, opts options.Pod) field.ErrorList {
	spec := fldPath.Child("spec")
	errs := metavalidation.ValidateLabels(t.Labels, fldPath.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, fldPath.Child("annotations"))...)
	errs = append(errs, podAnnotations(fldPath.Child("annotations"), t.Annotations, &t.Spec, opts)...)
	errs = append(errs, ValidatePodSpec(&t.Spec, spec, opts)...)
	errs = append(errs, container.ProfilesMatch(spec, t.Annotations, &t.Spec)...)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(spec.Child("ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}

// ValidatePodSpec validates the spec of a pod or of a template (see opts), in
// upstream's order.
func ValidatePodSpec(spec *corev1.PodSpec, fldPath *field.Path, opts options.Pod) field.ErrorList {
	s := container.Scope{Spec: spec, Options: opts}
	var errs field.ErrorList
	if spec.TerminationGracePeriodSeconds == nil {
		errs = append(errs, field.Required(fldPath.Child("terminationGracePeriodSeconds"), ""))
	}
	var more field.ErrorList
	s.Volumes, more = volume.Volumes(fldPath.Child("volumes"), spec.Volumes, opts)
	errs = append(errs, more...)
	s.Claims, more = resourceClaims(fldPath.Child("resourceClaims"), spec.ResourceClaims, opts)
	errs = append(errs, more...)
	errs = append(errs, s.Containers(fldPath.Child("containers"))...)
	errs = append(errs, s.InitContainers(fldPath.Child("initContainers"))...)
	errs = append(errs, s.EphemeralContainers(fldPath.Child("ephemeralContainers"))...)
	errs = append(errs, s.PodRequirements(fldPath.Child("resources"))...)
	errs = append(errs, s.HostNetworkPorts(fldPath.Child("containers"))...)
	errs = append(errs, check.RequiredOneOf(fldPath.Child("restartPolicy"), spec.RestartPolicy, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	errs = append(errs, check.RequiredOneOf(fldPath.Child("dnsPolicy"), spec.DNSPolicy,
		corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)...)
	errs = append(errs, metavalidation.ValidateLabels(spec.NodeSelector, fldPath.Child("nodeSelector"))...)
	errs = append(errs, s.PodSecurity(fldPath.Child("securityContext"))...)
	if share := spec.ShareProcessNamespace; share != nil && *share && spec.HostPID {
		errs = append(errs, field.Invalid(fldPath.Child("shareProcessNamespace"), *share, "ShareProcessNamespace and HostPID cannot both be enabled"))
	}
	errs = append(errs, scheduling.Affinity(fldPath.Child("affinity"), spec.Affinity, opts)...)
	errs = append(errs, dnsConfig(fldPath.Child("dnsConfig"), spec)...)
	errs = append(errs, gates(fldPath, spec)...)
	errs = append(errs, scheduling.SpreadConstraints(fldPath.Child("topologySpreadConstraints"), spec.TopologySpreadConstraints, opts)...)
	errs = append(errs, s.HostProcesses(fldPath)...)
	errs = append(errs, s.OwnUsers(fldPath)...)
	errs = append(errs, names(fldPath, spec, opts)...)
	errs = append(errs, operatingSystem(fldPath, spec)...)
	return append(errs, s.FileKeyVolumes(fldPath)...)
}

func gates(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	for i, g := range p.ReadinessGates {
		errs = append(errs, check.Invalid(fldPath.Child("readinessGates").Index(i).Child("conditionType"), string(g.ConditionType), validation.IsQualifiedName(string(g.ConditionType)))...)
	}
	names := sets.New[string]()
	for i, g := range p.SchedulingGates {
		at := fldPath.Child("schedulingGates").Index(i)
		errs = append(errs, check.Invalid(at, g.Name, validation.IsQualifiedName(g.Name))...)
		if names.Has(g.Name) {
			errs = append(errs, field.Duplicate(at, g.Name))
		}
		names.Insert(g.Name)
	}
	return errs
}

// names validates names of other objects and of the pod's own host, and what
// upstream validates among them.
func names(fldPath *field.Path, p *corev1.PodSpec, opts options.Pod) field.ErrorList {
	errs := hostnameOverride(fldPath.Child("hostnameOverride"), p)
	optional := func(name, value string, valid func(string) []string) {
		if value != "" {
			errs = append(errs, check.Invalid(fldPath.Child(name), value, valid(value))...)
		}
	}
	optional("serviceAccountName", p.ServiceAccountName, check.IsSubdomain)
	optional("nodeName", p.NodeName, check.IsSubdomain)
	if d := p.ActiveDeadlineSeconds; d != nil && (*d < 1 || *d > math.MaxInt32) {
		errs = append(errs, field.Invalid(fldPath.Child("activeDeadlineSeconds"), *d, validation.InclusiveRangeError(1, math.MaxInt32)))
	}
	optional("hostname", p.Hostname, validation.IsDNS1123Label)
	optional("subdomain", p.Subdomain, validation.IsDNS1123Label)
	errs = append(errs, scheduling.Tolerations(fldPath.Child("tolerations"), p.Tolerations)...)
	for i, a := range p.HostAliases {
		at := fldPath.Child("hostAliases").Index(i)
		errs = append(errs, validation.IsValidIPForLegacyField(at.Child("ip"), a.IP, true, nil)...)
		for j, h := range a.Hostnames {
			errs = append(errs, check.Invalid(at.Child("hostnames").Index(j), h, check.IsSubdomain(h))...)
		}
	}
	optional("priorityClassName", p.PriorityClassName, check.IsSubdomain)
	if n := p.RuntimeClassName; n != nil {
		errs = append(errs, check.Invalid(fldPath.Child("runtimeClassName"), *n, check.IsSubdomain(*n))...)
	}
	if p.PreemptionPolicy != nil {
		errs = append(errs, check.RequiredOneOf(fldPath.Child("preemptionPolicy"), *p.PreemptionPolicy, corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	if p.Overhead != nil {
		errs = append(errs, resources.Requirements(fldPath.Child("overhead"), &corev1.ResourceRequirements{Limits: p.Overhead}, resources.ContainerName, nil, opts.AllowIndivisibleHugePages)...)
	}
	return errs
}

// maxHostname is HOST_NAME_MAX of Linux.
const maxHostname = 64

func hostnameOverride(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	h := p.HostnameOverride
	if h == nil {
		return nil
	}
	var errs field.ErrorList
	if p.SetHostnameAsFQDN != nil && *p.SetHostnameAsFQDN {
		errs = append(errs, field.Forbidden(fldPath, "may not be specified when setHostnameAsFQDN is true"))
	}
	if p.HostNetwork {
		errs = append(errs, field.Forbidden(fldPath, "may not be specified when hostNetwork is true"))
	}
	if len(*h) > maxHostname {
		errs = append(errs, field.TooLong(fldPath, *h, maxHostname))
	}
	return append(errs, check.Invalid(fldPath, *h, check.IsSubdomain(*h))...)
}

// The limits of the C library's resolver; see resolv.conf(5).
const (
	maxNameservers   = 3
	maxSearches      = 32
	maxSearchesBytes = 2048
)

func dnsConfig(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	c := p.DNSConfig
	if p.DNSPolicy == corev1.DNSNone {
		if c == nil {
			return field.ErrorList{field.Required(fldPath, fmt.Sprintf("must provide `dnsConfig` when `dnsPolicy` is %s", corev1.DNSNone))}
		}
		if len(c.Nameservers) == 0 {
			return field.ErrorList{field.Required(fldPath.Child("nameservers"), fmt.Sprintf("must provide at least one DNS nameserver when `dnsPolicy` is %s", corev1.DNSNone))}
		}
	}
	if c == nil {
		return errs
	}
	if len(c.Nameservers) > maxNameservers {
		errs = append(errs, field.Invalid(fldPath.Child("nameservers"), c.Nameservers, fmt.Sprintf("must not have more than %v nameservers", maxNameservers)))
	}
	for i, ns := range c.Nameservers {
		errs = append(errs, validation.IsValidIPForLegacyField(fldPath.Child("nameservers").Index(i), ns, true, nil)...)
	}
	at := fldPath.Child("searches")
	if len(c.Searches) > maxSearches {
		errs = append(errs, field.Invalid(at, c.Searches, fmt.Sprintf("must not have more than %v search paths", maxSearches)))
	}
	if len(strings.Join(c.Searches, " ")) > maxSearchesBytes {
		errs = append(errs, field.Invalid(at, c.Searches, fmt.Sprintf("must not have more than %v characters (including spaces) in the search list", maxSearchesBytes)))
	}
	for i, v := range c.Searches {
		if v != "." {
			v = strings.TrimSuffix(v, ".")
			errs = append(errs, check.Invalid(at.Index(i), v, validation.IsDNS1123SubdomainWithUnderscore(v))...)
		}
	}
	for i, o := range c.Options {
		if o.Name == "" {
			errs = append(errs, field.Required(fldPath.Child("options").Index(i), "must not be empty"))
		}
	}
	return errs
}

// resourceClaims validates the pod's claims on devices and returns their names.
func resourceClaims(fldPath *field.Path, list []corev1.PodResourceClaim, opts options.Pod) (sets.Set[string], field.ErrorList) {
	var errs field.ErrorList
	names, seen := sets.New[string](), sets.New[string]()
	for i, c := range list {
		if c.Name != "" {
			names.Insert(c.Name)
		}
		if opts.Static() {
			errs = append(errs, field.Forbidden(field.NewPath(""), "static pods do not support resource claims"))
			continue
		}
		at := fldPath.Index(i)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case seen.Has(c.Name):
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		default:
			errs = append(errs, check.Invalid(at.Child("name"), c.Name, validation.IsDNS1123Label(c.Name))...)
			seen.Insert(c.Name)
		}
		switch {
		case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
			errs = append(errs, field.Invalid(at, hub.Internal(c), "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
		case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
			errs = append(errs, field.Invalid(at, hub.Internal(c), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
		}
		if n := c.ResourceClaimName; n != nil {
			errs = append(errs, check.Invalid(at.Child("resourceClaimName"), *n, check.IsSubdomain(*n))...)
		}
		if n := c.ResourceClaimTemplateName; n != nil {
			errs = append(errs, check.Invalid(at.Child("resourceClaimTemplateName"), *n, check.IsSubdomain(*n))...)
		}
	}
	return names, errs
}

package core

import (
	"fmt"
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// PodOptions says what a pod is validated for, and what is let pass because
// the stored object has it already. Zero is a new template.
type PodOptions struct {
	// ResourceIsPod is for a pod itself, as opposed to a template of pods.
	ResourceIsPod bool
	// AllowInvalidLabelValueInSelector keeps selectors that were stored with
	// values no label can have.
	AllowInvalidLabelValueInSelector bool
	// AllowIndivisibleHugePages keeps amounts that are no whole number of pages.
	AllowIndivisibleHugePages bool
	// AllowInvalidDeletionCost keeps a deletion cost that is no number.
	AllowInvalidDeletionCost bool
	// OldIPs are addresses that are let pass although they are written in an
	// ambiguous way, because the stored object has them.
	OldIPs []string
}

// PodOptionsFor returns the options for an object of which old was stored; old
// is nil for a new one.
func PodOptionsFor(old *corev1.PodSpec) PodOptions {
	if old == nil {
		return PodOptions{}
	}
	var o PodOptions
	for i := range old.TopologySpreadConstraints {
		s := old.TopologySpreadConstraints[i].LabelSelector
		o.AllowInvalidLabelValueInSelector = o.AllowInvalidLabelValueInSelector || badSelector(s)
	}
	if a := old.Affinity; a != nil && len(affinity(field.NewPath("affinity"), a, PodOptions{})) > 0 &&
		len(affinity(field.NewPath("affinity"), a, PodOptions{AllowInvalidLabelValueInSelector: true})) == 0 {
		o.AllowInvalidLabelValueInSelector = true
	}
	for _, list := range [][]corev1.Container{old.Containers, old.InitContainers} {
		for i := range list {
			for name, q := range list[i].Resources.Limits {
				o.AllowIndivisibleHugePages = o.AllowIndivisibleHugePages || len(wholePages(field.NewPath("x"), name, q, PodOptions{})) > 0
			}
		}
	}
	for _, h := range old.HostAliases {
		o.OldIPs = append(o.OldIPs, h.IP)
	}
	if old.DNSConfig != nil {
		o.OldIPs = append(o.OldIPs, old.DNSConfig.Nameservers...)
	}
	return o
}

func badSelector(s *metav1.LabelSelector) bool {
	return s != nil && metavalidation.LabelSelectorHasInvalidLabelValue(s)
}

// ValidatePodTemplateSpec validates a template of pods.
func ValidatePodTemplateSpec(t *corev1.PodTemplateSpec, fldPath *field.Path, opts PodOptions) field.ErrorList {
	errs := metavalidation.ValidateLabels(t.Labels, fldPath.Child("labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, fldPath.Child("annotations"))...)
	errs = append(errs, podAnnotations(fldPath.Child("annotations"), t.Annotations, &t.Spec, opts)...)
	errs = append(errs, ValidatePodSpec(&t.Spec, fldPath.Child("spec"), opts)...)
	if len(t.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(fldPath.Child("spec", "ephemeralContainers"), "ephemeral containers not allowed in pod template"))
	}
	return errs
}

// ValidatePodSpec validates the spec of a pod or of a template (see opts).
func ValidatePodSpec(spec *corev1.PodSpec, fldPath *field.Path, opts PodOptions) field.ErrorList {
	s := podScope{spec: spec, opts: opts}
	var errs field.ErrorList
	if spec.TerminationGracePeriodSeconds == nil {
		errs = append(errs, field.Required(fldPath.Child("terminationGracePeriodSeconds"), ""))
	}
	var more field.ErrorList
	s.volumes, more = volumes(fldPath.Child("volumes"), spec.Volumes, opts)
	errs = append(errs, more...)
	s.claims, more = resourceClaims(fldPath.Child("resourceClaims"), spec.ResourceClaims)
	errs = append(errs, more...)
	errs = append(errs, s.containers(fldPath.Child("containers"))...)
	errs = append(errs, s.initContainers(fldPath.Child("initContainers"))...)
	errs = append(errs, s.ephemeralContainers(fldPath.Child("ephemeralContainers"))...)
	errs = append(errs, podRequirements(fldPath.Child("resources"), spec, opts)...)
	errs = append(errs, requiredOneOf(fldPath.Child("restartPolicy"), spec.RestartPolicy, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)...)
	errs = append(errs, s.podSecurity(fldPath)...)
	errs = append(errs, s.scheduling(fldPath)...)
	errs = append(errs, s.names(fldPath)...)
	errs = append(errs, s.network(fldPath)...)
	return append(errs, s.system(fldPath)...)
}

// scheduling validates what the scheduler reads.
func (s *podScope) scheduling(fldPath *field.Path) field.ErrorList {
	p := s.spec
	errs := metavalidation.ValidateLabels(p.NodeSelector, fldPath.Child("nodeSelector"))
	errs = append(errs, affinity(fldPath.Child("affinity"), p.Affinity, s.opts)...)
	errs = append(errs, tolerations(fldPath.Child("tolerations"), p.Tolerations)...)
	errs = append(errs, spreadConstraints(fldPath.Child("topologySpreadConstraints"), p.TopologySpreadConstraints, s.opts)...)
	errs = append(errs, optionalOneOf(fldPath.Child("preemptionPolicy"), p.PreemptionPolicy, corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	gates := sets.New[string]()
	for i, g := range p.SchedulingGates {
		at := fldPath.Child("schedulingGates").Index(i)
		errs = append(errs, invalid(at, g.Name, validation.IsQualifiedName(g.Name))...)
		if gates.Has(g.Name) {
			errs = append(errs, field.Duplicate(at, g.Name))
		}
		gates.Insert(g.Name)
	}
	for i, g := range p.ReadinessGates {
		errs = append(errs, invalid(fldPath.Child("readinessGates").Index(i).Child("conditionType"), g.ConditionType, validation.IsQualifiedName(string(g.ConditionType)))...)
	}
	if g := p.SchedulingGroup; g != nil && g.PodGroupName != nil {
		errs = append(errs, named(fldPath.Child("schedulingGroup", "podGroupName"), *g.PodGroupName, isSubdomain)...)
	}
	return errs
}

// names validates names of other objects and of the pod's own host.
func (s *podScope) names(fldPath *field.Path) field.ErrorList {
	p := s.spec
	var errs field.ErrorList
	optional := func(name, value string, valid func(string) []string) {
		if value != "" {
			errs = append(errs, invalid(fldPath.Child(name), value, valid(value))...)
		}
	}
	optional("serviceAccountName", p.ServiceAccountName, isSubdomain)
	optional("nodeName", p.NodeName, isSubdomain)
	optional("hostname", p.Hostname, validation.IsDNS1123Label)
	optional("subdomain", p.Subdomain, validation.IsDNS1123Label)
	optional("priorityClassName", p.PriorityClassName, isSubdomain)
	if n := p.RuntimeClassName; n != nil {
		errs = append(errs, invalid(fldPath.Child("runtimeClassName"), *n, isSubdomain(*n))...)
	}
	if h := p.HostnameOverride; h != nil {
		at := fldPath.Child("hostnameOverride")
		errs = append(errs, invalid(at, *h, isSubdomain(*h))...)
		if len(*h) > 64 {
			errs = append(errs, field.TooLong(at, *h, 64))
		}
		if p.SetHostnameAsFQDN != nil && *p.SetHostnameAsFQDN {
			errs = append(errs, field.Forbidden(at, "may not be specified when `setHostnameAsFQDN` is true"))
		}
		if p.HostNetwork {
			errs = append(errs, field.Forbidden(at, "may not be specified when `hostNetwork` is true"))
		}
	}
	return errs
}

// What the C library's resolver can hold; see resolv.conf(5).
const (
	maxNameservers   = 3
	maxSearches      = 32
	maxSearchesBytes = 2048
)

// network validates DNS and host aliases.
func (s *podScope) network(fldPath *field.Path) field.ErrorList {
	p := s.spec
	errs := requiredOneOf(fldPath.Child("dnsPolicy"), p.DNSPolicy,
		corev1.DNSClusterFirstWithHostNet, corev1.DNSClusterFirst, corev1.DNSDefault, corev1.DNSNone)
	errs = append(errs, s.dnsConfig(fldPath.Child("dnsConfig"))...)
	for i, a := range p.HostAliases {
		at := fldPath.Child("hostAliases").Index(i)
		errs = append(errs, validation.IsValidIPForLegacyField(at.Child("ip"), a.IP, true, s.opts.OldIPs)...)
		for j, h := range a.Hostnames {
			errs = append(errs, invalid(at.Child("hostnames").Index(j), h, isSubdomain(h))...)
		}
	}
	return errs
}

func (s *podScope) dnsConfig(fldPath *field.Path) field.ErrorList {
	var errs field.ErrorList
	c := s.spec.DNSConfig
	if s.spec.DNSPolicy == corev1.DNSNone {
		if c == nil {
			return field.ErrorList{field.Required(fldPath, fmt.Sprintf("must provide `dnsConfig` when `dnsPolicy` is %s", corev1.DNSNone))}
		}
		if len(c.Nameservers) == 0 {
			errs = append(errs, field.Required(fldPath.Child("nameservers"), fmt.Sprintf("must provide at least one DNS nameserver when `dnsPolicy` is %s", corev1.DNSNone)))
		}
	}
	if c == nil {
		return errs
	}
	if len(c.Nameservers) > maxNameservers {
		errs = append(errs, field.Invalid(fldPath.Child("nameservers"), c.Nameservers, fmt.Sprintf("must not have more than %v nameservers", maxNameservers)))
	}
	for i, ns := range c.Nameservers {
		errs = append(errs, validation.IsValidIPForLegacyField(fldPath.Child("nameservers").Index(i), ns, true, s.opts.OldIPs)...)
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
			errs = append(errs, invalid(at.Index(i), v, validation.IsDNS1123SubdomainWithUnderscore(strings.TrimSuffix(v, ".")))...)
		}
	}
	for i, o := range c.Options {
		errs = append(errs, required(fldPath.Child("options").Index(i), o.Name)...)
	}
	return errs
}

// system validates what is left: deadlines, overhead, operating system, responders.
func (s *podScope) system(fldPath *field.Path) field.ErrorList {
	p := s.spec
	var errs field.ErrorList
	if d := p.ActiveDeadlineSeconds; d != nil && (*d < 1 || *d > math.MaxInt32) {
		errs = append(errs, field.Invalid(fldPath.Child("activeDeadlineSeconds"), *d, validation.InclusiveRangeError(1, math.MaxInt32)))
	}
	if p.Overhead != nil {
		errs = append(errs, requirements(fldPath.Child("overhead"), &corev1.ResourceRequirements{Limits: p.Overhead}, nil, s.opts)...)
	}
	if p.OS != nil {
		errs = append(errs, requiredOneOf(fldPath.Child("os", "name"), p.OS.Name, corev1.Linux, corev1.Windows)...)
		errs = append(errs, s.otherSystem(fldPath)...)
	}
	return append(errs, evictionResponders(fldPath.Child("evictionResponders"), p)...)
}

// maxResponders and maxResponderPriority are those of the field's documentation.
const (
	maxResponders        = 10
	maxResponderPriority = 100000
)

func evictionResponders(fldPath *field.Path, p *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	if len(p.EvictionResponders) > 0 && p.SchedulingGroup != nil {
		errs = append(errs, field.Forbidden(fldPath, "may not be set when `schedulingGroup` is set"))
	}
	if len(p.EvictionResponders) > maxResponders {
		errs = append(errs, field.TooMany(fldPath, len(p.EvictionResponders), maxResponders))
	}
	names := sets.New[string]()
	for i, r := range p.EvictionResponders {
		at := fldPath.Index(i)
		if r.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		} else {
			errs = append(errs, validation.IsDomainPrefixedKey(at.Child("name"), r.Name)...)
		}
		if names.Has(r.Name) {
			errs = append(errs, field.Duplicate(at, r.Name))
		}
		names.Insert(r.Name)
		switch {
		case r.Priority == nil:
			errs = append(errs, field.Required(at.Child("priority"), ""))
		case *r.Priority < 0 || *r.Priority > maxResponderPriority:
			errs = append(errs, field.Invalid(at.Child("priority"), *r.Priority, validation.InclusiveRangeError(0, maxResponderPriority)))
		}
	}
	return errs
}

// resourceClaims validates the pod's claims on devices and returns their names.
func resourceClaims(fldPath *field.Path, list []corev1.PodResourceClaim) (sets.Set[string], field.ErrorList) {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, c := range list {
		at := fldPath.Index(i)
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case names.Has(c.Name):
			errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
		default:
			errs = append(errs, invalid(at.Child("name"), c.Name, validation.IsDNS1123Label(c.Name))...)
			names.Insert(c.Name)
		}
		switch {
		case c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil:
			errs = append(errs, field.Invalid(at, c, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"))
		case c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil:
			errs = append(errs, field.Invalid(at, c, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"))
		}
		if n := c.ResourceClaimName; n != nil {
			errs = append(errs, invalid(at.Child("resourceClaimName"), *n, isSubdomain(*n))...)
		}
		if n := c.ResourceClaimTemplateName; n != nil {
			errs = append(errs, invalid(at.Child("resourceClaimTemplateName"), *n, isSubdomain(*n))...)
		}
	}
	return names, errs
}

package pods

import (
	"fmt"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/core/pod"
	"github.com/coracle-k8s/coracle/apis/hub"
	"github.com/coracle-k8s/coracle/apis/internal/check"
)

// ValidatePodStatusUpdate validates the subresource status, in upstream's order.
func ValidatePodStatusUpdate(p, old *corev1.Pod) field.ErrorList {
	status := field.NewPath("status")
	errs := check.ObjectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podAnnotationsUpdate(p, old, podUpdateOptions(old))...)
	errs = append(errs, podConditions(status.Child("conditions"), p.Status.Conditions)...)
	if p.Spec.NodeName != old.Spec.NodeName {
		errs = append(errs, field.Forbidden(status.Child("nodeName"), "may not be changed directly"))
	}
	if now := p.Status.NominatedNodeName; now != "" && now != old.Status.NominatedNodeName {
		errs = append(errs, check.Invalid(status.Child("nominatedNodeName"), now, check.IsSubdomain(now))...)
		if old.Spec.NodeName != "" {
			errs = append(errs, field.Forbidden(status.Child("nominatedNodeName"), "may not be set on pods that are already bound to a node"))
		}
	}
	errs = append(errs, observed(status, p.Status.ObservedGeneration)...)
	errs = append(errs, check.Unchanged(status.Child("qosClass"), p.Status.QOSClass, old.Status.QOSClass)...)
	lists := []statusList{
		{status.Child("containerStatuses"), p.Status.ContainerStatuses, old.Status.ContainerStatuses, old.Spec.Containers, p.Spec.Containers},
		{status.Child("initContainerStatuses"), p.Status.InitContainerStatuses, old.Status.InitContainerStatuses, old.Spec.InitContainers, p.Spec.InitContainers},
		{path: status.Child("ephemeralContainerStatuses"), now: p.Status.EphemeralContainerStatuses, old: old.Status.EphemeralContainerStatuses},
	}
	for i, l := range lists {
		errs = append(errs, l.transitions(&old.Spec, i == len(lists)-1)...)
	}
	errs = append(errs, claimStatuses(status.Child("resourceClaimStatuses"), p)...)
	errs = append(errs, extendedClaimStatus(status.Child("extendedResourceClaimStatus"), p)...)
	errs = append(errs, podIPs(status.Child("podIPs"), p, old)...)
	errs = append(errs, hostIPs(status.Child("hostIPs"), p, old)...)
	for _, l := range lists {
		errs = append(errs, containerUsers(l.path, l.now, p.Spec.OS)...)
	}
	errs = append(errs, lists[0].allocated(p.Status.ExtendedResourceClaimStatus)...)
	errs = append(errs, lists[1].allocated(p.Status.ExtendedResourceClaimStatus)...)
	return append(errs, lists[2].notAllocated()...)
}

// statusList is a list of the states of containers with what it is validated
// against: itself before, and the containers of the pod before and now.
type statusList struct {
	path                   *field.Path
	now, old               []corev1.ContainerStatus
	containersWere, areNow []corev1.Container
}

func observed(fldPath *field.Path, generation int64) field.ErrorList {
	if generation < 0 {
		return field.ErrorList{field.Invalid(fldPath.Child("observedGeneration"), generation, "must be a non-negative integer")}
	}
	return nil
}

// extendedClaimStatus validates that each request of the claim is of a resource that
// a container asked for.
func extendedClaimStatus(fldPath *field.Path, p *corev1.Pod) (errs field.ErrorList) {
	s := p.Status.ExtendedResourceClaimStatus
	if s == nil {
		return nil
	}
	mappings := fldPath.Child("requestMappings")
	if len(s.RequestMappings) == 0 {
		errs = append(errs, field.Required(mappings, "at least one request mapping is required"))
	}
	requests := map[string]corev1.ResourceList{}
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		requests[c.Name] = c.Resources.Requests
	}
	seen := sets.New[corev1.ContainerExtendedResourceRequest]()
	for i, m := range s.RequestMappings {
		at := mappings.Index(i)
		if list, ok := requests[m.ContainerName]; !ok {
			errs = append(errs, field.Invalid(at.Child("containerName"), m.ContainerName, "must match the name of an entry in spec.initContainers.name or spec.containers.name"))
		} else if _, ok := list[corev1.ResourceName(m.ResourceName)]; !ok {
			errs = append(errs, field.Invalid(at.Child("resourceName"), m.ResourceName,
				"must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests"))
		}
		errs = append(errs, check.Invalid(fldPath.Child("requestName"), m.RequestName, validation.IsDNS1123Label(m.RequestName))...)
		if seen.Has(m) {
			errs = append(errs, field.Duplicate(at.Child("containerName"), m.ContainerName),
				field.Duplicate(at.Child("resourceName"), m.ResourceName), field.Duplicate(at.Child("requestName"), m.RequestName))
		}
		seen.Insert(m)
	}
	if s.ResourceClaimName == "" {
		return append(errs, field.Required(fldPath.Child("resourceClaimName"), ""))
	}
	return append(errs, check.Invalid(fldPath.Child("resourceClaimName"), s.ResourceClaimName, check.IsSubdomain(s.ResourceClaimName))...)
}

func podConditions(fldPath *field.Path, list []corev1.PodCondition) field.ErrorList {
	var errs field.ErrorList
	for i, c := range list {
		at := fldPath.Index(i)
		errs = append(errs, observed(at, c.ObservedGeneration)...)
		switch c.Type {
		case corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized:
		default:
			errs = append(errs, check.Invalid(at.Child("Type"), string(c.Type), validation.IsQualifiedName(string(c.Type)))...)
		}
	}
	return errs
}

// transitions validates that a container which will not be started again stays
// terminated; those for debugging never are.
func (l *statusList) transitions(spec *corev1.PodSpec, debugging bool) field.ErrorList {
	if !debugging && restartsAll(spec) {
		return nil
	}
	var errs field.ErrorList
	for i := range l.old {
		o := &l.old[i]
		term := o.State.Terminated
		n := pod.FindContainerStatus(l.now, o.Name)
		if term == nil || n == nil || n.State.Terminated != nil {
			continue
		}
		c := slices.IndexFunc(l.containersWere, func(c corev1.Container) bool { return c.Name == o.Name })
		if c < 0 || !restarts(&l.containersWere[c], spec.RestartPolicy, term.ExitCode) {
			errs = append(errs, field.Forbidden(l.path.Index(i).Child("state"), "may not be transitioned to non-terminated state"))
		}
	}
	return errs
}

// restarts reports whether c is started again after it ended with code.
func restarts(c *corev1.Container, policy corev1.RestartPolicy, code int32) bool {
	if c.RestartPolicy == nil {
		return policyRestarts(policy, code)
	}
	for _, r := range c.RestartPolicyRules {
		if r.ExitCodes == nil {
			continue
		}
		listed := slices.Contains(r.ExitCodes.Values, code)
		if listed && r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn ||
			!listed && r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpNotIn {
			return true
		}
	}
	return policyRestarts(corev1.RestartPolicy(*c.RestartPolicy), code)
}

func policyRestarts(p corev1.RestartPolicy, code int32) bool {
	switch p {
	case corev1.RestartPolicyOnFailure:
		return code != 0
	case corev1.RestartPolicyNever:
		return false
	}
	return true
}

// restartsAll reports whether some container's end may start all others again.
func restartsAll(spec *corev1.PodSpec) bool {
	return !pod.VisitContainers(spec, func(c *corev1.Container, _ pod.ContainerType) bool {
		return !slices.ContainsFunc(c.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			return r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
		})
	})
}

func containerUsers(fldPath *field.Path, list []corev1.ContainerStatus, os *corev1.PodOS) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		if list[i].User == nil || list[i].User.Linux == nil {
			continue
		}
		u, at := list[i].User.Linux, fldPath.Index(i).Child("user", "linux")
		if os != nil && os.Name != corev1.Linux {
			errs = append(errs, check.Forbid("cannot be set for a windows pod", check.Given(at, os.Name == corev1.Windows))...)
			continue
		}
		if u.UID < 0 || u.UID > math.MaxUint32 {
			errs = append(errs, field.Invalid(at.Child("uid"), u.UID, fmt.Sprintf("must be between 0 and %d, inclusive", int64(math.MaxUint32))))
		}
		errs = append(errs, check.GroupID(at.Child("gid"), &u.GID)...)
		for j := range u.SupplementalGroups {
			errs = append(errs, check.GroupID(at.Child("supplementalGroups").Index(j), &u.SupplementalGroups[j])...)
		}
	}
	return errs
}

func podIPs(fldPath *field.Path, p, old *corev1.Pod) field.ErrorList {
	list := func(p *corev1.Pod) []string {
		out := make([]string, 0, len(p.Status.PodIPs))
		for _, ip := range p.Status.PodIPs {
			out = append(out, ip.IP)
		}
		return out
	}
	ips := list(p)
	errs := dualStack(fldPath, ips, list(old), hub.Internal(p.Status.PodIPs))
	switch {
	case (p.Status.PodIP != "") != (len(ips) > 0):
		errs = append(errs, field.Invalid(fldPath, hub.Internal(p.Status.PodIPs), "podIP and podIPs must either both be set or both be unset"))
	case len(ips) > 0 && p.Status.PodIP != ips[0]:
		errs = append(errs, field.Invalid(fldPath.Index(0).Child("ip"), ips[0], "must be equal to `podIP`"))
	}
	return errs
}

func hostIPs(fldPath *field.Path, p, old *corev1.Pod) field.ErrorList {
	list := func(p *corev1.Pod) []string {
		out := make([]string, 0, len(p.Status.HostIPs))
		for _, ip := range p.Status.HostIPs {
			out = append(out, ip.IP)
		}
		return out
	}
	ips := list(p)
	var errs field.ErrorList
	if len(ips) > 0 && p.Status.HostIP != ips[0] {
		errs = append(errs, field.Invalid(fldPath.Index(0).Child("ip"), ips[0], "must be equal to `hostIP`"))
	}
	return append(errs, dualStack(fldPath, ips, list(old), hub.Internal(p.Status.HostIPs))...)
}

// dualStack returns errors unless list has at most one address of each family.
func dualStack(fldPath *field.Path, list, old []string, value any) field.ErrorList {
	var errs field.ErrorList
	for i, ip := range list {
		errs = append(errs, validation.IsValidIPForLegacyField(fldPath.Index(i), ip, true, old)...)
	}
	if len(list) < 2 {
		return errs
	}
	dual, err := netutils.IsDualStackIPStrings(list)
	if err != nil {
		errs = append(errs, field.InternalError(fldPath, fmt.Errorf("failed to check for dual stack with error:%w", err)))
	}
	if !dual || len(list) > 2 {
		errs = append(errs, field.Invalid(fldPath, value, "may specify no more than one IP for each IP family"))
	}
	return errs
}

func claimStatuses(fldPath *field.Path, p *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	claims := sets.New[string]()
	for _, c := range p.Spec.ResourceClaims {
		claims.Insert(c.Name)
	}
	seen := sets.New[string]()
	for i, s := range p.Status.ResourceClaimStatuses {
		at := fldPath.Index(i)
		if !claims.Has(s.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), s.Name, "must match the name of an entry in `spec.resourceClaims`"))
		}
		if seen.Has(s.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), s.Name))
		}
		seen.Insert(s.Name)
		if n := s.ResourceClaimName; n != nil {
			errs = append(errs, check.Invalid(at.Child("resourceClaimName"), *n, check.IsSubdomain(*n))...)
		}
	}
	return errs
}

package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// ValidatePodStatusUpdate validates the subresource status.
func ValidatePodStatusUpdate(p, old *corev1.Pod) field.ErrorList {
	status := field.NewPath("status")
	errs := objectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta)
	errs = append(errs, podAnnotationsUpdate(p, old)...)
	errs = append(errs, podConditions(status.Child("conditions"), p.Status.Conditions)...)
	if now := p.Status.NominatedNodeName; now != "" && now != old.Status.NominatedNodeName {
		errs = append(errs, invalid(status.Child("nominatedNodeName"), now, isSubdomain(now))...)
		if old.Spec.NodeName != "" {
			errs = append(errs, field.Forbidden(status.Child("nominatedNodeName"), "may not be set on pods that are already bound to a node"))
		}
	}
	errs = append(errs, unchanged(status.Child("qosClass"), p.Status.QOSClass, old.Status.QOSClass)...)
	if p.Spec.NodeName != old.Spec.NodeName {
		errs = append(errs, field.Forbidden(field.NewPath("status", "nodeName"), "may not be changed directly"))
	}
	errs = append(errs, nonnegative(status.Child("observedGeneration"), p.Status.ObservedGeneration)...)
	errs = append(errs, stateTransitions(status.Child("containerStatuses"), p.Status.ContainerStatuses, old.Status.ContainerStatuses, &old.Spec)...)
	errs = append(errs, stateTransitions(status.Child("initContainerStatuses"), p.Status.InitContainerStatuses, old.Status.InitContainerStatuses, &old.Spec)...)
	for name, list := range map[string][]corev1.ContainerStatus{"containerStatuses": p.Status.ContainerStatuses,
		"initContainerStatuses": p.Status.InitContainerStatuses, "ephemeralContainerStatuses": p.Status.EphemeralContainerStatuses} {
		errs = append(errs, containerUsers(status.Child(name), list)...)
	}
	errs = append(errs, podIPs(status, p, old)...)
	errs = append(errs, extendedClaimStatus(status.Child("extendedResourceClaimStatus"), p)...)
	return append(errs, claimStatuses(status.Child("resourceClaimStatuses"), p)...)
}

// extendedClaimStatus says that each request of the claim is of a resource that
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
		errs = append(errs, invalid(fldPath.Child("requestName"), m.RequestName, validation.IsDNS1123Label(m.RequestName))...)
		if seen.Has(m) {
			errs = append(errs, field.Duplicate(at.Child("containerName"), m.ContainerName),
				field.Duplicate(at.Child("resourceName"), m.ResourceName), field.Duplicate(at.Child("requestName"), m.RequestName))
		}
		seen.Insert(m)
	}
	if s.ResourceClaimName == "" {
		return append(errs, field.Required(fldPath.Child("resourceClaimName"), ""))
	}
	return append(errs, invalid(fldPath.Child("resourceClaimName"), s.ResourceClaimName, isSubdomain(s.ResourceClaimName))...)
}

func podConditions(fldPath *field.Path, list []corev1.PodCondition) field.ErrorList {
	var errs field.ErrorList
	for i, c := range list {
		at := fldPath.Index(i)
		if ownCondition(c.Type) {
			continue
		}
		errs = append(errs, invalid(at.Child("Type"), string(c.Type), validation.IsQualifiedName(string(c.Type)))...)
	}
	return errs
}

// ownCondition tells whether a condition is Kubernetes' own.
func ownCondition(t corev1.PodConditionType) bool {
	switch t {
	case corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized, corev1.ContainersReady:
		return true
	}
	return false
}

// stateTransitions says that a container which will not be started again stays
// terminated, and that a pod keeps the containers it has reported.
func stateTransitions(fldPath *field.Path, now, old []corev1.ContainerStatus, spec *corev1.PodSpec) field.ErrorList {
	if spec.RestartPolicy == corev1.RestartPolicyAlways {
		return nil
	}
	var errs field.ErrorList
	for i := range old {
		o := &old[i]
		term := o.State.Terminated
		if term == nil {
			continue
		}
		c, _ := pod.FindContainer(spec, o.Name)
		policy := spec.RestartPolicy
		if c != nil && c.RestartPolicy != nil {
			policy = corev1.RestartPolicy(*c.RestartPolicy)
		}
		if policy == corev1.RestartPolicyAlways || term.ExitCode != 0 && policy == corev1.RestartPolicyOnFailure ||
			c != nil && len(c.RestartPolicyRules) > 0 || restartsAll(spec) {
			continue
		}
		if n := pod.FindContainerStatus(now, o.Name); n != nil && n.State.Terminated == nil {
			errs = append(errs, field.Forbidden(fldPath.Index(i).Child("state"), "may not be transitioned to non-terminated state"))
		}
	}
	return errs
}

// restartsAll tells whether some container's end may start all others again.
func restartsAll(spec *corev1.PodSpec) bool {
	return !pod.VisitContainers(spec, func(c *corev1.Container, _ pod.ContainerType) bool {
		for _, r := range c.RestartPolicyRules {
			if r.Action == corev1.ContainerRestartRuleActionRestartAllContainers {
				return false
			}
		}
		return true
	})
}

func containerUsers(fldPath *field.Path, list []corev1.ContainerStatus) field.ErrorList {
	var errs field.ErrorList
	for i := range list {
		if list[i].User == nil || list[i].User.Linux == nil {
			continue
		}
		u, at := list[i].User.Linux, fldPath.Index(i).Child("user", "linux")
		errs = append(errs, userID(at.Child("uid"), &u.UID)...)
		errs = append(errs, groupID(at.Child("gid"), &u.GID)...)
		for j := range u.SupplementalGroups {
			errs = append(errs, groupID(at.Child("supplementalGroups").Index(j), &u.SupplementalGroups[j])...)
		}
	}
	return errs
}

func podIPs(status *field.Path, p, old *corev1.Pod) field.ErrorList {
	var was, ips, hosts []string
	for _, ip := range old.Status.PodIPs {
		was = append(was, ip.IP)
	}
	for _, ip := range old.Status.HostIPs {
		was = append(was, ip.IP)
	}
	for _, ip := range p.Status.PodIPs {
		ips = append(ips, ip.IP)
	}
	for _, ip := range p.Status.HostIPs {
		hosts = append(hosts, ip.IP)
	}
	errs := dualStack(status.Child("podIPs"), ips, was)
	if len(hosts) == 0 {
		return errs
	}
	at := status.Child("hostIPs")
	if p.Status.HostIP != hosts[0] {
		errs = append(errs, field.Invalid(at.Index(0).Child("ip"), hosts[0], "must be equal to `hostIP`"))
	}
	return append(errs, dualStack(at, hosts, was)...)
}

// dualStack says that list is at most one address of each family.
func dualStack(fldPath *field.Path, list, old []string) field.ErrorList {
	var errs field.ErrorList
	for i, ip := range list {
		errs = append(errs, validation.IsValidIPForLegacyField(fldPath.Index(i), ip, true, old)...)
	}
	if len(errs) > 0 || len(list) < 2 {
		return errs
	}
	if dual, err := netutils.IsDualStackIPStrings(list); err != nil || !dual || len(list) > 2 {
		errs = append(errs, field.Invalid(fldPath, list, "may specify no more than one IP for each IP family"))
	}
	seen := sets.New[string]()
	for i, ip := range list {
		if seen.Has(ip) {
			errs = append(errs, field.Duplicate(fldPath.Index(i), ip))
		}
		seen.Insert(ip)
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
		if n := s.ResourceClaimName; n != nil {
			errs = append(errs, invalid(at.Child("name"), *n, isSubdomain(*n))...)
		}
		switch {
		case !claims.Has(s.Name):
			errs = append(errs, field.Invalid(at.Child("name"), s.Name, "must match the name of an entry in `spec.resourceClaims`"))
		case seen.Has(s.Name):
			errs = append(errs, field.Duplicate(at.Child("name"), s.Name))
		}
		seen.Insert(s.Name)
	}
	return errs
}

package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/coracle-k8s/coracle/apis/core/pod"
)

// PodWarnings says what is legal in a new pod but probably a mistake or on its
// way out.
func PodWarnings(p *corev1.Pod) []string {
	var warnings []string
	if msgs := validation.IsDNS1123Label(p.Name); len(msgs) > 0 {
		warnings = []string{fmt.Sprintf("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: %v", msgs)}
	}
	return append(warnings, podWarnings(&corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}, nil)...)
}

// PodTemplateWarnings is PodWarnings of a template at fldPath, without those of
// old, which is nil on creation.
func PodTemplateWarnings(t, old *corev1.PodTemplateSpec, fldPath *field.Path) []string {
	now := podWarnings(t, fldPath)
	if old == nil || len(now) == 0 {
		return now
	}
	known := sets.New(podWarnings(old, fldPath)...)
	return slices.DeleteFunc(now, known.Has)
}

// WorkloadWarnings says what is legal in the template of a workload's pods but
// probably a mistake, and, unless name is empty, in their owner's name.
func WorkloadWarnings(name string, t, old *corev1.PodTemplateSpec) []string {
	var warnings []string
	if msgs := validation.IsDNS1123Label(name); name != "" && len(msgs) > 0 {
		warnings = []string{fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", msgs)}
	}
	return append(warnings, PodTemplateWarnings(t, old, field.NewPath("spec", "template"))...)
}

func podWarnings(t *corev1.PodTemplateSpec, fldPath *field.Path) []string {
	w := warner{}
	spec, s := fldPath.Child("spec"), &t.Spec
	w.annotations(fldPath.Child("metadata", "annotations"), t.Annotations)
	for _, key := range slices.Sorted(maps.Keys(s.NodeSelector)) {
		w.deprecatedLabel(spec.Child("nodeSelector").Key(key), key)
	}
	w.affinity(spec.Child("affinity"), s.Affinity)
	for i, c := range s.TopologySpreadConstraints {
		at := spec.Child("topologySpreadConstraints").Index(i)
		w.deprecatedLabel(at.Child("topologyKey"), c.TopologyKey)
		if c.LabelSelector == nil {
			w.add(at.Child("labelSelector"), "a null labelSelector results in matching no pod")
		}
	}
	names := sets.New[string]()
	for i, r := range s.ImagePullSecrets {
		at := spec.Child("imagePullSecrets").Index(i)
		switch {
		case r.Name == "":
			w.add(at.Child("name"), "invalid empty name %q", r.Name)
		case names.Has(r.Name):
			w.add(at.Child("name"), "duplicate name %q", r.Name)
		}
		names.Insert(r.Name)
	}
	w.hostAliases(spec.Child("hostAliases"), s.HostAliases)
	for i := range s.Volumes {
		w.volume(spec.Child("volumes").Index(i), &s.Volumes[i])
	}
	if g := s.TerminationGracePeriodSeconds; g != nil && *g < 0 {
		w.add(spec.Child("terminationGracePeriodSeconds"), "must be >= 0; negative values are invalid and will be treated as 1")
	}
	scope := podScope{spec: s}
	scope.everyContainer(spec, w.container)
	w.ports(spec, s)
	return w.list
}

// warner collects warnings in order.
type warner struct{ list []string }

func (w *warner) add(fldPath *field.Path, format string, args ...any) {
	w.list = append(w.list, fmt.Sprintf("%s: %s", fldPath, fmt.Sprintf(format, args...)))
}

// ip warns of an address that is written in an ambiguous way. What is no
// address at all is for validation, or nobody, to complain of.
func (w *warner) ip(fldPath *field.Path, v string) {
	if netutils.ParseIPSloppy(v) != nil {
		w.list = append(w.list, validation.GetWarningsForIP(fldPath, v)...)
	}
}

func (w *warner) cidr(fldPath *field.Path, v string) {
	if _, _, err := netutils.ParseCIDRSloppy(v); err == nil {
		w.list = append(w.list, validation.GetWarningsForCIDR(fldPath, v)...)
	}
}

func (w *warner) deprecatedLabel(fldPath *field.Path, key string) {
	if msg := instead(key); msg != "" {
		w.add(fldPath, "%s", msg)
	}
}

// instead says which label took the place of key, and since when, or nothing.
func instead(key string) string {
	since := func(version, label string) string {
		return fmt.Sprintf("deprecated since %s; use %q instead", version, label)
	}
	switch key {
	case "beta.kubernetes.io/arch":
		return since("v1.14", corev1.LabelArchStable)
	case "beta.kubernetes.io/os":
		return since("v1.14", corev1.LabelOSStable)
	case corev1.LabelFailureDomainBetaRegion, "failure-domain.kubernetes.io/region":
		return since("v1.17", corev1.LabelTopologyRegion)
	case corev1.LabelFailureDomainBetaZone, "failure-domain.kubernetes.io/zone":
		return since("v1.17", corev1.LabelTopologyZone)
	case corev1.LabelInstanceType:
		return since("v1.17", corev1.LabelInstanceTypeStable)
	}
	return ""
}

func (w *warner) annotations(fldPath *field.Path, a map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(a)) {
		switch {
		case key == "scheduler.alpha.kubernetes.io/critical-pod":
			w.add(fldPath.Key(key), `non-functional in v1.16+; use the "priorityClassName" field instead`)
		case key == seccompPod || strings.HasPrefix(key, seccompContainer):
			w.add(fldPath.Key(key), `non-functional in v1.27+; use the "seccompProfile" field instead`)
		case strings.HasPrefix(key, appArmorContainer):
			w.add(fldPath.Key(key), `deprecated since v1.30; use the "appArmorProfile" field instead`)
		case key == "security.alpha.kubernetes.io/sysctls" || key == "security.alpha.kubernetes.io/unsafe-sysctls":
			w.add(fldPath.Key(key), `non-functional in v1.11+; use the "sysctls" field instead`)
		}
	}
}

func (w *warner) affinity(fldPath *field.Path, a *corev1.Affinity) {
	if a == nil {
		return
	}
	if n := a.NodeAffinity; n != nil {
		at := fldPath.Child("nodeAffinity")
		if r := n.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
			for i := range r.NodeSelectorTerms {
				w.nodeTerm(at.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms").Index(i), &r.NodeSelectorTerms[i])
			}
		}
		for i := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			w.nodeTerm(at.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("preference"), &n.PreferredDuringSchedulingIgnoredDuringExecution[i].Preference)
		}
	}
	terms := func(at *field.Path, req []corev1.PodAffinityTerm, pref []corev1.WeightedPodAffinityTerm) {
		for i := range req {
			w.podTerm(at.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i), &req[i])
		}
		for i := range pref {
			w.podTerm(at.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("podAffinityTerm"), &pref[i].PodAffinityTerm)
		}
	}
	if p := a.PodAffinity; p != nil {
		terms(fldPath.Child("podAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if p := a.PodAntiAffinity; p != nil {
		terms(fldPath.Child("podAntiAffinity"), p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

func (w *warner) nodeTerm(fldPath *field.Path, t *corev1.NodeSelectorTerm) {
	for i, r := range t.MatchExpressions {
		w.deprecatedLabel(fldPath.Child("matchExpressions").Index(i).Child("key"), r.Key)
	}
}

func (w *warner) podTerm(fldPath *field.Path, t *corev1.PodAffinityTerm) {
	if t.LabelSelector == nil {
		w.add(fldPath.Child("labelSelector"), "a null labelSelector results in matching no pod")
	}
	w.deprecatedLabel(fldPath.Child("topologyKey"), t.TopologyKey)
}

func (w *warner) hostAliases(fldPath *field.Path, list []corev1.HostAlias) {
	ips := sets.New[string]()
	for i, a := range list {
		if ips.Has(a.IP) {
			w.add(fldPath.Index(i).Child("ip"), "duplicate ip %q", a.IP)
		}
		ips.Insert(a.IP)
		names := sets.New[string]()
		for j, h := range a.Hostnames {
			if names.Has(h) {
				w.add(fldPath.Index(i).Child("hostnames").Index(j), "duplicate hostname %q", h)
			}
			names.Insert(h)
		}
	}
}

func (w *warner) volume(fldPath *field.Path, v *corev1.Volume) {
	gone := func(name, version string, set bool) {
		if set {
			w.add(fldPath.Child(name), "deprecated in %s, non-functional in v1.31+", version)
		}
	}
	switch {
	case v.GitRepo != nil:
		w.add(fldPath.Child("gitRepo"), "deprecated in v1.11, and disabled by default in v1.33+")
	case v.ScaleIO != nil:
		w.add(fldPath.Child("scaleIO"), "deprecated in v1.16, non-functional in v1.22+")
	case v.Flocker != nil:
		w.add(fldPath.Child("flocker"), "deprecated in v1.22, non-functional in v1.25+")
	case v.StorageOS != nil:
		w.add(fldPath.Child("storageOS"), "deprecated in v1.22, non-functional in v1.25+")
	case v.Quobyte != nil:
		w.add(fldPath.Child("quobyte"), "deprecated in v1.22, non-functional in v1.25+")
	case v.Glusterfs != nil:
		w.add(fldPath.Child("glusterfs"), "deprecated in v1.25, non-functional in v1.26+")
	case v.PhotonPersistentDisk != nil:
		w.add(fldPath.Child("photonPersistentDisk"), "deprecated in v1.11, non-functional in v1.16+")
	}
	gone("cephfs", "v1.28", v.CephFS != nil)
	gone("rbd", "v1.28", v.RBD != nil)
	if v.CSI != nil || v.Ephemeral == nil || v.Ephemeral.VolumeClaimTemplate == nil {
		return
	}
	if q, ok := v.Ephemeral.VolumeClaimTemplate.Spec.Resources.Requests[corev1.ResourceStorage]; ok && q.MilliValue()%1000 != 0 {
		w.add(fldPath.Child("ephemeral", "volumeClaimTemplate", "spec", "resources", "requests").Key("storage"), "fractional byte value %q is invalid, must be an integer", q.String())
	}
}

func (w *warner) container(fldPath *field.Path, c *corev1.Container) {
	names := sets.New[string]()
	for i, e := range c.Env {
		if names.Has(e.Name) {
			w.add(fldPath.Child("env").Index(i), "hides previous definition of %q, which may be dropped when using apply", e.Name)
		}
		names.Insert(e.Name)
	}
	for _, list := range []struct {
		name string
		list corev1.ResourceList
	}{{"limits", c.Resources.Limits}, {"requests", c.Resources.Requests}} {
		for _, name := range resourceNames(list.list) {
			q := list.list[name]
			if (name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage) && q.MilliValue()%1000 != 0 {
				w.add(fldPath.Child("resources", list.name).Key(string(name)), "fractional byte value %q is invalid, must be an integer", q.String())
			}
		}
	}
}

// ports warns of ports that two entries claim.
func (w *warner) ports(fldPath *field.Path, s *corev1.PodSpec) {
	type key struct {
		port, host int32
		protocol   corev1.Protocol
		ip         string
	}
	seen := map[key]*field.Path{}
	check := func(at *field.Path, c *corev1.Container) {
		for i, p := range c.Ports {
			at := at.Child("ports").Index(i)
			k := key{p.ContainerPort, p.HostPort, p.Protocol, p.HostIP}
			if first, ok := seen[k]; ok {
				w.add(at, "duplicate port definition with %s", first)
			} else {
				seen[k] = at
			}
			w.ip(at.Child("hostIP"), p.HostIP)
		}
	}
	for i := range s.InitContainers {
		if pod.IsSidecar(&s.InitContainers[i]) {
			check(fldPath.Child("initContainers").Index(i), &s.InitContainers[i])
		}
	}
	for i := range s.Containers {
		check(fldPath.Child("containers").Index(i), &s.Containers[i])
	}
}

// ServiceWarnings says what is legal in a Service but probably a mistake or on
// its way out.
func ServiceWarnings(svc *corev1.Service) []string {
	w := warner{}
	spec, s := field.NewPath("spec"), &svc.Spec
	w.serviceAddresses(spec, svc)
	headless := s.Type == corev1.ServiceTypeClusterIP && s.ClusterIP == corev1.ClusterIPNone
	external := len(s.ExternalIPs) > 0
	for _, warning := range []struct {
		due  bool
		text string
	}{
		{headless && s.LoadBalancerIP != "", "spec.loadBalancerIP is ignored for headless services"},
		{headless && external, "spec.externalIPs is ignored for headless services"},
		{headless && s.SessionAffinity != corev1.ServiceAffinityNone, "spec.SessionAffinity is ignored for headless services"},
		{external && !headless && s.Type != corev1.ServiceTypeExternalName, "spec.externalIPs is deprecated and may no longer be implemented in some clusters"},
		{external && s.Type == corev1.ServiceTypeExternalName, `spec.externalIPs is ignored when spec.type is "ExternalName"`},
		{s.ExternalName != "" && s.Type != corev1.ServiceTypeExternalName, `spec.externalName is ignored when spec.type is not "ExternalName"`},
	} {
		if warning.due {
			w.list = append(w.list, warning.text)
		}
	}
	if t := s.TrafficDistribution; t != nil && *t == corev1.ServiceTrafficDistributionPreferClose {
		w.add(spec.Child("trafficDistribution"), "%q is deprecated; use %q", *t, corev1.ServiceTrafficDistributionPreferSameZone)
	}
	if _, ok := svc.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]; ok {
		w.list = append(w.list, fmt.Sprintf("annotation %s is deprecated, please use %s instead", corev1.DeprecatedAnnotationTopologyAwareHints, corev1.AnnotationTopologyMode))
	}
	return w.list
}

func (w *warner) serviceAddresses(spec *field.Path, svc *corev1.Service) {
	for i, ip := range svc.Spec.ClusterIPs {
		w.ip(spec.Child("clusterIPs").Index(i), ip)
	}
	for i, ip := range svc.Spec.ExternalIPs {
		w.ip(spec.Child("externalIPs").Index(i), ip)
	}
	w.ip(spec.Child("loadBalancerIP"), svc.Spec.LoadBalancerIP)
	for i, c := range svc.Spec.LoadBalancerSourceRanges {
		w.cidr(spec.Child("loadBalancerSourceRanges").Index(i), c)
	}
}
